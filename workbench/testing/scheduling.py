"""A scheduler that decides what completes next: which agent is served, which delivery it gets, which step ends.

It stands where `Engine.serve` stands, and makes one choice a turn. What may come next, at any moment:

- an agent that has something due is given one delivery, or begins what is queued for it;
- a step that was begun ends, and its agent is told;
- the earliest timers are due, also while others are at work: time passes as it likes.

Commits are made at once, and steps run at once when their intent is committed; when their end is *heard* is a choice.
So the order of completion is a function of the choices alone, as long as the cell asks for one thing at a time.
"""

import inspect
from collections.abc import Awaitable
from typing import Any, Final, NamedTuple, Protocol

from workbench.core.nouns import Agent, Timer
from workbench.errors import SessionError
from workbench.model import entries as e
from workbench.runtime.nesting import run_on_thread
from workbench.runtime.session import Session
from workbench.runtime.steps import Outcome, Try

ALL: Final = "all"
"""In a footprint: it may matter to anything."""
_FAR: Final = e.AgentForked | e.AgentDeleted | e.AgentReverted | e.AgentInterrupted | e.WaitDropped
"""What reaches further than the agents that it names."""


class Choice(NamedTuple):
    """Something that may come next.

    Attributes:
        kind: `agent` (is given what is due), `step` (ends), `time` (the earliest timers are due).
        uid: of the agent, or whose step.
        op: index of what the agent is told; 0 for whatever is due of it.
    """

    kind: str
    uid: int = 0
    op: int = 0


class Chooser(Protocol):
    """Decides."""

    def choose(self, choices: list[Choice]) -> int | None:
        """Pick one, by its place; None to give this run up."""

    def did(self, footprint: frozenset[str]) -> None:
        """What was picked is done, and concerned these agents."""


class Scheduler:
    """Takes over a session that was just opened.

    Args:
        session: with a `SimulatedClock`.
        chooser: asked what comes next.
    """

    def __init__(self, session: Session, chooser: Chooser) -> None:
        self._thread, self._chooser = session.thread, chooser
        self._engine = self._thread.engine
        self._ended: dict[tuple[int, int], tuple[Try, Outcome]] = {}
        self._thread.ask(self._take_over).result()

    def _take_over(self) -> None:
        writer: Any = self._thread.journal._writer  # noqa: SLF001 - the kit stands in for parts of the runtime
        runner: Any = self._thread.steps._runner  # noqa: SLF001
        engine: Any = self._engine
        writer.put = writer._append  # noqa: SLF001
        runner.run = self._run_step
        engine.serve = self._serve

    # ---- choosing ----------------------------------------------------------------------------------------------------

    def _choices(self) -> list[Choice]:
        found: list[Choice] = []
        for uid in self._engine.runnable:
            agent, slot = self._engine.state.agents.get(uid), self._engine.slots[uid]
            holds = slot.instance.holds if slot.instance is not None else _never
            ops = [] if agent is None else _orderly([op for op in slot.ready if op in agent.waits], agent)
            ops = [op for op in ops if not holds(op)]
            found += [Choice("agent", uid, op) for op in dict.fromkeys(ops)] or [Choice("agent", uid)]
        self._ended = {origin: ended for origin, ended in self._ended.items() if ended[0].wanted()}
        found += [Choice("step", *origin) for origin in self._ended]
        if found and self._thread.timers.next_due() is not None:
            found.append(Choice("time"))
        return found

    def _serve(self, _entries: int) -> None:
        choices = self._choices()
        if choices:
            picked = self._chooser.choose(choices)
            if picked is None:
                self._thread._break(SessionError("this order was tried before"))  # noqa: SLF001
                return
            before = self._engine.state.seq
            self._do(choices[picked])
            self._chooser.did(self._footprint(choices[picked], before))
        if self._engine.runnable or self._ended:
            self._thread._schedule_turn()  # noqa: SLF001

    def _footprint(self, choice: Choice, before: int) -> frozenset[str]:
        """Which agents what was just done concerned, by what it wrote."""
        if choice.kind == "step":
            return frozenset({f"step {choice.uid} {choice.op}"})
        if choice.kind == "time":
            return frozenset({ALL})
        found = {str(choice.uid)}
        journal: Any = self._thread.journal
        for entry in (*journal._handed_over, *journal._buffer):  # noqa: SLF001
            if entry.seq > before:
                named = (getattr(entry.body, field, None) for field in ("target", "owner", "source"))
                found |= {str(entry.agent), *(str(uid) for uid in named if isinstance(uid, int))}
                if isinstance(entry.body, _FAR):
                    found.add(ALL)
        return frozenset(found)

    def _do(self, choice: Choice) -> None:
        if choice.kind == "step":
            attempt, outcome = self._ended.pop((choice.uid, choice.op))
            attempt.done(outcome)
        elif choice.kind == "agent":
            self._serve_agent(choice.uid, choice.op)
        else:
            due = self._thread.timers.next_due()
            self._thread.clock.advance_to(due or 0)
            self._thread.timers.fire_due(self._thread.clock.wall())

    def _serve_agent(self, uid: int, op: int) -> None:
        """Give an agent one delivery; what else is due to it stays due."""
        engine = self._engine
        slot, later = engine.slots[uid], []
        if op:
            later = [other for other in slot.ready if other != op]
            slot.ready = [op]
        engine.runnable.remove(uid)
        slot.scheduled = False
        try:
            engine._serve(uid, slot)  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - as `Engine.serve` does
            engine._fail(uid, slot, error)  # noqa: SLF001
        slot.ready[:0] = later
        agent = engine.state.agents.get(uid)
        if later and agent is not None and not agent.stands:
            engine.schedule(uid)

    # ---- steps -------------------------------------------------------------------------------------------------------

    def _run_step(self, origin: tuple[int, int], attempt: Try) -> None:
        try:
            value = attempt.context.run(attempt.call)
            if inspect.isawaitable(value):
                value = run_on_thread(_awaited(value))
        except BaseException as error:  # noqa: BLE001 - it is the step's outcome
            outcome = attempt.raised(error)
        else:
            outcome = attempt.context.run(attempt.returned, value)
        self._ended[origin] = attempt, outcome
        self._thread._schedule_turn()  # noqa: SLF001


def _never(_op: int) -> bool:
    return False


def _orderly(ops: list[int], agent: Agent) -> list[int]:
    """Of what is due to an agent, without all timers but the first: they come in the order of their times."""
    timers = [op for op in ops if isinstance(agent.waits[op].on, Timer)]
    return [op for op in ops if op not in timers[1:]]


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
