"""Agents that hold the session's thread: while one computes or blocks, all others wait. They are told, once each.

A thread looks eight times a second whether the same run of an agent is still going on; nothing is measured on the way
of those that are quick.
"""

import logging
import sys
import threading
from types import FrameType
from typing import Final, Protocol

from workbench.core.nouns import Agent
from workbench.runtime.current import line_of

INTERVAL: Final = 0.125
"""Seconds between two looks."""
LOOKS: Final = 2
"""Looks in a row at the same run after which it is told: it has held the thread for 250 ms."""

_LIBRARY: Final = sys.stdlib_module_names - {"__main__"}

logger = logging.getLogger("workbench")


class Runs(Protocol):
    """Who runs agents: the engine."""

    running: Agent | None
    """The agent whose code is running now."""
    runs: int
    """How often one has begun to run."""


class Holdups:
    """Watches one session's thread.

    Args:
        runs: the engine.
        thread: number of the session's thread.
    """

    def __init__(self, runs: Runs, thread: int) -> None:
        self._runs, self._session_thread = runs, thread
        self._told: set[tuple[str, str]] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="workbench-holdups", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        before = looks = 0
        while not self._over.wait(INTERVAL):
            runs, agent = self._runs.runs, self._runs.running
            looks = looks + 1 if agent is not None and runs == before else 0
            before = runs
            if agent is not None and looks == LOOKS:
                self._tell(agent)

    def _tell(self, agent: Agent) -> None:
        current = agent.current
        method = "" if current is None else current.method
        line = _own_line(sys._current_frames().get(self._session_thread))  # noqa: SLF001 - other threads' frames
        if (agent.type_name, line) not in self._told:
            self._told.add((agent.type_name, line))
            logger.warning(
                "%s.%s holds the session's thread for more than 250 ms, at %s: all other agents wait. "
                "Do it in a step: await wb.step(function, ...), with cpu=True if it computes.",
                agent.text,
                method,
                line or "an unknown line",
            )

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        self._thread.join()


def _own_line(frame: FrameType | None) -> str:
    """The line of the agent's own code that led into the standard library, if that is where it stands."""
    own = frame
    while own is not None and str(own.f_globals.get("__name__", "")).partition(".")[0] in _LIBRARY:
        own = own.f_back
    return line_of(own) or line_of(frame)
