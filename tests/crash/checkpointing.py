"""The corpus again, with a checkpoint every few entries; see `workbench.testing` for what a program is."""

from __future__ import annotations

from collections.abc import Callable

import workbench as wb
from tests.replay.corpus import PROGRAMS as CORPUS
from workbench.runtime.journal import Pace

Tell = Callable[[str, object], None]
Program = Callable[[Tell], object]

EVERY = 7
"""Entries from one checkpoint to the next."""


def often(session: wb.Session) -> None:
    """From now on this session writes a checkpoint every few entries, and when it is closed."""
    session.thread.journal.pace = Pace(entries=EVERY, per_agent=0, closing=1)


def _with_checkpoints(name: str) -> Program:
    def run(tell: Tell) -> object:
        often(wb.session())
        return CORPUS[name](tell)

    run.__name__ = run.__qualname__ = name
    return run


PROGRAMS = {name: _with_checkpoints(name) for name in CORPUS}
globals().update(PROGRAMS)
