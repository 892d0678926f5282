# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Agents that read something outside their oplog, one kind each, and one beside them that does not."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from typing import Any

import workbench as wb
from workbench.testing import SimulatedClock
from workbench.testing.channel import Channel

WORDS = [f"word {n}" for n in range(12)]
calls_in_this_process = 0


@wb.agent
class Echo:
    def __init__(self, name: str) -> None:
        self.heard: list[Any] = []

    async def hear(self, word: Any) -> Any:
        self.heard.append(word)
        return word


@wb.agent
class Good:
    def __init__(self) -> None:
        self.total = 0

    async def add(self, x: int) -> int:
        self.total += await Echo.get("good").hear(x)
        return self.total


@wb.agent
class Bad:
    """One agent for each kind; `kind` is a method's name too."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    async def act(self) -> Any:
        return await getattr(self, f"_{self.kind}")()

    async def still_there(self) -> str:
        return self.kind

    async def _set_of_text(self) -> list[Any]:
        return await wb.join([Echo.get("set").hear(word) for word in set(WORDS)])

    async def _frozenset_targets(self) -> list[Any]:
        return [await Echo.get(word).hear(1) for word in frozenset(WORDS)]

    async def _hash_of_text(self) -> Any:
        return await Echo.get("hash").hear(hash("some text"))

    async def _wall_clock(self) -> Any:
        return await Echo.get("time").hear(time.time_ns())

    async def _random_module(self) -> Any:
        return await Echo.get("random").hear(random.random())  # noqa: S311

    async def _uuid_module(self) -> Any:
        return await Echo.get("uuid").hear(str(uuid.uuid4()))

    async def _process_id(self) -> Any:
        return await Echo.get("process").hear(os.getpid())

    async def _global_count(self) -> Any:
        global calls_in_this_process  # noqa: PLW0603 - that is the fault
        calls_in_this_process += 1
        if calls_in_this_process == 1:
            return await Echo.get("global").hear("first")
        return wb.create_promise().index

    async def _environment(self) -> Any:
        return await Echo.get(os.environ["WB_RUN"]).hear("same")

    async def _result_only(self) -> Any:
        return os.environ["WB_RUN"]

    async def _step_or_not(self) -> Any:
        if os.environ["WB_RUN"] == "one":
            return await wb.step(len, "abc")
        return await Echo.get("no step").hear(3)

    async def _sleep_of_chance(self) -> None:
        await asyncio.sleep(random.random() + 1)  # noqa: S311

    async def _payload(self) -> bool:
        return wb.complete_promise(wb.create_promise(), os.environ["WB_RUN"])

    async def _fork_or_not(self) -> str:
        if os.environ["WB_RUN"] == "one" and isinstance(wb.fork(), wb.Forked):
            return "forked"
        return "original"

    async def _raises_or_not(self) -> None:
        if os.environ["WB_RUN"] == "one":
            raise ValueError("only once")


KINDS = [name[1:] for name in vars(Bad) if name.startswith("_") and not name.startswith("__")]


def first(channel: Channel, *, store: str) -> None:
    """Let every agent act once."""
    global calls_in_this_process
    os.environ["WB_RUN"], calls_in_this_process = "one", 0
    random.seed(1)
    with wb.start(store, clock=SimulatedClock(1)) as session:
        for kind in KINDS:
            try:
                wb.run(Bad.get(kind).act())
            except ValueError:
                channel.tell(kind, "raised")
            wb.run(Good.get().add(1))
        wb.run(session.at_rest())


def second(channel: Channel, *, store: str) -> dict[str, Any]:
    """Call every agent again: what each came to."""
    global calls_in_this_process
    os.environ["WB_RUN"], calls_in_this_process = "two", 7
    random.seed(2)
    found: dict[str, Any] = {}
    with wb.start(store, clock=SimulatedClock(2)) as session:
        for kind in KINDS:
            try:
                found[kind] = wb.run(Bad.get(kind).still_there(), timeout=20)
            except wb.DivergenceError as error:
                found[kind] = [error.agent, error.index, error.expected, error.got, error.got_line, str(error)]
        found["good"] = wb.run(Good.get().add(1))
        found["failed"] = [a.agent_id for a in session.agents() if a.status == "failed"]
        wb.run(session.at_rest())
    return found
