"""The tape's laws, over logs of every shape and a session that used every verb."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from tests.views.entry_log import fan_out
from tests.views.lesson import Lesson, everything
from tests.views.moments import assert_moments, assert_promises, promise_stories, tape_of, told
from tests.views.wandering import wander
from workbench.views import tape as tapes
from workbench.views.earlier import earlier_agents
from workbench.views.graph_nodes import status_of
from workbench.views.tape import PromiseEvent, Row, Tape

choices = st.lists(st.integers(0, 1000), max_size=150)


@pytest.fixture(autouse=True)
def small_keyframes(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Every eleventh row or so is a keyframe, so that short logs have many."""
    if "real_keyframes" not in request.fixturenames:
        monkeypatch.setattr(tapes, "KEYFRAME", 11)


@pytest.fixture
def real_keyframes() -> Iterator[None]:
    """As many rows between keyframes as there really are."""
    yield  # noqa: PT022


@given(choices)
def test_a_moment_is_what_a_tape_shows_that_ends_there(numbers: list[int]) -> None:
    """Statuses, agents, links and counts, at every entry, across keyframes; they are those of the live graph."""
    assert_moments(wander(numbers).entries)


@pytest.mark.parametrize("seed", range(5))
def test_so_it_is_in_a_long_log(seed: int) -> None:
    """A thousand entries, in which the same agents do many things."""
    roll = Random(seed)  # noqa: S311 - dice
    log = wander([roll.randrange(1000) for _ in range(3000)])
    assert len(log.entries) > 500
    assert_moments(log.entries)


@given(choices, st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_however_a_log_is_cut_the_rows_are_the_same(numbers: list[int], sizes: list[int]) -> None:
    """Columns, texts, promises and keyframes; so a tape may be read in slices and sent on from any row."""
    log = wander(numbers)
    whole, cut, at = tape_of(log.entries), Tape(), 0
    for i in range(len(log.entries)):
        size = sizes[i % len(sizes)]
        cut.apply(log.entries[at : at + size])
        at += size
    assert cut.columns() == whole.columns()
    assert (cut.texts, cut.promises, cut.last_seq) == (whole.texts, whole.promises, whole.last_seq)
    assert [told(frame) for frame in cut._keyframes] == [told(frame) for frame in whole._keyframes]


@given(choices)
def test_rows_never_go_back(numbers: list[int]) -> None:
    """`seq` never falls from row to row, each row is of an agent that has appeared, and each text is there."""
    tape = tape_of(wander(numbers).entries)
    assert list(tape.seq) == sorted(tape.seq)
    seen = 0
    for kind, slot in zip(tape.kind, tape.slot, strict=True):
        seen += kind == Row.AGENT
        assert -1 <= slot < seen
    assert [tape.texts[tape.c[row]] for row in tape.rows(Row.AGENT)] == [n.agent_id for n in tape.view.nodes]


@given(choices, st.integers(0, 200))
def test_looking_at_a_moment_changes_nothing(numbers: list[int], seq: int) -> None:
    """Whoever changes what is given to it has its own."""
    log = wander(numbers)
    tape, same = tape_of(log.entries), tape_of(log.entries)
    moment = tape.moment(seq)
    for row in range(len(moment.last)):
        moment.last[row] = 99
    moment.links.append(99)
    assert told(tape.moment(seq)) == told(same.moment(seq))
    assert told(tape.moment()) == told(same.moment())


def test_beyond_the_end_it_is_now_and_before_the_beginning_nobody_is_there() -> None:
    """Any number is an answer; none is now."""
    tape = tape_of(fan_out(3).entries)
    assert told(tape.moment(10**9)) == told(tape.moment()) == told(tape.moment(tape.last_seq))
    for seq in (0, -7):
        assert told(tape.moment(seq)) == (seq, 0, 0, [], [])
    assert told(Tape().moment()) == (0, 0, 0, [], [])


# ---- a real session


def test_a_session_that_used_every_verb_is_shown_at_every_entry(lesson: Lesson) -> None:
    """Crash, reverts, forks, deletions and all."""
    everything(lesson)
    assert_moments(lesson.log())


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_session_that_used_every_verb_gives_the_same_rows_in_any_slices(lesson: Lesson, cut: int) -> None:
    """As the pump folds it."""
    everything(lesson)
    log, parts = lesson.log(), Tape()
    for at in range(0, len(log), cut):
        parts.apply(log[at : at + cut])
    assert parts.columns() == tape_of(log).columns()


def test_promises_are_told_as_the_session_tells_them(lesson: Lesson) -> None:
    """State, who waits, who completed it, how often in vain, where it was made; those that ended are no more."""
    everything(lesson)
    infos = lesson.session.promises()
    assert {info.state for info in infos} == {"pending", "completed"}
    tape = tape_of(lesson.log())
    assert_promises(tape, infos)
    living = {int(i.promise_id.incarnation.rpartition("-")[2]) for i in infos}
    assert {owner for owner, _ in promise_stories(tape)} == living


def test_a_tape_that_begins_late_ends_with_the_same_statuses(lesson: Lesson) -> None:
    """Of those that it shows: they are what the graph shows that began there."""
    everything(lesson)
    log = lesson.log()
    for since in range(1, len(log), 9):
        tape = Tape(since=since)
        tape.apply(log[since:])
        moment = tape.moment()
        assert [tape.status(moment, node.slot) for node in tape.view.nodes] == [status_of(n) for n in tape.view.nodes]
        assert moment.agents == len(tape.view.nodes)


def test_a_promise_that_a_cell_makes_is_told_from_its_making_on(lesson: Lesson) -> None:
    """Also in a view that begins when nobody had done anything yet, and though no call has shown the cells."""
    since, earlier = lesson.session.read(lambda state: (state.seq, earlier_agents(state, state.seq)))
    promise = wb.create_promise()
    tape = Tape(since=since, earlier=earlier)
    tape.apply(lesson.session.feed.read(since))
    wb.complete_promise(promise, b"")
    tape.apply(lesson.session.feed.read(tape.last_seq))
    assert [node.agent_id for node in tape.view.nodes] == ["Session()"]
    assert [PromiseEvent(tape.b[row]).name for row in tape.rows(Row.PROMISE)] == ["CREATED", "COMPLETED"]


# ---- speed


def test_any_of_a_hundred_thousand_entries_is_found_at_once(real_keyframes: None) -> None:
    """Under 10 ms wherever it lies, the best of some tries; also when the log came in small slices, as live ones do."""
    log = fan_out(20_500, done=20_000)
    assert len(log.entries) > 100_000
    tape = Tape()
    for at in range(0, len(log.entries), 400):
        tape.apply(log.entries[at : at + 400])
    assert len(tape._keyframes) == len(tape) // tapes.KEYFRAME
    for seq in range(0, len(log.entries), 10_007):
        took = []
        for _ in range(5):
            began = perf_counter()
            tape.moment(seq)
            took.append(perf_counter() - began)
        assert min(took) < 0.010, seq
