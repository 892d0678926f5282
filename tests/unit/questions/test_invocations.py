"""The history of invocations over random histories of a session: it never differs from the state."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.replay.test_reading_laws import disagreements
from tests.unit.core.test_checkpoint import WEIGHTED, Play
from workbench.core.state import State
from workbench.questions.invocations import INVOCATION_STATES, TELLING, Invocations

ACTIONS = st.lists(
    st.tuples(st.sampled_from(WEIGHTED), st.integers(0, 60), st.integers(0, 60)), min_size=30, max_size=80
)


@settings(max_examples=200)
@given(ACTIONS)
def test_random_histories(actions: list[tuple[str, int, int]]) -> None:
    """After each entry of any history, what runs, is queued, has a key or ended last is told as the state holds it."""
    play = Play()
    for action in actions:
        play.act(*action)
    state, known = State(), Invocations()
    for entry in play.written:
        state.apply(entry)
        if isinstance(entry.body, TELLING):
            known.read(entry)
            assert disagreements(state, known) == []
    rows = known.rows()
    assert [row.seq for row in rows] == sorted(row.seq for row in rows)
    for row in rows:
        assert row.state in INVOCATION_STATES
        assert (row.ended is None) == (row.state in {"pending", "running"})
        assert row.started is not None or row.state != "finished"
        assert row in known.rows(row.agent_id)
