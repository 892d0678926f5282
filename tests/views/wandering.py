"""Logs that numbers lead through all kinds of entries; for properties that hold of every log."""

from __future__ import annotations

from typing import Any

from tests.views.entry_log import BEGAN, EntryLog
from workbench.model.entries import (
    AgentFailed,
    AgentInterrupted,
    AgentResumed,
    CallScheduled,
    Entry,
    PromiseSeen,
    ScheduleFired,
    SessionStarted,
    StepRetried,
    StepStarted,
    WaitDropped,
)


def wander(choices: list[int]) -> EntryLog:  # noqa: C901, PLR0912, PLR0915 - one arm per kind of entry
    """A log that a list of numbers leads through all kinds of entries, also in an order that no session writes."""
    log = EntryLog()
    agents, open_calls, running, promises, waits, steps = [log.root], [], [], [], [], []
    numbers = iter(choices)

    def pick(things: list[Any]) -> Any:
        return things[next(numbers) % len(things)]

    try:
        while True:
            what, agent = next(numbers) % 22, pick(agents)
            if what <= 2:
                agents.append(log.agent(f"Worker({len(agents)})", by=agent))
            elif what <= 4 and agent != log.root:
                label = f"item {len(log.entries)}" if next(numbers) % 2 else None
                open_calls.append(log.call(pick(agents), agent, awaited=next(numbers) % 3 > 0, label=label))
            elif what == 5 and open_calls:
                running.append(pick(open_calls))
                log.start(running[-1])
            elif what == 6 and running:
                log.finish(pick(running), ok=next(numbers) % 4 > 0)
            elif what == 7 and open_calls:
                log.deliver(pick(open_calls))
            elif what == 8 and open_calls:
                call: Entry = pick(open_calls)
                log.put(call.agent, WaitDropped(call.index))
            elif what == 9:
                promises.append((agent, log.promise(agent)))
            elif what == 10 and promises:
                waits.append(log.await_promise(agent, *pick(promises)))
            elif what == 11 and promises:
                log.complete(agent, *pick(promises))
            elif what == 12 and waits:
                log.give(pick(waits))
            elif what == 13 and agent != log.root:
                agents.append(log.fork(agent, f"Fork({len(agents)})"))
            elif what == 14:
                steps.append(log.put(agent, StepStarted("fetch")))
            elif what == 15 and steps:
                step: Entry = pick(steps)
                log.put(step.agent, StepRetried(step.index, 1, BEGAN, b"boom"))
            elif what == 16 and agent != log.root:
                log.delete(agent)
                agents.remove(agent)
            elif what == 17 and agent != log.root:
                log.put(agent, AgentInterrupted(b"") if next(numbers) % 2 else AgentResumed())
            elif what == 18 and agent != log.root:
                log.revert(agent, 1 + next(numbers) % log.index(agent))
            elif what == 19 and agent != log.root:
                plan = log.put(pick(agents), CallScheduled("", "process", b"", BEGAN))
                log.put(agent, ScheduleFired(plan.seq))
            elif what == 20 and promises:
                owner, promise = pick(promises)
                log.put(agent, PromiseSeen(owner, promise, completed=False))
            elif what == 21 and agent != log.root:
                restarted = next(numbers) % 2
                log.put(*((log.root, SessionStarted(1, "host")) if restarted else (agent, AgentFailed(b"diverged"))))
    except StopIteration:
        return log
