"""The graph's fold: what each kind of entry does to nodes, links and statuses, however the log is cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.views.entry_log import BEGAN, MILLISECOND, EntryLog, fan_out
from tests.views.wandering import wander
from workbench.model.entries import (
    AgentFailed,
    CallMade,
    CallRefused,
    InvocationCancelled,
    SessionStarted,
    StepFinished,
    StepStarted,
    TimerFired,
    TimerSet,
    WaitDropped,
)
from workbench.views.graph import Earlier, GraphView, Link, Status, status_of


def fold(log: EntryLog, **options: Any) -> GraphView:
    """The view at the log's end."""
    view = GraphView(**options)
    view.apply(log.entries)
    return view


def status(view: GraphView, uid: int) -> Status:
    """The status of an agent that is shown."""
    return status_of(view.by_uid[uid])


def links(view: GraphView) -> list[tuple[Link, int, int]]:
    """Open links as kind, from, to."""
    return [(Link(w.kind), w.agent, w.on) for w in view.links()]


def test_the_tree_is_who_spawned_whom() -> None:
    """Nodes stand in order of creation and hang on who spawned them; the session is the root."""
    view = fold(fan_out(3))
    assert [node.agent_id for node in view.nodes] == [
        "Session()",
        "Coordinator()",
        "Worker(0)",
        "Worker(1)",
        "Worker(2)",
    ]
    assert [node.parent for node in view.nodes] == [-1, 0, 1, 1, 1]


def test_a_call_goes_from_queued_to_done() -> None:
    """An agent is queued from acceptance, running from the start, done at the end; its caller waits until told."""
    log = EntryLog()
    top = log.work(log.root, "Coordinator()")
    assert isinstance(top.body, CallMade)
    caller, uid = top.body.target, log.agent("Worker(1)", by=top.body.target)
    assert status(fold(log), uid) is Status.IDLE
    call = log.call(caller, uid)
    assert status(fold(log), uid) is Status.QUEUED
    log.start(call)
    view = fold(log)
    assert (status(view, uid), status(view, caller)) == (Status.RUNNING, Status.WAITING)
    log.finish(call)
    view = fold(log)
    assert (status(view, uid), status(view, caller)) == (Status.DONE, Status.WAITING)
    assert (Link.CALL, caller, uid) in links(view)
    log.deliver(call)
    view = fold(log)
    assert status(view, caller) is Status.RUNNING
    assert (Link.CALL, caller, uid) not in links(view)


def test_a_cells_call_is_a_link_until_its_invocation_ends() -> None:
    """No entry tells a cell its result, so its link goes with the end of the invocation."""
    log = EntryLog()
    call = log.call(log.root, log.agent("Worker(1)"))
    log.start(call)
    assert links(fold(log)) == [(Link.CALL, log.root, 2)]
    log.finish(call)
    assert links(fold(log)) == []


def test_a_failure_lasts_until_the_next_invocation() -> None:
    """An agent whose last invocation raised is failed, and running again once the next one starts."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    call = log.call(log.root, uid)
    log.start(call)
    log.finish(call, ok=False)
    view = fold(log, describe_value=lambda value: f"said {value.decode()}")
    assert status(view, uid) is Status.FAILED
    assert view.details(uid)["error"] == "said boom"
    log.start(log.call(log.root, uid))
    view = fold(log)
    assert status(view, uid) is Status.RUNNING
    assert view.details(uid)["failed"] == 1
    assert view.details(uid)["error"] is None


def test_an_agent_that_stopped_stays_failed() -> None:
    """`AgentFailed` overrides whatever the agent was doing."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    assert isinstance(call.body, CallMade)
    log.put(call.body.target, AgentFailed(b"diverged"))
    view = fold(log, describe_value=bytes.decode)
    assert status(view, call.body.target) is Status.FAILED
    assert view.details(call.body.target)["error"] == "diverged"


def test_waiting_is_an_open_wait_and_a_step_is_work() -> None:
    """Calls make an agent wait, promises and timers alone suspend it; a step under way keeps it running."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    assert isinstance(call.body, CallMade)
    uid = call.body.target
    timer = log.put(uid, TimerSet(due=BEGAN))
    assert status(fold(log), uid) is Status.SUSPENDED
    step = log.put(uid, StepStarted("fetch"))
    assert status(fold(log), uid) is Status.RUNNING
    log.put(uid, StepFinished(step.index, ok=True, value=b""))
    assert status(fold(log), uid) is Status.SUSPENDED
    called = log.call(uid, log.agent("Helper()", by=uid))
    assert status(fold(log), uid) is Status.WAITING
    log.deliver(called)
    log.put(uid, TimerFired(timer.index))
    assert status(fold(log), uid) is Status.RUNNING


def test_a_dropped_wait_is_gone() -> None:
    """`WaitDropped` closes the link, and the withdrawn invocation leaves the target's queue."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    call = log.call(log.root, uid)
    log.put(log.root, WaitDropped(call.index))
    log.put(uid, InvocationCancelled(call.seq))
    view = fold(log)
    assert links(view) == []
    assert status(view, uid) is Status.IDLE


def test_a_trigger_is_a_link_until_its_invocation_ends() -> None:
    """A trigger's caller does not wait, yet the link stays while the invocation it asked for is under way."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    call = log.call(log.root, uid, awaited=False)
    log.start(call)
    view = fold(log)
    assert links(view) == [(Link.TRIGGER, log.root, uid)]
    assert status(view, log.root) is Status.IDLE
    log.finish(call)
    assert links(fold(log)) == []


def test_a_promise_links_who_waits_to_its_owner() -> None:
    """A wait on a promise points at the owner until the payload is there, however often it is completed."""
    log = EntryLog()
    owner, waiter, other = (log.agent(f"Worker({i})") for i in range(3))
    promise = log.promise(owner)
    wait = log.await_promise(waiter, owner, promise)
    view = fold(log)
    assert links(view) == [(Link.PROMISE, waiter, owner)]
    assert view.details(waiter)["waits"] == [
        {
            "op": wait.index,
            "kind": "promise",
            "on": "Worker(0)",
            "what": "promise 2",
            "since": wait.wall,
            "line": "lesson.py:7",
        }
    ]
    log.complete(other, owner, promise)
    log.complete(other, owner, promise, first=False)
    log.give(wait)
    view = fold(log)
    assert links(view) == []


def test_a_fork_runs_on_with_its_sources_waits() -> None:
    """A fork made inside hangs on its source, runs the same invocation, and waits for what was open at the cut."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    assert isinstance(call.body, CallMade)
    source = call.body.target
    inner = log.work(source, "Helper()")
    assert isinstance(inner.body, CallMade)
    fork = log.fork(source, "Worker(1)[0b0c5b2e-0000-4000-8000-000000000000]")
    log.call(source, inner.body.target)
    view = fold(log)
    assert view.nodes[view.by_uid[fork].parent].uid == source
    assert status(view, fork) is Status.WAITING
    assert links(view).count((Link.CALL, fork, inner.body.target)) == 1
    assert links(view).count((Link.CALL, source, inner.body.target)) == 2
    log.put(fork, WaitDropped(inner.index))
    view = fold(log)
    assert status(view, fork) is Status.RUNNING
    assert (Link.CALL, source, inner.body.target) in links(view)


def test_a_new_process_forgets_what_cells_waited_for() -> None:
    """After a restart no cell waits, so the session's links are gone; agents' own waits stay."""
    log = fan_out(2)
    before = len(links(fold(log)))
    log.put(log.root, SessionStarted(1, "host"))
    assert len(links(fold(log))) == before - 1


def test_a_finished_invocation_waits_for_nothing() -> None:
    """Waits left open by an invocation that ended are closed with it."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    assert isinstance(call.body, CallMade)
    log.put(call.body.target, TimerSet(due=BEGAN))
    log.finish(call)
    view = fold(log)
    assert status(view, call.body.target) is Status.DONE
    assert view.details(call.body.target)["waits"] == []


def test_undefined_agents_are_those_with_work_and_no_class() -> None:
    """Agents of unknown types show as undefined while they have something to do, until the class is there."""
    log = EntryLog()
    busy = log.agent("Worker(1)")
    log.call(log.root, busy)
    idle = log.agent("Worker(2)")
    view = fold(log)
    view.mark_undefined({"Worker"})
    assert (status(view, busy), status(view, idle)) == (Status.UNDEFINED, Status.IDLE)
    view.mark_undefined(())
    assert status(view, busy) is Status.QUEUED


def test_a_root_shows_only_what_descends_from_it() -> None:
    """With `root` the view holds that agent and its descendants; calls from outside still count as its work."""
    log = fan_out(2)
    other = log.agent("Other()")
    log.call(other, 2)
    view = fold(log, root=2)
    assert [node.agent_id for node in view.nodes] == ["Coordinator()", "Worker(0)", "Worker(1)"]
    assert view.nodes[0].pending == 1


def test_a_view_that_begins_late_recalls_who_acts() -> None:
    """With `since`, earlier agents come back when they act or are called, with those they descend from."""
    log = EntryLog()
    first, second = log.agent("Coordinator()"), log.agent("Other()")
    since = log.entries[-1].seq
    earlier = {
        uid: Earlier(agent_id, parent, forked=False, running=0, method="", pending=0, ran=0, raised=0, outcome=None)
        for uid, agent_id, parent in (
            (log.root, "Session()", 0),
            (first, "Coordinator()", log.root),
            (second, "Other()", log.root),
        )
    }
    child = log.agent("Worker(0)", by=first)
    view = GraphView(since=since, earlier=earlier)
    view.apply(log.entries[since:])
    assert [(n.agent_id, n.parent) for n in view.nodes] == [("Session()", -1), ("Coordinator()", 0), ("Worker(0)", 1)]
    assert view.node(second) is None
    assert view.node(child) is not None


def test_a_refused_call_is_counted() -> None:
    """A call refused as a deadlock opens no wait and is told in the details."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    log.put(uid, CallRefused("Worker(1)", "process", b""))
    view = fold(log)
    assert view.details(uid)["refused"] == 1
    assert links(view) == []


def test_details_are_json_and_say_since_when() -> None:
    """The details of an agent survive JSON and hold status, what it waits for, since when and from which line."""
    log = fan_out(1)
    view = fold(log)
    details = json.loads(json.dumps(view.details(2)))
    assert (details["id"], details["status"], details["method"], details["parent"]) == (
        "Coordinator()",
        "waiting",
        "process",
        "Session()",
    )
    assert details["waits"][0]["on"] == "Worker(0)"
    assert details["waits"][0]["since"] == BEGAN + 6 * MILLISECOND
    assert view.details(999) == {}


def test_counts_leave_the_session_out() -> None:
    """The session only stands for the cells: it is not counted among the agents."""
    counts = fold(fan_out(5, done=2, failed=1)).counts()
    assert {s.word: n for s, n in counts.items() if n} == {"running": 2, "waiting": 1, "done": 2, "failed": 1}


# ---- however it is folded
# -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1000), max_size=150), st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_the_fold_is_the_same_however_the_log_is_cut(choices: list[int], sizes: list[int]) -> None:
    """In slices of any size, and entry by entry for a reader that looks at each, it ends with the same graph."""
    log = wander(choices)
    cut, single = GraphView(), GraphView()
    at = 0
    for i in range(len(log.entries)):
        size = sizes[i % len(sizes)]
        cut.apply(log.entries[at : at + size])
        at += size
    for entry in log.entries:
        single.fold(entry)
    whole = json.dumps(fold(log).state())
    assert json.dumps(cut.state()) == whole
    assert json.dumps(single.state()) == whole


@given(st.lists(st.integers(0, 1000), max_size=150))
def test_what_is_noted_as_changed_is_what_changed(choices: list[int]) -> None:
    """Whoever empties the notes after each entry has, of agents and links, all that the whole graph has."""
    log = wander(choices)
    view, told, links = GraphView(), dict[int, Status](), dict[int, tuple[int, int, int]]()
    for entry in log.entries:
        view.fold(entry)
        for uid in view.dirty:
            told[uid] = status_of(view.by_uid[uid])
        for key in view.gone:
            links.pop(key, None)
        for key, wait in view.fresh.items():
            links[key] = (wait.kind, wait.agent, wait.on)
        view.dirty.clear()
        view.gone.clear()
        view.fresh.clear()
    assert told == {node.uid: status_of(node) for node in view.nodes}
    shown = {key: link for key, link in links.items() if {link[1], link[2]} <= set(view.by_uid)}
    assert shown == {wait.key: (wait.kind, wait.agent, wait.on) for wait in view.links()}
