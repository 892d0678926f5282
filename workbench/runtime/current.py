"""Which agent's code this thread is running, if any, and which line of it.

One agent runs at a time on a session's thread, and only inside a delivery, so a thread-local slot says it all: it is set
around each run and empty otherwise, also in the threads and tasks that steps run in.
"""

import sys
import threading
from types import CodeType, FrameType
from typing import Any, Final

from workbench.errors import NotInAgentError


class _Current(threading.local):
    instance: Any = None
    """The running `Instance`, or None. (Its class lives a floor above; see `instance.py`.)"""


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


_ours: dict[CodeType, bool] = {}
_SKIPPED: Final = ("asyncio", "workbench", "contextlib", "concurrent")


def calling_line() -> str:
    """`file:line` of the user's code that led here: the nearest frame outside asyncio and the workbench."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.currentframe does, without its cost
    while frame is not None:
        code = frame.f_code
        ours = _ours.get(code)
        if ours is None:
            module = str(frame.f_globals.get("__name__", ""))
            ours = _ours[code] = module.partition(".")[0] in _SKIPPED and not module.startswith("workbench.bench")
        if not ours:
            return f"{code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
