"""Arming the fault points of `workbench.store.faults`."""

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Collection

from workbench.runtime import session_thread
from workbench.store import faults


def die() -> None:
    """End this process as `kill -9` ends it: no handler, no buffer, no thread gets another word."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # the signal takes the process before this returns


def crash_at(n: int, *, only: Collection[str] = (), telling: Callable[[str, int], None] | None = None) -> None:
    """From now on the n-th fault point that is reached (counted from 1, over all threads) ends the process.

    Args:
        n: which one; a run that reaches fewer is left alone.
        only: names of points to count; by default all of `workbench.store.faults.POINTS`.
        telling: called with the point's name and number right before the end.
    """
    count = itertools.count(1)

    def act(point: str) -> None:
        if (not only or point in only) and next(count) == n:
            if telling is not None:
                telling(point, n)
            die()

    faults.arm(act)


def count_points() -> Counter[str]:
    """From now on the points that are reached are counted by name; the counter that is returned goes on counting."""
    counted: Counter[str] = Counter()
    faults.arm(lambda point: counted.update((point,)))
    return counted


def finest_turns() -> None:
    """For this process: each turn serves one agent and commits for itself, so that a crash can come between any two."""
    setattr(session_thread, "TURN_ENTRIES", 1)  # noqa: B010 - a constant for everybody else
    setattr(session_thread, "BACKLOG_ENTRIES", 1)  # noqa: B010
