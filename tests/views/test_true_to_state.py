"""The graph of real sessions that used every verb: at each entry of the log it tells what the session's state tells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.views.lesson import TWICE, Lesson, everything
from workbench.core.nouns import ROOT_UID, Agent, status_of
from workbench.core.state import State
from workbench.model.entries import Entry
from workbench.views.earlier import earlier_agents
from workbench.views.graph import GraphNode, GraphView, Link, Status
from workbench.views.graph import status_of as shown_as

SAME = {
    "running": {Status.QUEUED, Status.RUNNING, Status.WAITING},
    "idle": {Status.IDLE, Status.DONE, Status.FAILED},
    "exited": {Status.EXITED, Status.FAILED},
    "suspended": {Status.SUSPENDED},
    "interrupted": {Status.INTERRUPTED},
    "retrying": {Status.RETRYING},
    "failed": {Status.FAILED},
}
"""What a node may show, by the word of `client.status()`."""


def alike(agent: Agent, node: GraphNode) -> bool:
    """Whether a node shows what the folded facts of its agent are."""
    word, shown = status_of(agent), shown_as(node)
    if agent.interrupted and agent.nudged:
        return True  # about to be resumed: the state looks ahead to the next entry
    if shown is Status.SUSPENDED and any(wait.on.settled for wait in agent.waits.values()):
        return word == "running"  # about to be given what it waited for, likewise
    return (
        shown in SAME[word]
        and node.pending == len(agent.queue or ())
        and node.ran + node.raised == agent.finished
        and node.raised == agent.raised
        and (bool(agent.failure) or sorted(node.waits or ()) == sorted(agent.waits))
        and node.running == (agent.current.seq if agent.current else 0)
    )


def assert_true(log: list[Entry], cut: int = 1) -> set[str]:
    """Whenever so many entries are folded, each agent is shown as it is; the words there were."""
    state, view, words = State(), GraphView(), set()
    for at in range(0, len(log), cut):
        state.fold(log[at : at + cut])
        view.apply(log[at : at + cut])
        assert list(view.by_uid) == list(state.agents)
        for uid, agent in state.agents.items():
            if uid != ROOT_UID:
                node = view.by_uid[uid]
                assert alike(agent, node), (log[min(at + cut, len(log)) - 1], status_of(agent), agent, node)
                words.add(status_of(agent))
        at_work = {i.seq for a in state.agents.values() for i in (a.current, *(a.queue or ())) if i is not None}
        links = list(view.links())
        assert len({link.key for link in links}) == len(links)
        for link in links:  # no delivery tells of their end
            assert link.key in at_work or not (link.agent == ROOT_UID or link.kind == Link.TRIGGER), link
    return words


def shown_late(log: list[Entry], since: int, now: State) -> Iterator[tuple[Agent, GraphNode]]:
    """Agents at the end of a log, and their nodes in a view that began at a `seq`; not those with older waits."""
    state = State().fold(log)
    view = GraphView(since=since, earlier=earlier_agents(now, since))
    view.apply(log[since:])
    for uid, node in view.by_uid.items():
        agent = state.agents[uid]
        older = any(wait.seq <= since for wait in agent.waits.values())
        if uid != ROOT_UID and not older and agent.text != f"Worker({TWICE})":
            yield agent, node


def test_a_session_that_used_every_verb_is_shown_as_it_is(lesson: Lesson) -> None:
    """At each entry each agent's status, counts and waits are the session's; at the end, what `agents()` tells."""
    everything(lesson)
    words = assert_true(lesson.log())
    assert words == {"running", "idle", "suspended", "interrupted", "retrying", "failed", "exited"}
    view = GraphView()
    view.apply(lesson.log())
    told = {info.agent_id: info for info in lesson.session.agents()}
    for agent_id, info in told.items():
        node = view.find(agent_id)
        assert node is not None
        assert shown_as(node) in SAME[info.status], info
        assert (node.pending, node.ran + node.raised, node.raised) == (info.queued, info.finished, info.failed), info
    gone = [node for node in view.nodes if node.agent_id not in told and node.uid != ROOT_UID]
    assert gone
    assert {shown_as(node) for node in gone} == {Status.EXITED}


@pytest.mark.parametrize("cut", [2, 7, 10_000])
def test_it_is_the_same_however_the_log_is_cut(lesson: Lesson, cut: int) -> None:
    """Entries folded in lots give what they give one by one, links included."""
    everything(lesson)
    log = lesson.log()
    assert_true(log, cut)
    one, many = GraphView(), GraphView()
    for entry in log:
        one.apply([entry])
    for at in range(0, len(log), cut):
        many.apply(log[at : at + cut])
    assert many.state() == one.state()


def test_a_view_that_begins_late_ends_true(lesson: Lesson) -> None:
    """Wherever in the log a view begins, it ends with the statuses, counts and queues that are so."""
    everything(lesson)
    log = lesson.log()
    for since in range(1, len(log)):
        for agent, node in shown_late(log, since, State().fold(log[:since])):
            assert alike(agent, node), (since, agent, node)


def test_a_view_that_begins_long_ago_ends_true(lesson: Lesson) -> None:
    """Also when only the present state is known of the agents, statuses end true, but for those that were reverted."""
    everything(lesson)
    log = lesson.log()
    now = State().fold(log)
    for since in range(1, len(log)):
        for agent, node in shown_late(log, since, now):
            assert agent.reverts or shown_as(node) in SAME[status_of(agent)], (since, agent, node)
