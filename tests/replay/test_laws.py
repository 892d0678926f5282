"""The replay laws, each over every program of the corpus."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.replay import children
from tests.replay.conftest import Finisher
from tests.replay.corpus import PROGRAMS
from workbench.core.lineage import segments
from workbench.core.state import State
from workbench.model.entries import AgentForked, Entry, ForkMade, SessionStarted
from workbench.store.log import SqliteLog
from workbench.testing import Launcher, dump, read_log, violations

FORKS = [name for name in PROGRAMS if name.startswith("fork")]
TIMED = [*FORKS, "steps"]
"""What waits for the disk or for threads: the order between agents or steps is no function of the program alone."""
each_program = pytest.mark.parametrize("name", list(PROGRAMS))


def oplogs(entries: list[Entry]) -> dict[int, list[tuple[object, ...]]]:
    """Per agent what happened in which order: all of an entry but its place in the total order and its process."""
    found: dict[int, list[tuple[object, ...]]] = {}
    for x in entries:
        body = None if isinstance(x.body, SessionStarted) else x.body
        found.setdefault(x.agent, []).append((x.index, x.kind, x.wall, x.mono, x.line, x.invocation, body))
    return found


def cut(store: Path, target: Path, upto: int) -> None:
    """Copy the first entries of a store into a new one."""
    source = SqliteLog(store, "", read_only=True)
    copy = SqliteLog(target, source.salt)
    copy.append(list(source.read(0, upto)))
    copy.close()
    source.close()


@each_program
def test_two_runs_agree(name: str, finished: Finisher, launcher: Launcher, tmp_path: Path) -> None:
    """Two runs of one program under one seed come to the same result and write the same log, entry for entry.

    A fork begins when its cut is committed, a step ends when its thread does, which takes as long as it takes: there
    the oplogs are the same kinds in the same order, and the numbers in them may differ.
    """
    first = finished(name)
    second = launcher.run(children.finish, program=name, store=str(tmp_path / "again.db"), seed="1")
    assert second.result["result"] == first.result
    one, two = read_log(first.store), read_log(tmp_path / "again.db")
    assert violations(one) == []
    assert violations(two) == []
    if name in TIMED:
        assert sorted([(x[1], x[4]) for x in o] for o in oplogs(two).values()) == sorted(
            [(x[1], x[4]) for x in o] for o in oplogs(one).values()
        )
    else:
        assert second.result["objects"] == first.objects
        assert oplogs(two) == oplogs(one)


@each_program
def test_a_fresh_process_rebuilds_every_agent(
    name: str, finished: Finisher, stranger: Launcher, tmp_path: Path
) -> None:
    """Replay under another hash seed: same objects, no divergence, no new entry, no print, no effect."""
    done = finished(name)
    store, entries = tmp_path / "copy.db", read_log(done.store)
    cut(done.store, store, entries[-1].seq)
    printed = stranger.output.stat().st_size if stranger.output.exists() else 0
    rebuilt = stranger.run(children.rebuild, store=str(store), seed="2")
    assert not rebuilt.error, rebuilt.error
    assert rebuilt.result["failed"] == {}
    assert rebuilt.result["added"] == []
    assert rebuilt.result["objects"] == done.objects
    assert stranger.output.read_text()[printed:] == ""
    assert not Path(f"{store}.effects").exists()
    for agent_id, seen in rebuilt.result["seen"].items():
        kept = done.objects[agent_id]
        assert repr(seen) in {repr(value) for value in map(_unrepr, kept.values())}, agent_id
    after = read_log(store)
    assert after[: len(entries)] == entries
    assert isinstance(after[len(entries)].body, SessionStarted)


def _unrepr(value: Any) -> Any:
    """`plain` shows leaves by their `repr`."""
    if isinstance(value, list):
        return [_unrepr(item) for item in value]
    return eval(value, {"__builtins__": {}}) if isinstance(value, str) and value[:1] in "'\"-0123456789TFN" else value  # noqa: S307


@each_program
def test_hints_do_not_matter(name: str, finished: Finisher, stranger: Launcher, tmp_path: Path) -> None:
    """Replay that sees no hint entry rebuilds the same agents, and writes nothing."""
    done = finished(name)
    cut(done.store, tmp_path / "copy.db", 1 << 62)
    rebuilt = stranger.run(children.rebuild, store=str(tmp_path / "copy.db"), seed="2", hints=False)
    assert not rebuilt.error, rebuilt.error
    assert (rebuilt.result["failed"], rebuilt.result["added"]) == ({}, [])
    assert rebuilt.result["objects"] == done.objects


@pytest.mark.slow
@pytest.mark.timeout(300)
@each_program
def test_any_committed_prefix_is_fine(name: str, finished: Finisher, stranger: Launcher, tmp_path: Path) -> None:
    """A store cut where any batch could have ended is taken up and comes to the same result."""
    done = finished(name)
    last = read_log(done.store)[-1].seq
    for end in [e for e in done.ends if 2 <= e <= last]:
        store = tmp_path / f"cut-{end}.db"
        cut(done.store, store, end)
        resumed = stranger.run(children.resume, program=name, store=str(store), seed=f"cut {end}")
        assert not resumed.error, f"cut after entry {end}: {resumed.error}"
        assert not resumed.hung, f"cut after entry {end}"
        assert resumed.result["failures"] == [], f"cut after entry {end}"
        assert resumed.result["result"] == done.result, f"cut after entry {end}"
        assert violations(read_log(store)) == [], f"cut after entry {end}"


@each_program
def test_every_prefix_folds(name: str, finished: Finisher) -> None:
    """The state can be folded up to any entry, and what it says of agents and waits fits together there."""
    state = State()
    for entry in read_log(finished(name).store):
        state.apply(entry)
        for agent in state.agents.values():
            assert agent.index >= agent.cut
            assert not agent.queue or all(not i.started and not i.settled for i in agent.queue)
            assert state.agents[agent.uid] is agent
        parts = [range(part.first, part.last + 1) for part in segments(state, entry.agent)]
        assert all(before.stop <= after.start for before, after in pairwise(parts))
        if not state.agents[entry.agent].reverts:
            assert sum(map(len, parts)) == entry.index


@each_program
def test_folding_twice_gives_equal_states(name: str, finished: Finisher) -> None:
    """The state is a function of the log: two folds agree in every fact."""
    entries = read_log(finished(name).store)
    first, second = State().fold(entries), State()
    for entry in entries:
        second.apply(entry)
    assert dump(first) == dump(second)


def test_two_processes_fold_the_same_state(
    finished: Finisher, launcher: Launcher, stranger: Launcher, tmp_path: Path
) -> None:
    """The fold does not depend on the process: sets of text are ordered differently in the second one."""
    done = finished("fork_in_flight")
    states = []
    for number, process in enumerate((launcher, stranger)):
        cut(done.store, tmp_path / f"{number}.db", 1 << 62)
        states.append(process.run(children.state_of, store=str(tmp_path / f"{number}.db"), seed="5").result)
    assert states[0] == states[1]


@pytest.mark.parametrize("name", FORKS)
def test_a_fork_shares_its_prefix(name: str, finished: Finisher) -> None:
    """Up to the cut a fork's oplog is its source's, by reference; one fork for each `ForkMade`."""
    entries = read_log(finished(name).store)
    state = State().fold(entries)
    own = {uid: [x for x in entries if x.agent == uid] for uid in state.agents}

    def oplog(uid: int) -> list[Entry]:
        return [x for part in segments(state, uid) for x in own[part.uid] if part.first <= x.index <= part.last]

    forks = [x for x in entries if isinstance(x.body, AgentForked)]
    assert forks
    assert len(forks) == sum(isinstance(x.body, ForkMade) for x in entries)
    for x in forks:
        assert isinstance(x.body, AgentForked)
        shared = oplog(x.body.source)[: x.body.cut]
        assert oplog(x.agent)[: x.body.cut] == shared
        assert isinstance(shared[-1].body, ForkMade)
        assert [y.index for y in oplog(x.agent)] == list(range(1, state.agents[x.agent].index + 1))
        assert len(own[x.agent]) == state.agents[x.agent].index - x.body.cut


@pytest.mark.parametrize("name", FORKS)
def test_sides_of_a_fork_derive_different_keys(name: str, finished: Finisher) -> None:
    """No two agents made the same promise, phantom or fork id, and each key was accepted once by each agent."""
    state = State().fold(read_log(finished(name).store))
    texts = [agent.text for agent in state.agents.values()]
    assert len(texts) == len(set(texts))
