"""Fault points: named places on the way of an entry where a test may end the process; idle unless armed.

A point is passed once a batch, a statement or a release, never once an entry, and costs one comparison while nothing is
armed. `workbench.testing` arms them; see `POINTS` for what each name means.
"""

from collections.abc import Callable
from typing import Final

POINTS: Final = {
    "store.begun": "a new store's file exists and holds no tables",
    "store.made": "a new store's tables are made and not committed",
    "recovery.folded": "the log was read and folded, nothing was taken up yet",
    "batch.handover": "the session's thread is about to hand a batch to the writer",
    "append.before": "the writer has a batch and has not touched the store",
    "append.begun": "a transaction is open, nothing is written",
    "append.statement": "one statement of a transaction is done",
    "append.commit.before": "all of a batch is written, nothing is committed",
    "append.commit.after": "a batch is committed, nobody knows it yet",
    "checkpoint.before": "a checkpoint is written and not committed",
    "checkpoint.after": "a checkpoint is committed",
    "feed.publish": "the session's thread knows of a commit, no reader does",
    "release": "something is about to leave the session: a result, a line that was printed, a step that starts",
    "step.done": "a side effect has run, its outcome is not recorded",
}
"""Every point, and what is the case when it is reached."""

_action: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Tell that the process is at a point; does what was armed, by default nothing."""
    if _action is not None:
        _action(point)


def arm(action: Callable[[str], None] | None) -> None:
    """Have `action` called with the name of each point that is reached, on whichever thread; None disarms."""
    global _action  # noqa: PLW0603 - one process, one fault
    _action = action
