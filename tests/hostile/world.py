# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""A real session in which every text that an agent, a caller or a store controls is one given text."""

from __future__ import annotations

import contextlib
import linecache
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

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


def class_name(text: str) -> str:
    """The text where it can be a class's name, else a plain one."""
    return text[:60] if text.isidentifier() else "Named"


def identity(text: str) -> str:
    """The text as an agent's argument, which is short, and whole."""
    return without_halves(text)[:60]


def define(text: str, gate: threading.Event) -> tuple[type, dict[str, Any]]:
    """The agents, from a cell whose file, comments and method names are the text."""
    name, file = class_name(text), f"<{as_path(text)}>"
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


@contextlib.contextmanager
def world(payload: str, folder: Path) -> Iterator[World]:
    """Make a world, and end it."""
    before, text, gate = dict(registry._types), without_halves(payload), threading.Event()
    agent, space = define(payload, gate)
    session = wb.start(folder / file_name(payload), clock=SimulatedClock(payload.encode("utf-8", "replace").hex()))
    try:
        yield _filled(session, agent, space, payload, text, folder)
    finally:
        gate.set()
        session.close()
        registry._types.clear()
        registry._types.update(before)


def _filled(session: wb.Session, agent: Any, space: dict[str, Any], payload: str, text: str, folder: Path) -> World:
    """Use every verb that takes or gives a text."""
    name = identity(text)
    agents = {}

    def get(what: str) -> Any:
        client = agent.get([what, name])
        agents[what] = client.agent_id.text
        return client

    def rest() -> None:
        wb.run(session.at_rest())

    options = {"key": text, "label": text} if text else {}
    wb.run(get("worker").work.with_options(**options)(payload))
    for error, act in ((space["OddError"], "fail"), (TimeoutError, "fail_in_step")):
        with contextlib.suppress(wb.InvocationError, error):
            wb.run(getattr(get(act), act)(payload))
    named = [method for method in dir(get("named")) if method == text[:200]]
    for method in named:
        wb.run(getattr(get("named"), method)(payload))
    wb.run(get("chief").lead([f"{name}{number}" for number in range(3)]))
    results = wb.run(wb.fan_out(_item, [payload, "fails"], on_error="collect", name=text[:100] or None))
    payload_promise, json_promise, changed, never = (wb.create_promise() for _ in range(4))
    get("waits").wait.trigger(payload_promise)
    get("maker").make.trigger()
    get("waits for ever").wait.trigger(never)
    get("stopped").wait.trigger(never)
    get("source").part.trigger(payload)
    get("changed").change.trigger(changed)
    get("taken back").work.trigger(payload)
    get("later").work.with_options(**options).schedule(60, payload)
    get("deleted").work.trigger(payload)
    rest()
    wb.run(get("completes").complete(payload_promise, text))
    wb.run(get("completes").complete(payload_promise, text))
    wb.complete_promise_json(json_promise, {"text": text, text: [text]})
    wb.run(get("waits").wait(json_promise))
    wb.run(get("stopped").interrupt())
    wb.run(get("taken back").revert(invocations=1))
    wb.run(get("worker").fork(at=2))
    wb.run(get("deleted").delete())
    space["changed"] = True
    session.simulate_crash()
    wb.complete_promise(changed, text)
    rest()
    deadlock = _deadlock(get("first"), agent)
    get("holds").hold.trigger()
    get("retries").try_for_ever.trigger(payload)
    while _status(session, agents["retries"]) != "retrying":
        wb.run(get("worker").work(payload))
    return World(payload, text, session, deadlock, results, agents, folder)


def _status(session: wb.Session, agent_id: str) -> str:
    return next((agent.status for agent in session.agents() if agent.agent_id == agent_id), "")


def _deadlock(first: Any, agent: Any) -> wb.DeadlockError:
    """Two agents that call each other."""
    try:
        wb.run(first.ask(["second", first.agent_id.parameters[0][1]]))
    except wb.DeadlockError as error:
        return error
    raise AssertionError("no deadlock")


async def _item(item: str) -> str:
    """What a child of the job does."""
    if item == "fails":
        raise LookupError(item)
    return item
