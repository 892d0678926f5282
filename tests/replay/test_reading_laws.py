"""What is read off the log agrees with the state that the same entries fold to, over every program of the corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

import workbench as wb
from tests.replay.conftest import Finisher
from tests.replay.corpus import PROGRAMS
from tests.views.moments import assert_moments, assert_promises, tape_of
from workbench.core.nouns import ROOT_UID
from workbench.core.state import State
from workbench.questions.invocations import TELLING, Invocations
from workbench.store.log import SqliteLog
from workbench.testing import dump, read_log

each_program = pytest.mark.parametrize("name", list(PROGRAMS))


def disagreements(state: State, known: Invocations) -> list[str]:
    """What the two say differently of what runs, is queued, has a key, or ended last."""
    wrong = []
    for agent in state.agents.values():
        if agent.uid == ROOT_UID:
            continue
        current = known._current.get(agent.uid)
        told: dict[str, tuple[object, object]] = {
            "current": (current and current.seq, agent.current and agent.current.seq),
            "queue": (list(known._open.get(agent.uid, {})), [i.seq for i in agent.queue or ()]),
        }
        if not agent.deleted:
            told["keys"] = (
                {key: row.seq for key, row in known._keys.get(agent.uid, {}).items()},
                {key: i.seq for key, i in (agent.keys or {}).items()},
            )
        row = known._rows.get(agent.uid, {}).get(agent.last.seq) if agent.last is not None else None
        if agent.last is not None and (row is not None or not agent.source):  # a fork's last may be its source's
            told["last"] = (row and row.state, "finished" if agent.last.ok else "failed")
        wrong += [f"{agent.text} {what}: {one} and {two}" for what, (one, two) in told.items() if one != two]
    return wrong


@each_program
def test_invocations_agree_with_the_state(name: str, finished: Finisher) -> None:
    """After each entry, the history of invocations says the same as the state of those that the state still holds."""
    state, known = State(), Invocations()
    for entry in read_log(finished(name).store):
        state.apply(entry)
        if isinstance(entry.body, TELLING):
            known.read(entry)
            assert disagreements(state, known) == [], entry


@each_program
def test_a_reader_folds_what_the_session_folded(name: str, finished: Finisher) -> None:
    """A session that only looks has the very state that the log folds to, and leaves no file behind."""
    store = finished(name).store
    before = sorted(store.parent.iterdir())
    with wb.start(store, read_only=True) as session:
        found = session.read(dump)
        assert found == dump(State().fold(read_log(store)))
        assert {a.status for a in session.agents()} <= {"idle", "failed", "exited", "suspended", "interrupted"}
        for agent in session.agents():
            assert session.oplog(agent.agent_id, "") == session.oplog(agent.agent_id)
        assert len(session.invocations()) >= sum(agent.finished for agent in session.agents() if not agent.forked_from)
    assert sorted(store.parent.iterdir()) == before


@each_program
def test_every_selection_is_a_part_of_the_log(name: str, finished: Finisher) -> None:
    """Entries that are looked up by kind, by bytes and by number are those that reading all finds."""
    entries = read_log(finished(name).store)
    log = SqliteLog(Path(finished(name).store), "", read_only=True)
    mark = f"{log.salt}-".encode()
    assert [x for x in entries if isinstance(x.body, TELLING)] == list(log.select(TELLING))
    assert list(log.select((), mark, after=10, upto=60)) == [x for x in log.select((), mark) if 10 < x.seq <= 60]
    assert log.read_seqs([x.seq for x in entries[::3]]) == entries[::3]
    log.close()


@each_program
def test_a_tape_shows_every_entry_as_it_was(name: str, finished: Finisher) -> None:
    """At each entry a tape of all of them shows what one shows that ends there; its promises are the session's."""
    store = finished(name).store
    entries = list(read_log(store))
    assert_moments(entries)
    with wb.start(store, read_only=True) as session:
        assert_promises(tape_of(entries), session.promises())
