"""Entries in words, for messages."""

from workbench.model import entries as e
from workbench.model.entries import Body

_ALWAYS = {
    e.TimerSet: "a timer",
    e.ForkMade: "fork",
    e.PromiseCreated: "create_promise",
    e.InvocationFinished: "the end of the invocation",
}


def describe(body: Body) -> str:
    """An operation or delivery in words, for messages."""
    match body:
        case e.CallMade(target_id=target, method=method, awaited=awaited):
            return f"{'call' if awaited else 'trigger'} {target}.{method}"
        case e.CallRefused(target_id=target, method=method):
            return f"refused call {target}.{method}"
        case e.StepStarted(name=name):
            return f"step {name}"
        case e.PromiseAwaited(promise=index):
            return f"await_promise of index {index}"
        case e.PromiseSeen(promise=index):
            return f"promise_state of index {index}"
        case e.PromiseRefused(promise_id=name):
            return f"the refusal of promise {name}"
        case e.PromiseCompleted(promise=index):
            return f"complete_promise of index {index}"
        case e.WaitDropped(op=op):
            return f"the drop of what began at index {op}"
    return _ALWAYS.get(type(body), type(body).__name__)
