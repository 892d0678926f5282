"""Entries in words, for messages and for lists.

`describe` says what an entry is about, `content` what it holds: arguments, results, errors, payloads. Both are text for
people; nothing reads them back.
"""

from typing import Final

from workbench.errors import DecodingError
from workbench.model import entries as e
from workbench.model.entries import Body
from workbench.model.failure import decode_failure
from workbench.model.rendering import clip, payload, rendered

CONTENT: Final = 10_000
"""Characters of content that are shown by default."""

_ALWAYS = {
    e.TimerSet: "a timer",
    e.ForkMade: "fork",
    e.PromiseCreated: "create_promise",
    e.InvocationFinished: "the end of the invocation",
    e.AgentDeleted: "the end of the agent's life",
    e.AgentInterrupted: "interrupted",
    e.AgentResumed: "resumed",
    e.RegionBegun: "an atomic region",
    e.RegionEnded: "the end of an atomic region",
    e.SnapshotTaken: "a snapshot",
}


def describe(body: Body) -> str:  # noqa: C901, PLR0911, PLR0912 - one arm for each kind
    """An entry in a few words."""
    match body:
        case e.CallMade(target_id=target, method=method, awaited=awaited):
            return f"{'call' if awaited else 'trigger'} {target}.{method}"
        case e.CallRefused(target_id=target, method=method):
            return f"refused call {target}.{method}"
        case e.CallScheduled(target_id=target, method=method):
            return f"schedule {target}.{method}"
        case e.CallDelivered(op=op):
            return f"the outcome of the call made at index {op}"
        case e.ScheduleFired(schedule=schedule):
            return f"schedule {schedule} came due"
        case e.ScheduleCancelled(schedule=schedule, pending=pending):
            return f"cancel of schedule {schedule}{'' if pending else ', too late'}"
        case e.InvocationStarted(method=method):
            return f"the start of {method}"
        case e.InvocationCancelled(invocation=invocation):
            return f"invocation {invocation} withdrawn"
        case e.StepStarted(name=name):
            return f"step {name}"
        case e.StepFinished(op=op):
            return f"the outcome of the step begun at index {op}"
        case e.StepRetried(op=op, attempts=attempts):
            return f"the step begun at index {op} failed {attempts} times, and is tried again"
        case e.StepRestarted(op=op):
            return f"the step begun at index {op} runs again"
        case e.TimerFired(op=op):
            return f"the timer set at index {op} fired"
        case e.WaitDropped(op=op):
            return f"the drop of what began at index {op}"
        case e.ControlMade(verb=verb, target_id=target):
            return f"{verb} {target}"
        case e.SnapshotRefused(snapshot=snapshot):
            return f"the snapshot at index {snapshot} could not be loaded"
        case e.Logged(level=level):
            return f"said to {level}"
        case (
            e.PromiseAwaited() | e.PromiseSeen() | e.PromiseRefused() | e.PromiseCompleted() | e.PromiseDelivered()
        ):  # fmt: skip
            return _of_promise(body)
    return _ALWAYS.get(type(body)) or _of_life(body)


def _of_promise(body: Body) -> str:
    match body:
        case e.PromiseAwaited(promise=index):
            return f"await_promise of index {index}"
        case e.PromiseSeen(promise=index):
            return f"promise_state of index {index}"
        case e.PromiseRefused(promise_id=name):
            return f"the refusal of promise {name}"
        case e.PromiseCompleted(promise=index):
            return f"complete_promise of index {index}"
        case e.PromiseDelivered(op=op):
            return f"the payload of the promise awaited at index {op}"
    return type(body).__name__


def _of_life(body: Body) -> str:
    match body:
        case e.SessionStarted(pid=pid, host=host):
            return f"opened by process {pid} on {host}"
        case e.AgentCreated(agent_id=agent_id):
            return f"{agent_id} came into being"
        case e.AgentForked(agent_id=agent_id, cut=cut):
            return f"{agent_id} was forked off at index {cut}"
        case e.AgentFailed():
            return "the agent stopped"
        case e.AgentReverted(last=last, region=region):
            return f"{'an atomic region was undone' if region else 'reverted'}, back to index {last}"
        case e.AgentUpdated(revision=revision, fits=fits):
            return f"runs the code of entry {revision}" if fits else f"the code of entry {revision} does not fit"
        case e.NameAwaited(name=name):
            return f"waits for a cell that defines {name}"
        case e.TypeDefined(name=name, code=code):
            return f"the code of {name}, {code[:12]}"
    return type(body).__name__


def content(body: Body, limit: int = CONTENT, *, quoted: bool = True) -> str:
    """What an entry holds, as text; empty for nothing.

    Args:
        body: the entry's.
        limit: characters at most.
        quoted: show strings as Python does, with quotes and escapes, else as they are.
    """
    match body:
        case e.CallMade(value=value) | e.InvocationStarted(value=value) | e.CallScheduled(value=value):
            return rendered(value, limit, quoted=quoted)
        case e.InvocationFinished() | e.CallDelivered() | e.StepFinished() | e.ControlMade():
            return rendered(body.value, limit, quoted=quoted) if body.ok else clip(failure_line(body.value), limit)
        case e.PromiseDelivered(value=value, ok=ok):
            return payload(value, limit) if ok else clip(failure_line(value), limit)
        case e.PromiseCompleted(again=True):
            return "completed before, by the run of the region that a crash undid"
        case e.PromiseCompleted(value=value, first=first):
            return payload(value, limit) if first else "ignored: it was completed before"
        case e.SnapshotTaken(value=value):
            return rendered(value, limit, quoted=quoted)
        case e.TypeDefined(source=source):
            return clip(source, limit)
        case e.Logged(message=message):
            return clip(message, limit)
    failure = getattr(body, "failure", b"")
    return clip(failure_line(failure), limit) if failure else ""


def failure_line(data: bytes) -> str:
    """An encoded failure as `ValueError: text`."""
    try:
        failure = decode_failure(data)
    except DecodingError:
        return "an error that cannot be read"
    return f"{failure.error_type}: {failure.message}" if failure.message else failure.error_type
