"""Up to which entry a store was committed, noted beside it: the loss of its end is noticed.

What is committed lies in the write-ahead log at first. One that is gone, cut off or damaged is to SQLite one that ends
earlier: what is left is a valid log, and only shorter. So the number and the chain of the last entry are noted in a
small file after each commit, before anybody is told of it. Where the log ends before that, or holds another entry
there, what was acknowledged is lost, and the store is not opened as if nothing had happened.

The mark never says too much: it is written when the commit is on the disk. It may say too little, or be absent: after a
kill between the two, after a power cut, as it is never synced (one `pwrite`, 1.5 µs a commit), in a copy that was made
without it. It counts only for the store that it was written for. A session that ends in order takes it away, as all
entries are in the store's own file then: a copy from before may be put in its place.
"""

import os
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from workbench.errors import StoreCorruptError
from workbench.store.chain import LINK_BYTES
from workbench.store.schema import salt_hash

END: Final = ".committed"
"""What the file is called after the store's name."""

_MARK: Final = Struct(f"<16sq{LINK_BYTES}s")
_SUM: Final = Struct("<I")
_OPEN: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Marked(NamedTuple):
    """What a mark says."""

    store: bytes
    """A hash of the salt of the store that it was written for."""
    seq: int
    """The last entry that was committed."""
    chain: bytes
    """The hash chain there."""

    def is_of(self, salt: str) -> bool:
        """Whether it was written for the store with this salt."""
        return self.store == salt_hash(salt).encode()


def mark_of(store: Path) -> Path:
    """Where the mark of a store lies."""
    return store.with_name(store.name + END)


def read_mark(store: Path) -> Marked | None:
    """The mark beside a store; None where there is none, or it is no mark."""
    try:
        fd = os.open(mark_of(store), os.O_RDONLY | _OPEN)
        try:
            data = os.pread(fd, _MARK.size + _SUM.size, 0)
        finally:
            os.close(fd)
    except OSError:
        return None
    mark, end = data[: _MARK.size], data[_MARK.size :]
    if len(end) != _SUM.size or end != _SUM.pack(crc32(mark)):
        return None
    return Marked(*_MARK.unpack(mark))


def remove_mark(store: Path) -> None:
    """Take the mark beside a store away, of whichever it is."""
    try:
        mark_of(store).unlink(missing_ok=True)
    except OSError:  # nothing may be changed here: it says what it said before
        return


class CommitMark:
    """The mark of the store at `path`, as its owner writes it; made at the first commit. On the appending thread.

    Args:
        path: of the store.
        salt: of the store.
    """

    def __init__(self, path: Path, salt: str) -> None:
        self._path = path
        self._store = salt_hash(salt).encode()
        self._fd = -1
        self._absent = False
        """Whether it cannot be written: committing matters more."""

    def write(self, seq: int, chain: bytes) -> None:
        """All up to this entry is committed."""
        if self._absent:
            return
        mark = _MARK.pack(self._store, seq, chain)
        try:
            if self._fd < 0:
                self._fd = os.open(mark_of(self._path), os.O_RDWR | os.O_CREAT | _OPEN, 0o644)
            os.pwrite(self._fd, mark + _SUM.pack(crc32(mark)), 0)
        except OSError:
            self._absent = True

    def close(self, *, in_order: bool) -> None:
        """Let go of the file; and where all is in the store's own file, take it away. Harmless when repeated."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        self._absent = True
        if in_order:
            remove_mark(self._path)


def lost(path: Path, last: int, marked: Marked) -> StoreCorruptError:
    """The error for a log that does not hold what was marked.

    Args:
        path: of the store.
        last: the entry with which the log ends.
        marked: what the mark says.
    """
    wal = f"{path.name}-wal"
    if last >= marked.seq:
        what = f"entry {marked.seq} of {path} is not the one that was committed"
        why = f"the file, or its write-ahead log {wal}, was exchanged"
    else:
        one = last + 1 == marked.seq
        which = f"entry {marked.seq}" if one else f"entries {last + 1} to {marked.seq}"
        what = f"the end of {path} is missing, {which}"
        state = "cut off, damaged or exchanged" if _size(path.with_name(wal)) else "gone or empty"
        was, them = ("it was", "it") if one else ("they were", "them")
        why = f"{was} committed, and the write-ahead log that held {them}, {wal}, is {state}"
    instead = "wb.salvage(path, new_path)" if last else "wb.start(path, fresh=True)"
    return StoreCorruptError(what, why, f"bring {wal} back as it was, or go on with what is left: {instead}")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
