"""Which agent is being rebuilt right now, as the next process will read it: what ends process after process is found.

To replay an agent runs its code, which may end the process: out of memory, a crash in a library, `os._exit`. Nobody is
left to note that, so it is noted before: a page of a small file beside the store, mapped into memory, names the agent
while it is rebuilt. What is written there outlives the process, costs no system call, and needs no sync, as a power cut
is no agent's fault. A session that ends in order takes the file away.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from workbench.store.lock import open_side

TRIES: Final = 3
"""Processes that may end while they rebuild one agent, before it is set aside."""
END: Final = ".rebuilding"
"""What the file is called after the store's name."""
_SIZE: Final = 4096
_HEAD: Final = struct.Struct("<16sq")
_PAIR: Final = struct.Struct("<qq")
_PAIRS: Final = (_SIZE - _HEAD.size) // _PAIR.size


class Rebuilds:
    """The note beside one store; on the session's thread only.

    Args:
        path: of the store; None for one that is not kept.
        salt: of the store, so that a note beside another one of the same name does not count.
    """

    def __init__(self, path: Path | None, salt: str) -> None:
        self._path = None if path is None else path.with_name(path.name + END)
        self._salt = salt.encode()[:16].ljust(16, b"\0")
        self._page: mmap.mmap | None = None
        self._ended: dict[int, int] = {}
        if self._path is not None and self._path.exists():
            self._read(_page_of(self._path))

    def _read(self, page: bytes) -> None:
        """Take over what the process before left: it ended while it rebuilt the agent that is named there."""
        if len(page) != _SIZE or _HEAD.unpack_from(page)[0] != self._salt:
            return
        pairs = (_PAIR.unpack_from(page, _HEAD.size + n * _PAIR.size) for n in range(_PAIRS))
        self._ended = {uid: times for uid, times in pairs if uid > 0 < times}
        uid = _HEAD.unpack_from(page)[1]
        if uid > 0:
            self._ended[uid] = self._ended.get(uid, 0) + 1

    def ended(self, uid: int) -> int:
        """How many processes in a row ended while they rebuilt this agent."""
        return self._ended.get(uid, 0)

    def begin(self, uid: int) -> None:
        """This agent is being rebuilt from now on."""
        if self._path is None:
            return
        if self._page is None:
            self._open(self._path)
        if self._page is not None:
            _HEAD.pack_into(self._page, 0, self._salt, uid)

    def end(self, uid: int) -> None:
        """It was rebuilt, or failed in a way that leaves the process alive."""
        if self._page is not None:
            _HEAD.pack_into(self._page, 0, self._salt, 0)
            if uid in self._ended:
                self.forget(uid)

    def forget(self, uid: int) -> None:
        """What was counted of this agent counts no more."""
        if self._ended.pop(uid, None) is not None:
            self._write_pairs()

    def _open(self, path: Path) -> None:
        try:
            fd = open_side(path)
            try:
                os.posix_fallocate(fd, 0, _SIZE)  # a page that has no room on the disk would end the process, too
                os.ftruncate(fd, _SIZE)
                self._page = mmap.mmap(fd, _SIZE)
            finally:
                os.close(fd)
        except OSError:
            self._path = None  # a full disk: rebuilding matters more than counting
        else:
            self._write_pairs()

    def _write_pairs(self) -> None:
        if self._page is not None:
            pairs = list(self._ended.items())[-_PAIRS:]
            pairs += [(0, 0)] * (_PAIRS - len(pairs))
            for n, pair in enumerate(pairs):
                _PAIR.pack_into(self._page, _HEAD.size + n * _PAIR.size, *pair)

    def close(self) -> None:
        """Take the file away, unless it holds what the next process should know. Harmless when repeated."""
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._path is not None and not self._ended:
            self._path.unlink(missing_ok=True)


def _page_of(path: Path) -> bytes:
    """What stands in the file; nothing where it is none of ours."""
    try:
        fd = open_side(path)
        try:
            return os.pread(fd, _SIZE + 1, 0)
        finally:
            os.close(fd)
    except OSError:
        return b""
