"""Which agent's code this thread is running, if any, and which line of it.

One agent runs at a time on a session's thread, and only inside a delivery, so a thread-local slot says it all: it is
set around each run and empty otherwise, also in the threads and tasks that steps run in.
"""

import asyncio
import sys
import threading
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

from workbench.errors import NotInAgentError
from workbench.model.places import place_name


class _Current(threading.local):
    instance: Any = None
    """The running `Instance`, or None. (Its class lives a floor above; see `instance.py`.)"""
    serving: bool = False
    """Whether this is a session's own thread, where agents and async steps run and nothing may block."""


current: Final = _Current()


def require_instance(name: str) -> Any:
    """The instance whose code is running.

    Raises:
        NotInAgentError: no agent code is.
    """
    instance = current.instance
    if instance is None:
        raise NotInAgentError(
            f"{name} was called outside an agent",
            "only an agent's own code has an oplog to write to",
            "call it in a method of an agent",
        )
    return instance


def refuse_blocking(name: str, do: str) -> None:
    """Refuse what blocks until a session has done something, on the thread that would have to do it.

    Raises:
        NotInAgentError: an agent or an async step is running.
    """
    if current.serving:
        where = "an async step" if current.instance is None else "an agent"
        raise NotInAgentError(f"{name} in {where}", "it would stop the session's thread", do)


_SKIPPED: Final = ("asyncio", "workbench", "contextlib", "concurrent", "threading")


class _Code:
    """What is known of a code object, which is kept: its number is its own as long as it is there."""

    __slots__ = ("code", "lines", "place")

    def __init__(self, frame: FrameType) -> None:
        self.code: CodeType = frame.f_code
        self.place = _place_of(frame)
        self.lines: dict[int, str] = {}


_CODES: Final = 10_000
"""Code objects that are remembered at most: a notebook makes new ones whenever a cell runs."""
_codes: dict[int, _Code] = {}
"""By `id`: to hash a code object, Python hashes all that is in it. (A place costs 0.25 µs so, not 0.9.)"""


def calling_line() -> str:
    """`file:line` of the user's code that led here: the nearest frame outside asyncio and the workbench.

    In a task that is library code from top to bottom (`gather(asyncio.sleep(1))`) it is the line that made the task.
    """
    line = line_of(sys._getframe(1))  # noqa: SLF001 - what inspect.currentframe does, without its cost
    if not line and current.instance is not None:
        line = getattr(asyncio.current_task(), "line", "")
    return line


def line_of_task(coroutine: object) -> str:
    """What `calling_line` shall say in a task of this coroutine where no frame is the user's."""
    own = line_of(getattr(coroutine, "cr_frame", None))
    return "" if own else calling_line()


def line_of(frame: FrameType | None) -> str:
    """`file:line` of the user's code that a frame stands in or was called from; empty when there is none."""
    while frame is not None:
        number = id(frame.f_code)
        known = _codes.get(number)
        if known is None:
            if len(_codes) >= _CODES:
                _codes.clear()
            known = _codes[number] = _Code(frame)
        if known.place:
            at = frame.f_lasti
            line = known.lines.get(at)
            if line is None:
                line = known.lines[at] = f"{known.place}:{frame.f_lineno}"
            return line
        frame = frame.f_back
    return ""


def _place_of(frame: FrameType) -> str:
    """How a frame's file is called in places; empty for code that is not the user's."""
    return place_name(frame.f_code.co_filename) if _is_users(frame) else ""


def _is_users(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] not in _SKIPPED or module.startswith("workbench.bench")


def users_part(trace: TracebackType | None) -> TracebackType | None:
    """A traceback with the frames of the user's code only; None when there are none."""
    frames: list[TracebackType] = []
    while trace is not None:
        if _is_users(trace.tb_frame):
            frames.append(trace)
        trace = trace.tb_next
    found: TracebackType | None = None
    for at in reversed(frames):
        found = TracebackType(found, at.tb_frame, at.tb_lasti, at.tb_lineno)
    return found
