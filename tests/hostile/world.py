# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""A real session in which every text that an agent, a caller or a store controls is one given text."""

from __future__ import annotations

import contextlib
import linecache
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

import workbench as wb
from tests.hostile.payloads import as_path, without_halves
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock

SOURCE: Final = '''# {note}
class {name}:
    """{note}"""
    def __init__(self, name: object) -> None:
        self.name = name
    async def work(self, item: object) -> object:
        print(item)
        wb.log(item)
        return await wb.step(named(lambda: item))  # {note}
    async def fail(self, text: str) -> None:
        raise OddError(text)
    async def fail_in_step(self, text: str) -> None:
        await wb.step(named(refuse), text, retry=wb.Retry(attempts=2))  # {note}
    async def hold(self) -> None:
        await wb.step(named(gate.wait))  # {note}
    async def try_for_ever(self, text: str) -> None:
        await wb.step(named(refuse), text, retry=wb.Retry(attempts=None, delay=3600, cap=3600, jitter=0))  # {note}
    async def wait(self, promise: wb.PromiseId) -> bytes:
        return await wb.await_promise(promise)  # {note}
    async def complete(self, promise: wb.PromiseId, text: str) -> bool:
        return wb.complete_promise(promise, text)  # {note}
    async def make(self) -> bytes:
        return await wb.await_promise(wb.create_promise())  # {note}
    async def part(self, text: object) -> object:
        side = wb.fork()  # {note}
        return {{"side": type(side).__name__, "text": text, str(text): [text]}}
    async def change(self, promise: wb.PromiseId) -> None:
        if changed:
            await wb.step(named(repr), promise)  # {note}
        await wb.await_promise(promise)
    async def ask(self, other: object) -> object:
        return await {name}.get(other).ask(self.name)  # {note}
    async def lead(self, names: list) -> list:
        return await wb.join([{name}.get(name).work(name) for name in names], return_exceptions=True)  # {note}
'''


class OddError(Exception):
    """An error of a user's own."""


def refuse(text: str) -> None:
    """A step that fails."""
    raise TimeoutError(text)


class World(NamedTuple):
    """A session and what came of it.

    Attributes:
        payload: the text as it was given.
        text: the same where no half of a surrogate pair may stand.
        session: left open; nothing in it goes on.
        deadlock: the refused cycle, and `stalled` the wait that nothing can end.
        results: of a fan-out, errors among them.
        agents: ids of the agents, by what they are for.
        folder: of the store.
    """

    payload: str
    text: str
    session: wb.Session
    deadlock: wb.DeadlockError
    results: wb.FanOutResults
    agents: dict[str, str]
    folder: Path

    @property
    def store(self) -> Path:
        """The store's file."""
        return Path(self.session.path)


def note_of(text: str) -> str:
    """The text as it may stand in a line of Python, in a comment and in quotes alike."""
    plain = "".join(" " if sign in '\\"' or not sign.isprintable() else sign for sign in text)
    return without_halves(plain)[:300]


def file_name(text: str) -> str:
    """The text as the name of a store's file."""
    return f"{as_path(text).strip('. ')}.db"


def class_name(text: str, other: str = "Named") -> str:
    """The text where it can be a class's name, else a plain one."""
    return text[:60] if text.isidentifier() else other


def identity(text: str) -> str:
    """The text as an agent's argument, which is short, and whole."""
    return without_halves(text)[:60]


def define(text: str, name: str, gate: threading.Event) -> tuple[type, dict[str, Any]]:
    """The agents, from a cell whose file, comments and method names are the text."""
    file = f"<{as_path(text)}>"
    source = SOURCE.format(name=name, note=note_of(text))
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file

    def named(function: Any) -> Any:
        def step(*args: Any) -> Any:
            return function(*args)

        step.__qualname__ = text
        return step

    space: dict[str, Any] = {
        "wb": wb,
        "OddError": OddError,
        "gate": gate,
        "named": named,
        "refuse": refuse,
        "changed": False,
        "__name__": "__main__",
    }
    with contextlib.suppress(UnicodeEncodeError):  # a class's name may be no half of a pair
        space["OddError"] = type(text[:100].replace("\x00", ""), (Exception,), {})
    exec(compile(source, file, "exec"), space)  # noqa: S102 - as a cell is run
    made = space[name]
    if text and not text.startswith("_"):
        setattr(made, without_halves(text)[:200], made.work)
    return wb.agent(made), space


class Cell:
    """What one payload does in a session: agents that are called by it, say it, return it and fail with it.

    Args:
        session: where.
        payload: the text.
        name: of the class of the agents.
        gate: holds what is to stay at work.

    Attributes:
        agents: ids of the agents, by what they are for.
    """

    def __init__(self, session: wb.Session, payload: str, name: str, gate: threading.Event) -> None:
        self.session, self.payload, self.text = session, payload, without_halves(payload)
        self.agents: dict[str, str] = {}
        self.name = identity(self.text)
        self.agent: Any
        self.agent, self.space = define(payload, name, gate)

    def get(self, what: str) -> Any:
        """The agent that is for something."""
        client = self.agent.get([what, self.name])
        self.agents[what] = client.agent_id.text
        return client

    def call(self) -> wb.FanOutResults:
        """Calls, jobs and waits; what a job came to."""
        get, text, payload = self.get, self.text, self.payload
        options = {"key": text, "label": text} if text else {}
        wb.run(get("worker").work.with_options(**options)(payload))
        for error, act in ((self.space["OddError"], "fail"), (TimeoutError, "fail_in_step")):
            with contextlib.suppress(wb.InvocationError, error):
                wb.run(getattr(get(act), act)(payload))
        for method in [method for method in dir(get("named")) if method == text[:200]]:
            wb.run(getattr(get("named"), method)(payload))
        wb.run(get("chief").lead([f"{self.name}{number}" for number in range(3)]))
        results = wb.run(wb.fan_out(_item, [payload, "fails"], on_error="collect", name=text[:100] or None))
        self.first, self.second, self.third, never = (wb.create_promise() for _ in range(4))
        get("waits").wait.trigger(self.first)
        get("maker").make.trigger()
        get("waits for ever").wait.trigger(never)
        get("stopped").wait.trigger(never)
        get("source").part.trigger(payload)
        get("changed").change.trigger(self.third)
        get("taken back").work.trigger(payload)
        get("later").work.with_options(**options).schedule(60, payload)
        get("deleted").work.trigger(payload)
        return results

    def change(self) -> None:
        """Promises are completed, agents stopped, taken back, forked and deleted; the code of one is changed."""
        get, text = self.get, self.text
        wb.run(get("completes").complete(self.first, text))
        wb.run(get("completes").complete(self.first, text))
        wb.complete_promise_json(self.second, {"text": text, text: [text]})
        wb.run(get("waits").wait(self.second))
        wb.run(get("stopped").interrupt())
        wb.run(get("taken back").revert(invocations=1))
        wb.run(get("worker").fork(at=2))
        wb.run(get("deleted").delete())
        self.space["changed"] = True

    def fail(self) -> None:
        """The agent whose code has changed is woken."""
        wb.complete_promise(self.third, self.text)

    def deadlock(self) -> wb.DeadlockError:
        """Two agents call each other."""
        try:
            wb.run(self.get("first").ask(["second", self.name]))
        except wb.DeadlockError as error:
            return error
        raise AssertionError("no deadlock")

    def hold(self) -> None:
        """One agent stays at work, and one tries again and again."""
        self.get("holds").hold.trigger()
        self.get("retries").try_for_ever.trigger(self.payload)
        while not any(a.status == "retrying" and a.agent_id == self.agents["retries"] for a in self.session.agents()):
            wb.run(self.get("worker").work(self.payload))


@contextlib.contextmanager
def world(payload: str, folder: Path) -> Iterator[World]:
    """Make a world, and end it."""
    before, gate = dict(registry._types), threading.Event()
    seed = payload.encode("utf-8", "replace").hex()
    session = wb.start(folder / file_name(payload), clock=SimulatedClock(seed))
    try:
        cell = Cell(session, payload, class_name(payload), gate)
        results = cell.call()
        wb.run(session.at_rest())
        cell.change()
        session.simulate_crash()
        cell.fail()
        wb.run(session.at_rest())
        deadlock = cell.deadlock()
        cell.hold()
        yield World(payload, cell.text, session, deadlock, results, cell.agents, folder)
    finally:
        gate.set()
        session.close()
        registry._types.clear()
        registry._types.update(before)


class Crowd(NamedTuple):
    """One session with many payloads.

    Attributes:
        session: left open; `gate` ends what is at work in it.
        texts: the payloads as they are told, and `workers` the ids of the agents whose label they are.
        deadlocks: refused cycles, in the same order.
        results: of fan-outs.
    """

    session: wb.Session
    gate: threading.Event
    texts: list[str]
    workers: list[str]
    deadlocks: list[wb.DeadlockError]
    results: list[wb.FanOutResults]


def crowd(path: str, payloads: Iterable[str]) -> Crowd:
    """Make a session with all of these; the last one's agents stay at work."""
    gate = threading.Event()
    session = wb.start(path, clock=SimulatedClock("crowd"))
    cells = [Cell(session, text, class_name(text, f"Named{number}"), gate) for number, text in enumerate(payloads)]
    results = [cell.call() for cell in cells]
    wb.run(session.at_rest())
    for cell in cells:
        cell.change()
    session.simulate_crash()
    for cell in cells:
        cell.fail()
    wb.run(session.at_rest())
    deadlocks = [cell.deadlock() for cell in cells]
    cells[-1].hold()
    workers = [cell.agents["worker"] for cell in cells]
    return Crowd(session, gate, [cell.text for cell in cells], workers, deadlocks, results)


def renamed(value: Any, names: dict[str, str]) -> Any:
    """An entry, or a part of one, in which some names stand for others: as no code could have written it."""
    if isinstance(value, str):
        for name, other in names.items():
            value = value.replace(name, other)
        return value
    if isinstance(value, msgspec.Struct):
        fields = {field: renamed(getattr(value, field), names) for field in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(renamed(part, names) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(renamed(part, names) for part in value)
    return value


async def _item(item: str) -> str:
    """What a child of the job does."""
    if item == "fails":
        raise LookupError(item)
    return item
