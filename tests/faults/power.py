"""What is left on a disk when the power goes: of what was not synced any part, in any order, torn anywhere.

A write that no sync followed is taken apart into sectors. Of each the new content is there, or the old, or (rarely)
neither. Files that were made or deleted, with no sync of their folder since, were so up to some moment only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.faults.disks import Operation

SECTOR: Final = 512
KEPT: Final = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Chances of a sector to have been written; one for each file and cut."""
GARBAGE: Final = 0.02
"""Chance of a sector under the head to be neither old nor new."""


class _Content:
    """A file's bytes: those that are safe, and what was done since."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.open: list[Operation] = []

    def sync(self) -> None:
        for done in self.open:
            _apply(self.safe, done.kind, done.offset, done.data)
        self.open.clear()

    def left(self, chance: Random) -> bytes:
        """What is there after a cut."""
        found = bytearray(self.safe)
        kept = chance.choice(KEPT)
        for done in self.open:
            for kind, offset, data in _sectors(done):
                if chance.random() < kept:
                    _apply(found, kind, offset, data)
                elif kind == "write" and chance.random() < GARBAGE:
                    _apply(found, kind, offset, chance.randbytes(len(data)))
        return bytes(found)


def _sectors(done: Operation) -> list[tuple[str, int, bytes]]:
    if done.kind != "write":
        return [("truncate", done.offset, b"")]
    at, end = done.offset, done.offset + len(done.data)
    edges = [at, *range(at - at % SECTOR + SECTOR, end, SECTOR), end]
    return [("write", a, done.data[a - at : b - at]) for a, b in pairwise(edges)]


def _apply(content: bytearray, kind: str, offset: int, data: bytes) -> None:
    if kind == "write":
        content.extend(bytes(max(offset - len(content), 0)))
        content[offset : offset + len(data)] = data
    else:
        del content[offset:]


class Cut(NamedTuple):
    """Where the power went."""

    files: dict[str, bytes]
    """What is left, by the end of the file's name."""
    told: int
    """The last entry that somebody outside had been told of."""
    at: int
    """How many operations had been done."""

    def put(self, store: Path) -> None:
        """Lay the files where a store is looked for."""
        for end in ("", "-wal", "-shm", "-journal"):
            path = Path(f"{store}{end}")
            if end in self.files:
                path.write_bytes(self.files[end])
            else:
                path.unlink(missing_ok=True)


class Surface:
    """A disk's surface, on which operations are done one after the other, and whose power can go at any moment."""

    def __init__(self) -> None:
        self.told = self.at = 0
        self._safe: dict[str, _Content] = {}
        self._now: dict[str, _Content] = {}
        self._open: list[dict[str, _Content]] = []

    def do(self, done: Operation) -> None:
        """Go on by one."""
        self.at += 1
        name = done.name
        match done.kind:
            case "told":
                self.told = max(self.told, done.offset)
            case "make":
                self._now = {**self._now, name: _Content()}
                self._open.append(self._now)
            case "delete":
                self._now = {end: content for end, content in self._now.items() if end != name}
                self._open.append(self._now)
                if done.offset:
                    self._sync_folder()
            case "sync":
                self._now[name].sync()
                if name:  # SQLite syncs the folder with a new journal or write-ahead log
                    self._sync_folder()
            case _:
                self._now[name].open.append(done)

    def _sync_folder(self) -> None:
        self._safe = self._now
        self._open.clear()

    def cut(self, chance: Random) -> Cut:
        """What is left if the power goes now."""
        names = chance.choice([self._safe, *self._open])
        return Cut({end: content.left(chance) for end, content in names.items()}, self.told, self.at)


def cuts(operations: Sequence[Operation], count: int, chance: Random) -> Iterator[Cut]:
    """So many cuts, at moments spread evenly over what was done."""
    surface = Surface()
    wanted = Counter(chance.randrange(1, len(operations) + 1) for _ in range(count))
    for done in operations:
        surface.do(done)
        for _ in range(wanted[surface.at]):
            yield surface.cut(chance)
