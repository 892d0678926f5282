# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
# ruff: noqa: D103 - the little public calls that are interrupted
"""`KeyboardInterrupt` at the n-th opcode of a public call, in the main thread of a child process."""

from __future__ import annotations

import contextlib
import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import workbench as wb
from tests.crash.programs import Counted
from workbench.testing import SimulatedClock
from workbench.testing.channel import Channel

PATIENCE = 5.0
"""Seconds after which a session counts as hung by an interrupt."""

LOOKS = frozenset(
    {
        "RESUME",
        "JUMP_BACKWARD",
        "CALL",
        "CALL_FUNCTION_EX",
        "CALL_KW",
        "CALL_INTRINSIC_1",
        "SEND",
        "FOR_ITER",
        "BEFORE_WITH",
    }
)
"""Opcodes after which CPython looks whether an interrupt is pending (3.11 to 3.13, generously)."""

CONFUSED = "'traceback' object is not callable"
"""What CPython 3.11 says, now and then, when a hook raises at a function's entry: its stack is wrong by one."""


class Interrupt:
    """Raises `KeyboardInterrupt` at the n-th opcode, of those where Python would notice a signal, while it is entered.

    Attributes:
        fired: whether there were so many.
        where: file and line of the opcode.
    """

    def __init__(self, n: int) -> None:
        self.left = n
        self.fired = False
        self.where = ""
        self._before: dict[FrameType, int] = {}
        self._names: dict[Any, dict[int, str]] = {}

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        if self.fired:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            before = self._before.get(frame)
            self._before[frame] = frame.f_lasti
            if before is not None and self._opcode(frame, before) in LOOKS:
                self.left -= 1
                if not self.left:
                    self.fired = True
                    self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
                    self._before.clear()
                    raise KeyboardInterrupt
        return self._trace

    def _opcode(self, frame: FrameType, offset: int) -> str:
        names = self._names.get(frame.f_code)
        if names is None:
            names = self._names[frame.f_code] = {i.offset: i.opname for i in dis.get_instructions(frame.f_code)}
        return names.get(offset, "CALL")  # within a call's inline caches

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        self._before.clear()


def call() -> object:
    return wb.run(Counted.get(1).once(1))


def trigger() -> object:
    return Counted.get(1).once.trigger(1)


def create_promise() -> object:
    return wb.create_promise()


def complete_promise() -> object:
    return wb.complete_promise(wb.create_promise(), b"x")


def await_promise() -> object:
    pid = wb.create_promise()
    wb.complete_promise(pid, b"x")
    return wb.run(wb.await_promise(pid))


def read() -> object:
    session = wb.session()
    return [session.agents(), session.oplog("Counted(1)"), wb.promise_state(wb.create_promise())]


def crash() -> object:
    wb.session().simulate_crash()
    return None


CALLS = [call, trigger, create_promise, complete_promise, await_promise, read, crash]


def interrupt_each(channel: Channel, *, name: str, store: str) -> dict[str, Any]:
    """Interrupt a public call at each of its opcodes, one run for each; look after the session each time."""
    public = {f.__name__: f for f in CALLS}[name]
    session = wb.start(store, clock=SimulatedClock(1))
    wb.run(Counted.get(1).once(0))
    wb.run(Counted.get(2).seen())
    public()
    n, odd = 0, []
    while True:
        n += 1
        hook = Interrupt(n)
        try:
            with hook:
                public()
        except KeyboardInterrupt:
            pass
        except Exception as error:  # noqa: BLE001 - what became of the interrupt
            if CONFUSED not in str(error):
                odd.append(f"{error!r} at {hook.where}")
        if not hook.fired:
            break
        channel.tell("at", [n, hook.where])
        if problem := unhealthy(session):
            return {"n": n, "odd": odd, "problem": f"{problem} after interrupt {n} of {name}, at {hook.where}"}
    session.close()
    return {"n": n - 1, "odd": odd, "problem": ""}


def interrupt_start_and_close(channel: Channel, *, store: str) -> dict[str, Any]:
    """Interrupt `wb.start`, then `session.close`, at each opcode; starting again must then work."""
    n = 0
    while True:
        n += 1
        hook, closing = Interrupt(n), Interrupt(n)
        with contextlib.suppress(KeyboardInterrupt, TypeError), hook:
            wb.start(store, clock=SimulatedClock(n))
        channel.tell("at", [n, hook.where])
        session = wb.start(store, clock=SimulatedClock(-n))
        if problem := unhealthy(session):
            return {"n": n, "problem": f"{problem} after interrupt {n} of start, at {hook.where}"}
        with contextlib.suppress(KeyboardInterrupt, TypeError), closing:
            session.close()
        channel.tell("at", [n, closing.where])
        if not hook.fired and not closing.fired:
            return {"n": n - 1, "problem": ""}


def wait_for_ever(channel: Channel, *, store: str, how: str) -> dict[str, Any]:
    """Wait in one of the ways a cell may wait, until SIGINT comes; then the session must work."""
    session = wb.start(store)
    pid = wb.create_promise()

    async def cell() -> None:
        channel.tell("waiting", how)
        await wb.await_promise(pid)

    try:
        if how == "blocking":
            channel.tell("waiting", how)
            wb.blocking_await_promise(pid)
        elif how == "coroutine":
            wb.run(cell())
        else:
            channel.tell("waiting", how)
            wb.run(wb.join([wb.await_promise(pid), wb.await_promise(pid)]))
    except KeyboardInterrupt:
        problem = unhealthy(session)
        session.close()
        return {"problem": problem}
    return {"problem": "it was not interrupted"}


def unhealthy(session: wb.Session) -> str:
    """What is wrong with a session, by using it; empty when it works."""
    try:
        if wb.run(Counted.get(2).seen(), timeout=PATIENCE) != 0:
            return "an agent's state changed"
        pid = wb.create_promise()
        if not wb.complete_promise(pid, b"y") or wb.run(wb.await_promise(pid), timeout=PATIENCE) != b"y":
            return "a promise was lost"
        wb.run(session.at_rest(), timeout=PATIENCE)
        if any(a.status != "idle" for a in session.agents()):
            return f"not at rest: {session.agents()}"
        if session._log._db.in_transaction:  # type: ignore[attr-defined]
            return "a transaction is open"
    except TimeoutError:
        return "the session hangs"
    return ""
