"""Checkpoints over the corpus: a state that was written and read again is the state, at every entry of every log."""

from __future__ import annotations

import pytest

from tests.replay.conftest import Finisher
from tests.replay.corpus import PROGRAMS
from workbench.core.checkpoint import read, write
from workbench.core.state import State
from workbench.testing import dump, read_log


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_a_checkpoint_at_every_entry(name: str, finished: Finisher) -> None:
    """A fold that goes through a checkpoint before each entry agrees with the plain one, and wakes whom that wakes.

    So a fold may be taken up after any entry, and goes on as if it had never stopped.
    """
    plain, kept = State(), State()
    for entry in read_log(finished(name).store):
        again = read(write(kept))
        assert again is not None
        kept = again
        plain.wakes, plain.ended = [], []
        plain.apply(entry)
        kept.apply(entry)
        assert dump(kept) == dump(plain), entry
        assert (kept.wakes, len(kept.ended)) == (plain.wakes, len(plain.ended)), entry
    assert list(kept.due_waits()) == list(plain.due_waits())
