# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Programs for the crash tests that are no part of the replay corpus; see `workbench.testing` for what a program is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import workbench as wb
from workbench.store.log import SqliteLog
from workbench.testing import effects, note_effect

Tell = Callable[[str, object], None]
Program = Callable[[Tell], object]
CHILDREN = 100


@wb.agent
class Counted:
    """Counts how often it was asked, so that work done twice shows."""

    def __init__(self, n: int) -> None:
        self.n, self.times = n, 0

    async def once(self, x: int) -> int:
        self.times += 1
        return 1000 * self.times + x

    async def effect(self, name: str) -> str:
        self.times += 1
        return str(await wb.step(act, name))

    async def risky(self, name: str) -> str:
        self.times += 1
        try:
            return str(await wb.step(act, name, idempotent=False))
        except wb.OutcomeUnknown:
            return "unknown"

    async def risky_retry(self) -> str:
        self.times += 1
        try:
            return str(await wb.step(fail_first, idempotent=False, retry=wb.Retry(attempts=9, when=OSError)))
        except wb.OutcomeUnknown:
            return "unknown"

    async def seen(self) -> int:
        return self.times


def fail_first() -> str:
    """Fail at the first try, in whichever process."""
    note_effect("risky try")
    if tries() == 1:
        raise OSError("not yet")
    return "did it"


def tries() -> int:
    """How often `fail_first` ran."""
    path = effects._path
    return 0 if path is None else effects.read_effects(path).count("risky try")


def act(name: str) -> str:
    """What the steps do."""
    note_effect(name)
    return f"did {name}"


@wb.agent
class Spreader:
    async def spread(self, count: int) -> int:
        return sum(await wb.join([Counted.get(n).once(n) for n in range(count)]))


def fan_out_200(tell: Tell) -> object:
    """100 children of an agent and 100 of the cell itself, which tells each result as it comes."""

    async def cell() -> list[int]:
        async def one(n: int) -> int:
            value: int = await Counted.get(n).once.with_options(key="once")(n)
            tell(f"child {n}", value)
            return value

        spread = Spreader.get().spread.with_options(key="once")(CHILDREN)
        total, *own = await asyncio.gather(spread, *(one(n) for n in range(CHILDREN, 2 * CHILDREN)))
        tell("total", total)
        return [total, *own]

    results: Any = wb.run(cell())
    return [results, [wb.run(Counted.get(n).seen()) for n in range(0, 2 * CHILDREN, 20)]]


def risky_step(tell: Tell) -> object:
    """A step that may not run twice: its outcome is its result, or is known to be unknown."""
    outcome = wb.run(Counted.get(1).risky.with_options(key="once")("risk"))
    tell("outcome", outcome)
    return outcome in {"did risk", "unknown"}


def risky_retry(tell: Tell) -> object:
    """A step that may not run twice and fails at first: a known failure is tried again, an unknown outcome is not."""
    outcome = wb.run(Counted.get(1).risky_retry.with_options(key="once")())
    tell("outcome", outcome)
    return [outcome in {"did it", "unknown"}, tries() <= 2]


def doubling(tell: Tell) -> object:
    """A faulty program: what it triggers has no key, so running it again does it again."""
    Counted.get(1).once.trigger(1)
    return wb.run(Counted.get(1).seen())


@wb.agent
class Drawer:
    async def draw(self) -> str:
        return str(wb.uuid4())


def hasty(tell: Tell) -> object:
    """A fault planted in the store: it says that a batch is committed when the one before it is."""
    append: Any = SqliteLog.append
    late: list[Any] = []

    def append_late(self: SqliteLog, batch: Any) -> None:
        if late:
            append(self, late.pop())
        late.append(batch)

    SqliteLog.append = append_late  # type: ignore[method-assign, assignment]
    for n in range(3):
        tell(f"drawn {n}", wb.run(Drawer.get().draw.with_options(key=f"{n}")()))
    SqliteLog.append = append  # type: ignore[method-assign, assignment]
    append(wb.session()._log, late.pop())  # type: ignore[arg-type]
    return 1


def careless(tell: Tell) -> object:
    """A faulty program: an effect outside a step happens each time it is run."""
    note_effect("careless")
    return wb.run(Counted.get(1).once.with_options(key="once")(1))


@wb.agent
class Hurried:
    """Gives up what it began: calls, steps, timers; and is interrupted."""

    async def rekey(self) -> int:
        busy = asyncio.ensure_future(Hurried.get_phantom(PHANTOM).slow())
        await asyncio.sleep(0.5)
        keyed = Hurried.get_phantom(PHANTOM).slow.with_options(key="again")
        try:
            await asyncio.wait_for(keyed(), 1)
        except TimeoutError:
            await busy
        return int(await keyed())

    async def slow(self) -> int:
        await asyncio.sleep(5)
        return 2

    async def raced(self) -> int:
        await wb.race([wb.step(act, "one"), wb.step(act, "other")])
        return 1

    async def limited(self) -> str:
        try:
            async with asyncio.timeout(7):
                await asyncio.sleep(1)
        except TimeoutError:
            return "timeout"
        return "slept"

    async def joined(self) -> int:
        return sum(await wb.join([Counted.get(n).once(n) for n in range(3)]))

    async def stop_it(self) -> bool:
        return bool(await Hurried.get().interrupt())


PHANTOM = "00000000-0000-4000-8000-000000000001"


def withdrawn_key(tell: Tell) -> object:
    """A keyed call that is withdrawn from the queue, and made again."""
    return wb.run(Hurried.get().rekey.with_options(key="x")())


def raced_steps(tell: Tell) -> object:
    """The step that loses may have run, and leaves no outcome."""
    return wb.run(Hurried.get().raced.with_options(key="x")())


def limited(tell: Tell) -> object:
    """Of two timers of one agent the earlier one always comes first."""
    return wb.run(Hurried.get().limited.with_options(key="x")())


def interrupted_join(tell: Tell) -> object:
    """An agent is interrupted with calls in flight, and resumed."""
    Hurried.get().joined.trigger()
    wb.run(Hurried.get_phantom(PHANTOM).stop_it())
    wb.run(wb.session().at_rest())
    return wb.run(Hurried.get().resume()) is not None
