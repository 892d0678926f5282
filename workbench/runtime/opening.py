"""How a session begins: `start` opens a store, and the session on it becomes the default one."""

import os
import threading
from pathlib import Path
from typing import Final

from workbench.errors import SessionError, StoreError, StoreReadOnlyError
from workbench.runtime import cpu_worker
from workbench.runtime.answer import uninterrupted
from workbench.runtime.clock import Clock, in_words
from workbench.runtime.read_only import ReadOnlySession
from workbench.runtime.session import Session
from workbench.runtime.steps import step_session
from workbench.store.commit_mark import END
from workbench.store.connection import place_of
from workbench.store.lock import StoreLock, refuse_network_home
from workbench.store.log import SqliteLog
from workbench.store.memory import MemoryLog

MEMORY: Final = ":memory:"
"""The path that keeps nothing."""

_default: Session | None = None
_open: dict[tuple[str, bool], Session] = {}
"""By path, and whether only to read."""
_guard = threading.RLock()


def start(
    path: str | os.PathLike[str] | None = None,
    *,
    fresh: bool = False,
    read_only: bool = False,
    clock: Clock | None = None,
) -> Session:
    """Open or create a store, take up what was unfinished in it, and make it the default session.

    The same path again, in the same process, gives the session that is open on it, so a cell may be run twice.

    Args:
        path: the store's file; `":memory:"` keeps nothing; by default `<notebook>.workbench.db`, else `workbench.db`.
        fresh: move an existing store aside (to `<name>.<time>.old`, never deleted) and begin a new one.
        read_only: open a store to look at it, also one that another process has in use, that somebody sent, or that may
            not be written; nothing is run or changed, and whatever would raises `StoreReadOnlyError`. It becomes the
            default session only where there is none.
        clock: for tests: a `workbench.testing.SimulatedClock`.

    Raises:
        StoreInUseError: another process owns the store; says which.
        StoreFormatError: the file is no store, or a newer one.
        StoreCorruptError: the log was changed from outside, or what was committed last is missing.
        StoreReadOnlyError: there is nothing to read, or `fresh` was asked for too.
        StoreError: with `read_only`, there is no such file.
        SessionError: in the function of a step with `cpu=True`; there `read_only` is all that is allowed.
    """
    name = os.fspath(path) if path is not None else default_path()
    return uninterrupted(lambda: _start(name, clock or Clock(), fresh=fresh, read_only=read_only))


def _start(name: str, clock: Clock, *, fresh: bool, read_only: bool) -> Session:
    global _default  # noqa: PLW0603 - the default session is a process-wide fact
    with _guard:
        if read_only:
            looking = _look(name, clock, fresh=fresh)
            if _default is None or _default.closed:
                _default = looking
            return looking
        _refuse_in_worker()
        if name == MEMORY:
            session = Session(name, MemoryLog(clock.token()), None, clock, _forget)
        else:
            full = str(place_of(name))
            opened = _open.get((full, False))
            if opened is not None and not opened.closed and not fresh:
                _default = opened
                return opened
            if opened is not None:
                opened.close()
            session = _open_store(Path(full), clock, fresh=fresh)
            _open[full, False] = session
        _default = session
    return session


def _refuse_in_worker() -> None:
    """No session runs in a process of steps: it would be another than the caller's, on a store of its own."""
    if cpu_worker.serving:
        raise SessionError(
            "the function of a step with cpu=True asked for a session",
            "it runs in a process of its own, which has none, and to start one there would begin a second store",
            "compute there and return the result, and use the workbench in the agent",
        )


def _look(name: str, clock: Clock, *, fresh: bool) -> Session:
    """A session that only reads; the same for the same path."""
    if fresh:
        raise StoreReadOnlyError(
            f"{name} with fresh=True and read_only=True", "to begin a new store is to write", "leave one of them out"
        )
    if name == MEMORY:
        raise StoreReadOnlyError(
            f"{name} with read_only=True", "a session that keeps nothing has nothing to read", "name a file"
        )
    full = str(place_of(name))
    opened = _open.get((full, True))
    if opened is None or opened.closed:
        log = SqliteLog(Path(full), "", read_only=True)
        opened = _open[full, True] = ReadOnlySession(full, log, clock, _forget)
    return opened


def _open_store(path: Path, clock: Clock, *, fresh: bool) -> Session:
    refuse_network_home(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_free = path.is_file() or not path.exists()
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be opened", f"its folder: {error.strerror}", "name another folder"
        ) from error
    if not is_free:
        raise StoreError(f"the store {path} cannot be opened", "it is no file", "name another file")
    lock = StoreLock(path)
    try:
        lock.acquire(in_words(clock.wall()))
        if fresh:
            _move_aside(path, clock)
        log = SqliteLog(path, clock.token())
    except BaseException:
        lock.release()
        raise
    return Session(str(path), log, lock, clock, _forget)


def _move_aside(path: Path, clock: Clock) -> None:
    """Rename an old store and its side files; with a name that is free."""
    if not path.exists():
        return
    stamp = in_words(clock.wall()).replace(" UTC", "").replace(" ", "T").replace(":", "")
    number = 0
    while (target := path.with_name(f"{path.name}.{stamp}{f'-{number}' if number else ''}.old")).exists():
        number += 1
    for end in ("-wal", "-shm", END, ""):
        side = path.with_name(path.name + end)
        if side.exists():
            side.rename(target.with_name(target.name + end))


def default_path() -> str:
    """`<notebook>.workbench.db` where Jupyter tells the kernel its notebook's name, else `workbench.db`."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
    if notebook.endswith(".ipynb"):
        return f"{Path(notebook).stem}.workbench.db"
    return "workbench.db"


def default_session() -> Session:
    """The default session, started when there is none. In the function of a step: the session of its agent."""
    own: Session | None = step_session.get(None)
    if own is not None:
        if not own.opened:
            with _guard:  # until it is: it took up the step when it was opened
                pass
        return own
    found = _default
    if found is None or found.closed:
        found = start()
    return found


def present_session() -> Session | None:
    """The default session if there is one; none is started."""
    return None if _default is None or _default.closed else _default


def _forget(session: Session) -> None:
    global _default  # noqa: PLW0603
    with _guard:
        if _default is session:
            _default = None
        for path, opened in tuple(_open.items()):
            if opened is session:
                del _open[path]


def _in_forked_child() -> None:
    """A child made with `os.fork` has none of the threads: its sessions are dead copies, the parent's live on.

    The default session stays that copy, which refuses whatever it is asked: a child that calls an agent should hear so,
    and not begin a store of its own by the way.
    """
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()  # a thread that is not here may have held it
    for opened in _open.values():
        opened.disown()
    _open.clear()


os.register_at_fork(after_in_child=_in_forked_child)


def _warn_left_open() -> None:
    for opened in tuple(_open.values()):
        opened.end()


threading._register_atexit(_warn_left_open)  # type: ignore[attr-defined] # noqa: SLF001 - before the threads are joined
