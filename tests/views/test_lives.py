"""How agents end, stand still, go back and are tried again: what the graph shows of it, by logs made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.views.entry_log import BEGAN, MILLISECOND, EntryLog, fan_out
from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.views.graph import GraphView, Link, Origin, Status, status_of
from workbench.views.progress import JobProgress

EVIL = "</script><img src=x onerror=alert(1)>"


def fold(log: EntryLog, **options: Any) -> GraphView:
    """The view at the log's end."""
    view = GraphView(**options)
    view.apply(log.entries)
    return view


def status(log: EntryLog, uid: int) -> Status:
    """The status of an agent at the log's end."""
    return status_of(fold(log).by_uid[uid])


def links(log: EntryLog) -> list[tuple[Link, int, int]]:
    """Open links as kind, from, to."""
    return [(Link(w.kind), w.agent, w.on) for w in fold(log).links()]


def at_work(log: EntryLog, agent_id: str = "Worker(1)") -> tuple[Entry, int]:
    """A call of a cell under way, and the uid of who runs it."""
    call = log.work(log.root, agent_id)
    assert isinstance(call.body, e.CallMade)
    return call, call.body.target


# ---- deleted


@pytest.mark.parametrize("how", ["idle", "queued", "running", "waiting", "done", "raised", "failed", "interrupted"])
def test_a_deleted_agent_has_exited_whatever_it_did(how: str) -> None:
    """Deleted, an agent runs nothing, waits for nothing and shows no error; nobody is linked to it."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    if how != "idle":
        call = log.call(log.root, uid, awaited=False)
        log.call(log.root, uid)
        if how != "queued":
            log.start(call)
        log.await_promise(uid, log.root, 1)
        if how in ("done", "raised"):
            log.finish(call, ok=how == "done")
        if how == "failed":
            log.put(uid, e.AgentFailed(b"diverged"))
        if how == "interrupted":
            log.interrupt(uid)
    log.delete(uid)
    assert status(log, uid) is Status.EXITED
    assert links(log) == []
    details = fold(log, describe_value=bytes.decode).details(uid)
    assert (details["deleted"], details["error"], details["waits"], details["pending"]) == (True, None, [], 0)
    assert details["running"] is False


def test_a_deleted_agent_of_a_finished_job_is_no_failure() -> None:
    """A job that is deleted whole turns grey: no child counts as failed, raised ones included."""
    log = fan_out(3, done=2, failed=1)
    for node in fold(log).nodes[1:]:
        log.delete(node.uid)
    assert {s.word: n for s, n in fold(log).counts().items() if n} == {"exited": 4}


def test_the_same_id_called_again_is_a_new_node() -> None:
    """A deleted agent stays where it was; its next incarnation has a node of its own, and is the one that is found."""
    log = EntryLog()
    old = log.agent("Worker(1)")
    log.delete(old)
    new = log.agent("Worker(1)")
    log.start(log.call(log.root, new))
    view = fold(log)
    assert [(node.uid, status_of(node)) for node in view.nodes[1:]] == [(old, Status.EXITED), (new, Status.RUNNING)]
    found = view.find("Worker(1)")
    assert found is not None
    assert found.uid == new


def test_who_waits_for_a_deleted_agent_waits_until_told() -> None:
    """The link of an agent that waits goes with the delivery of the failure, not before."""
    log = EntryLog()
    _, chief = at_work(log, "Chief()")
    inner = log.work(chief, "Worker(1)")
    assert isinstance(inner.body, e.CallMade)
    log.delete(inner.body.target)
    assert (Link.CALL, chief, inner.body.target) in links(log)
    log.deliver(inner, ok=False)
    assert links(log) == [(Link.CALL, log.root, chief)]


def test_ten_thousand_deletions_look_at_the_links_once() -> None:
    """Links to deleted agents are closed in one pass over a batch, and only those to what was accepted before."""
    log = EntryLog()
    workers = [log.agent(f"Worker({i})") for i in range(10_000)]
    for uid in workers:
        log.call(log.root, uid, awaited=False)
    for uid in workers:
        log.delete(uid)
    again = log.agent("Worker(0)")
    log.call(log.root, again, awaited=False)
    assert links(log) == [(Link.TRIGGER, log.root, again)]


# ---- ephemeral


def test_an_ephemeral_agent_has_exited_with_its_invocation() -> None:
    """Idle and running as any other, then exited; one that raised is shown as failed, so that nobody misses it."""
    log = EntryLog()
    fine, bad = (log.agent(f"Once()[{i}]", ephemeral=True) for i in range(2))
    assert status(log, fine) is Status.IDLE
    calls = [log.call(log.root, uid) for uid in (fine, bad)]
    for call in calls:
        log.start(call)
    assert status(log, fine) is Status.RUNNING
    log.finish(calls[0])
    log.finish(calls[1], ok=False)
    assert (status(log, fine), status(log, bad)) == (Status.EXITED, Status.FAILED)
    assert fold(log).details(fine)["ephemeral"]
    assert not fold(log).details(fine)["deleted"]


# ---- interrupted


def test_an_interrupted_agent_stands_until_it_is_resumed() -> None:
    """It keeps its invocation and its waits, shown as interrupted since then; a cell that awaited it waits no more."""
    log = EntryLog()
    _, uid = at_work(log)
    wait = log.await_promise(uid, log.root, 1)
    log.interrupt(uid)
    when = log.entries[-1].wall
    view = fold(log)
    assert status_of(view.by_uid[uid]) is Status.INTERRUPTED
    assert view.details(uid)["since"] == when
    assert [w["op"] for w in view.details(uid)["waits"]] == [wait.index]
    assert links(log) == [(Link.PROMISE, uid, log.root)]
    log.call(log.root, uid)
    log.put(uid, e.AgentResumed())
    assert status(log, uid) is Status.SUSPENDED
    log.give(wait)
    assert status(log, uid) is Status.RUNNING


def test_a_trigger_of_an_interrupted_agent_is_still_under_way() -> None:
    """Nobody waits for a trigger, so nobody is told: its link stays until the invocation has ended."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    call = log.call(log.root, uid, awaited=False)
    log.start(call)
    log.interrupt(uid)
    assert links(log) == [(Link.TRIGGER, log.root, uid)]
    log.put(uid, e.AgentResumed())
    log.finish(call)
    assert links(log) == []
    assert status(log, uid) is Status.DONE


# ---- reverted


def test_a_reverted_agent_is_as_it_was() -> None:
    """Counts, outcome, error and method are those of the index that it goes back to."""
    log = EntryLog()
    call, uid = at_work(log)
    log.finish(call)
    done = log.index(uid)
    bad = log.call(log.root, uid)
    log.start(bad)
    log.finish(bad, ok=False)
    assert status(log, uid) is Status.FAILED
    log.revert(uid, done)
    details = fold(log, describe_value=bytes.decode).details(uid)
    assert (details["status"], details["finished"], details["failed"], details["error"]) == ("done", 1, 0, None)
    log.revert(uid, 1)
    assert status(log, uid) is Status.IDLE


@pytest.mark.parametrize("region", [0, 4])
def test_going_back_into_an_invocation_opens_its_waits_and_closes_the_others(region: int) -> None:
    """The waits are those at the index, new links for those that had been closed; also when a region is undone."""
    log = EntryLog()
    call, uid = at_work(log)
    first = log.await_promise(uid, log.root, 1)
    kept = log.await_promise(uid, log.root, 2)
    index = log.index(uid)
    log.give(first)
    log.await_promise(uid, log.root, 3)
    log.revert(uid, index, region=region)
    view = fold(log)
    assert status_of(view.by_uid[uid]) is Status.SUSPENDED
    assert [w["what"] for w in view.details(uid)["waits"]] == ["promise 1", "promise 2"]
    assert [w["since"] for w in view.details(uid)["waits"]] == [first.wall, kept.wall]
    expected = [(Link.CALL, log.root, uid), (Link.PROMISE, uid, log.root), (Link.PROMISE, uid, log.root)]
    assert sorted(links(log)) == expected  # the invocation is still the same
    log.finish(call)
    assert links(log) == []


def test_an_invocation_that_is_taken_back_has_no_caller() -> None:
    """Before its start there was no invocation: the link of the cell that called is closed, what is queued stays."""
    log = EntryLog()
    _, uid = at_work(log)
    queued = log.call(log.root, uid)
    log.revert(uid, 1)
    assert status(log, uid) is Status.QUEUED
    assert [w.key for w in fold(log).links()] == [queued.seq]


def test_a_revert_mends_a_failed_agent() -> None:
    """A failed agent has nothing under way or queued, and calls get the error at once; reverted, it works again."""
    log = EntryLog()
    _, uid = at_work(log)
    log.call(log.root, uid, awaited=False)
    log.put(uid, e.AgentFailed(b"diverged"))
    log.call(log.root, uid, awaited=False)
    view = fold(log, describe_value=bytes.decode)
    assert (status(log, uid), links(log)) == (Status.FAILED, [])
    assert (view.details(uid)["broken"], view.details(uid)["pending"]) == (True, 0)
    log.revert(uid, 1)
    assert status(log, uid) is Status.IDLE
    log.start(log.call(log.root, uid))
    assert status(log, uid) is Status.RUNNING


# ---- forks


def test_a_fork_at_an_index_goes_on_from_the_facts() -> None:
    """A fork from outside runs what ran at the index and waits for what was open then, whatever the source does now."""
    log = EntryLog()
    call, source = at_work(log)
    wait = log.await_promise(source, log.root, 1)
    cut = log.index(source)
    log.give(wait)
    log.finish(call)
    fork = log.fork_at(source, "Worker(1)[0b0c5b2e-0000-4000-8000-000000000000]", cut)
    view = fold(log)
    node = view.by_uid[fork]
    assert (status_of(node), Origin(node.origin), view.nodes[node.parent].uid) == (
        Status.SUSPENDED,
        Origin.FORKED,
        source,
    )
    assert (node.running, node.method, node.ran) == (call.seq, "process", 0)
    assert links(log) == [(Link.PROMISE, fork, log.root)]
    log.put(fork, e.PromiseDelivered(wait.index, b"", ok=False))
    log.put(fork, e.InvocationFinished(ok=True, value=b""), call.seq)
    assert (status(log, fork), status(log, source)) == (Status.DONE, Status.DONE)


def test_a_fork_of_an_idle_agent_is_idle() -> None:
    """At an index between two invocations the fork has the counts and the outcome of then, and runs nothing."""
    log = EntryLog()
    call, source = at_work(log)
    log.finish(call, ok=False)
    cut = log.index(source)
    log.start(log.call(log.root, source))
    fork = log.fork_at(source, "Worker(1)[0b0c5b2e-0000-4000-8000-000000000000]", cut)
    node = fold(log).by_uid[fork]
    assert (node.running, node.ran, node.raised, status_of(node)) == (0, 0, 1, Status.FAILED)


def test_a_forks_end_leaves_its_sources_link_alone() -> None:
    """Both run the same invocation; the cell waits for the source's."""
    log = EntryLog()
    call, source = at_work(log)
    fork = log.fork(source, "Worker(1)[0b0c5b2e-0000-4000-8000-000000000000]")
    log.put(fork, e.InvocationFinished(ok=True, value=b""), call.seq)
    assert links(log) == [(Link.CALL, log.root, source)]
    log.finish(call)
    assert links(log) == []


# ---- schedules


def test_a_schedule_that_fires_is_like_a_trigger() -> None:
    """The target is queued with the method and label of the schedule, linked to who made it until it has ended."""
    log = EntryLog()
    planner, target = log.agent("Planner()"), log.agent("Worker(1)")
    plan = log.put(planner, e.CallScheduled("Worker(1)", "report", b"", BEGAN, None, "nightly"))
    assert status(log, target) is Status.IDLE
    fired = log.put(target, e.ScheduleFired(plan.seq))
    view = fold(log)
    assert status_of(view.by_uid[target]) is Status.QUEUED
    assert (view.by_uid[target].method, view.by_uid[target].label) == ("report", "nightly")
    assert links(log) == [(Link.TRIGGER, planner, target)]
    log.put(target, e.InvocationStarted("report", b""), fired.seq)
    log.put(target, e.InvocationFinished(ok=True, value=b""), fired.seq)
    assert (status(log, target), links(log)) == (Status.DONE, [])


def test_a_schedule_from_before_the_view_is_an_invocation_all_the_same() -> None:
    """Without the entry that made it there is no link, but the target is queued."""
    log = EntryLog()
    target = log.agent("Worker(1)")
    log.put(target, e.ScheduleFired(999))
    assert (status(log, target), links(log)) == (Status.QUEUED, [])


# ---- keys


def test_an_equal_key_joins_and_queues_nothing() -> None:
    """A call with the key of an earlier one is no new invocation, until that one is withdrawn."""
    log = EntryLog()
    uid = log.agent("Worker(1)")
    first = log.call(log.root, uid, key="k")
    log.call(log.root, uid, key="k")
    assert fold(log).by_uid[uid].pending == 1
    log.start(first)
    log.finish(first)
    log.call(log.root, uid, key="k")
    assert (status(log, uid), links(log)) == (Status.DONE, [])
    other = log.call(log.root, uid, key="other")
    log.put(uid, e.InvocationCancelled(other.seq))
    log.call(log.root, uid, key="other")
    assert status(log, uid) is Status.QUEUED


# ---- retries


def test_a_step_that_failed_is_retrying_until_it_runs_again() -> None:
    """Retrying between two attempts, running during one; the details say how often, why, and when next."""
    log = EntryLog()
    call, uid = at_work(log)
    step = log.put(uid, e.StepStarted("fetch"))
    due = BEGAN + 3000 * MILLISECOND
    log.put(uid, e.StepRetried(step.index, 2, due, b"TimeoutError: slow"))
    view = fold(log, describe_value=bytes.decode)
    assert status_of(view.by_uid[uid]) is Status.RETRYING
    told = {"op": step.index, "step": "fetch", "attempts": 2, "due": due, "error": "TimeoutError: slow"}
    assert view.details(uid)["retries"] == [told]
    log.put(uid, e.StepRestarted(step.index, 2))
    view = fold(log, describe_value=bytes.decode)
    assert status_of(view.by_uid[uid]) is Status.RUNNING
    assert view.details(uid)["retries"] == [{**told, "due": 0}]
    log.put(uid, e.StepFinished(step.index, ok=True, value=b"", attempts=3))
    assert fold(log).details(uid)["retries"] == []
    log.finish(call)
    assert status(log, uid) is Status.DONE


@pytest.mark.parametrize(
    "end",
    [
        e.WaitDropped,
        lambda op: e.StepFinished(op, ok=False, value=b""),
        lambda _op: e.InvocationFinished(ok=False, value=b""),
        lambda _op: e.AgentFailed(b""),
    ],
)
def test_what_ends_a_step_ends_its_retries(end: Callable[[int], Body]) -> None:
    """Given up, failed for good, or gone with its invocation or its agent: nothing is tried again."""
    log = EntryLog()
    call, uid = at_work(log)
    step = log.put(uid, e.StepStarted("fetch"))
    log.put(uid, e.StepRetried(step.index, 1, BEGAN, b""))
    log.put(uid, end(step.index), call.seq)
    assert not fold(log).by_uid[uid].retries
    assert status(log, uid) in (Status.RUNNING, Status.FAILED)


def test_an_attempt_that_a_crash_cut_short_is_told() -> None:
    """A step that runs again after a restart has no error to tell, and counts its attempts."""
    log = EntryLog()
    _, uid = at_work(log)
    step = log.put(uid, e.StepStarted("fetch"))
    log.put(uid, e.StepRestarted(step.index, 1))
    details = fold(log, describe_value=bytes.decode).details(uid)
    assert details["status"] == "running"
    assert details["retries"] == [{"op": step.index, "step": "fetch", "attempts": 1, "due": 0, "error": None}]


# ---- all of it


class _Unheard(Body, frozen=True, tag=9_999):
    """A kind of the future."""


def test_unknown_kinds_are_stepped_over() -> None:
    """An entry that the view has no use for, or of a kind that it never heard of, changes nothing but its place."""
    log = EntryLog()
    _, uid = at_work(log)
    before = fold(log).state()
    for body in (
        _Unheard(),
        e.RegionBegun(),
        e.SnapshotTaken(b""),
        e.AgentUpdated(3),
        e.ControlMade("delete", "Worker(9)", 0, ok=True, value=b""),
        e.Logged("stdout", "hello"),
    ):
        log.put(uid, body)
    view = fold(log)
    assert view.seq == log.entries[-1].seq
    assert {**view.state(), "seq": before["seq"]} == before


def test_texts_from_agents_stay_texts() -> None:
    """Markup in a schedule's label, a step's name and an error goes through the details as it is, in valid JSON."""
    log = EntryLog()
    uid = log.agent(f'Worker("{EVIL}")')
    plan = log.put(log.root, e.CallScheduled("", EVIL, b"", BEGAN, None, EVIL))
    fired = log.put(uid, e.ScheduleFired(plan.seq))
    log.put(uid, e.InvocationStarted(EVIL, b"", EVIL), fired.seq)
    step = log.put(uid, e.StepStarted(EVIL))
    log.put(uid, e.StepRetried(step.index, 1, BEGAN, EVIL.encode()))
    details = json.loads(json.dumps(fold(log, describe_value=bytes.decode).details(uid)))
    assert (details["label"], details["method"]) == (EVIL, EVIL)
    assert (details["retries"][0]["step"], details["retries"][0]["error"]) == (EVIL, EVIL)


def test_a_jobs_progress_counts_children_that_were_taken_away() -> None:
    """A child deleted or reverted at work has failed for the job; deleted afterwards it still counts as done."""
    log = fan_out(4, coordinator='Job("x")', name='Job("x")[{}]')
    progress = JobProgress('Job("x")', "job", 4)
    children = [node.uid for node in fold(log).nodes[2:]]
    calls = [entry for entry in log.entries if isinstance(entry.body, e.CallMade)][1:]
    log.finish(calls[0])
    log.delete(children[0])
    log.delete(children[1])
    log.revert(children[2], 1)
    progress.apply(log.entries)
    assert (progress.done, progress.failed, progress.running) == (1, 2, 1)
    log.delete(fold(log).nodes[1].uid)
    progress.apply(log.entries[progress.seq :])
    assert "deleted" in progress.text()
