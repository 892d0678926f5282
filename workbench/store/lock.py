"""One owner per store: a lock file beside it, held with `flock` for as long as the owner lives.

Not a lock on the store itself: POSIX locks vanish when anything in the process opens and closes the file. The operating
system releases `flock` when the owner dies, however it dies, so a killed kernel leaves no lock behind.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
from pathlib import Path

from workbench.errors import StoreError, StoreInUseError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse.glusterfs", "lustre", "ceph", "afs"}
)
"""Where SQLite's WAL does not work, because its shared memory is not shared."""


class StoreLock:
    """The lock on the store at `path`; take it with `acquire`, give it back with `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._fd = -1
        self._held = False

    def acquire(self, since: str) -> None:
        """Become the owner, at once or not at all.

        Args:
            since: the present time in words, told to whoever is refused later.

        Raises:
            StoreInUseError: somebody else is; says who.
            StoreError: nothing may be written there.
        """
        try:
            fd = self._fd = open_side(self.path)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written",
                str(error.strerror),
                "name a folder that may be written to and has room, or open the store with read_only=True",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(fd, 4096, 0).decode("utf-8", "replace")
            self.release()
            raise StoreInUseError(
                f"the store {self.path.name.removesuffix('.lock')} is in use by {_describe(text)}",
                "a store has one owner at a time",
                "close that session or shut down that kernel, or open this one with read_only=True",
            ) from None
        self._held = True
        owner = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        os.ftruncate(fd, 0)
        with contextlib.suppress(OSError):  # a full disk: it is held all the same, and only nobody is told by whom
            os.pwrite(fd, owner.encode(), 0)

    def release(self) -> None:
        """Stop being the owner. Harmless when repeated."""
        if self._held and self._fd >= 0:
            with contextlib.suppress(OSError):  # else who is refused before the next owner has written is told of us
                os.ftruncate(self._fd, 0)
        self.forget()

    def forget(self) -> None:
        """In a forked child: closes the child's copy; the parent keeps the lock."""
        self._held = False
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def open_side(path: Path) -> int:
    """Open a file beside a store to write; made when absent. Never what a link leads to, a device or a pipe.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return fd


def _describe(text: str) -> str:
    try:
        owner = json.loads(text)
        return f"process {int(owner['pid'])} on {str(owner['host'])[:80]} since {str(owner['since'])[:40]}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def refuse_network_home(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Refuse a store on a network file system, with advice.

    Raises:
        StoreError: `path` is on one.
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return  # not Linux: nothing to go by
    best, kind = "", ""
    target = str(path.resolve())
    for line in lines:
        parts = line.split(" ")
        point = parts[1].replace("\\040", " ").rstrip("/") if len(parts) > 2 else ""  # noqa: PLR2004
        if (target == point or target.startswith(point + "/")) and len(point) >= len(best):
            best, kind = point, parts[2]
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"the store {path} lies on a network file system ({kind})",
            "SQLite's write-ahead log needs memory shared between processes, which a network file system does not give",
            "name a path on a local disk, for example wb.start('/tmp/lesson.db')",
        )
