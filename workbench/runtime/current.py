"""Which agent's code this thread is running, if any, and which line of it.

One agent runs at a time on a session's thread, and only inside a delivery, so a thread-local slot says it all: it is
set around each run and empty otherwise, also in the threads and tasks that steps run in.
"""

import sys
import threading
from types import CodeType, FrameType
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


_SKIPPED: Final = ("asyncio", "workbench", "contextlib", "concurrent")
_places: dict[CodeType, str] = {}
"""Code -> how its file is called in places; empty for code that is not the user's."""


def calling_line() -> str:
    """`file:line` of the user's code that led here: the nearest frame outside asyncio and the workbench."""
    return line_of(sys._getframe(1))  # noqa: SLF001 - what inspect.currentframe does, without its cost


def line_of(frame: FrameType | None) -> str:
    """`file:line` of the user's code that a frame stands in or was called from; empty when there is none."""
    while frame is not None:
        code = frame.f_code
        place = _places.get(code)
        if place is None:
            place = _places[code] = _place_of(frame)
        if place:
            return f"{place}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _place_of(frame: FrameType) -> str:
    module = str(frame.f_globals.get("__name__", ""))
    if module.partition(".")[0] in _SKIPPED and not module.startswith("workbench.bench"):
        return ""
    return place_name(frame.f_code.co_filename)
