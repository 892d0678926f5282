"""Clients: how cells and agents call agents. A client names an agent; nothing happens until a method is called.

Method call -> `Call` -> in an agent an operation of its `Instance`, outside a request to the `SessionThread`; both
decide and append the same `CallMade` entry.
"""

import asyncio
import contextvars
import math
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from workbench.core.ephemeral import keyed_phantom
from workbench.errors import AgentTypeError, EncodingError
from workbench.ids import AgentId, phantom_uuid
from workbench.model.agent_type import AgentType, MethodType, registry
from workbench.model.codec import encode
from workbench.model.entries import CallMade, CallScheduled
from workbench.runtime.awaiting import Awaiting, outside
from workbench.runtime.blocking import wait_blocking
from workbench.runtime.clock import LAST_SECOND
from workbench.runtime.current import calling_line, current
from workbench.runtime.opening import default_session
from workbench.runtime.running import run
from workbench.runtime.schedules import ScheduleHandle
from workbench.signs import printable


class Call(Awaiting):
    """One call of a method, made when it is first awaited. If it never is, it is never made, and a warning says so."""

    __slots__ = ("_agent_id", "_line", "_method", "_request", "timeout")

    def __init__(
        self, agent_id: AgentId, method: MethodType, request: CallMade, line: str, timeout: float | None
    ) -> None:
        self._begun = False
        self._steps = None
        self._agent_id, self._method, self._request, self._line, self.timeout = agent_id, method, request, line, timeout

    def _make(self) -> "asyncio.Future[Any]":
        future = current.instance.call(self._agent_id, self._request, self._method.gives, self._line)
        if self.timeout is not None:
            limited: asyncio.Future[Any] = asyncio.ensure_future(asyncio.wait_for(future, self.timeout))
            return limited
        return future  # type: ignore[no-any-return]

    def _submit(self) -> "Future[Any]":
        return default_session().invoke(
            self._agent_id, self._request, self._method.gives, self._line, contextvars.copy_context()
        )

    def __await__(self) -> Any:
        if current.instance is not None:
            return self.begin().__await__()
        waiting = outside(self.submit())
        return (waiting if self.timeout is None else asyncio.wait_for(waiting, self.timeout)).__await__()

    def __repr__(self) -> str:
        return printable(f"<call {self._agent_id}.{self._method.name}>")


def due_time(at: object, now: int) -> int:
    """A time for a schedule, in nanoseconds since the epoch.

    Args:
        at: a datetime (one without a zone is local time), a delay as timedelta or in seconds.
        now: the present time, nanoseconds since the epoch.

    Raises:
        AgentTypeError: it is no time, or lies beyond what a timer can hold.
    """
    try:
        if isinstance(at, datetime):
            due: float = at.timestamp() * 1e9
        elif isinstance(at, timedelta):
            due = now + at.total_seconds() * 1e9
        elif isinstance(at, (int, float)) and not isinstance(at, bool):
            due = now + at * 1e9
        else:
            raise AgentTypeError(
                f"schedule at {at!r:.80}",
                f"a {type(at).__name__} is no time",
                "pass a datetime, a timedelta, or seconds",
            )
    except (ValueError, OverflowError):  # a local time before the year 1 in UTC, a number that no float can hold
        due = math.nan
    if not abs(due) <= LAST_SECOND * 1e9:  # also NaN
        raise AgentTypeError(
            f"schedule at {at!r:.80}",
            "it lies outside the years 1685 to 2255",
            "pass a time between, or 0 for at once",
        )
    return round(due)


class Method:
    """A method of an agent, ready to be called: `client.process`.

    Calling it gives a `Call` to await. `.trigger(...)` fires and forgets, `.blocking(...)` waits in a plain `def`
    method, `.with_options(...)` gives the same method under a key, label or timeout.
    """

    __slots__ = ("_agent_id", "_ephemeral", "_key", "_label", "_method", "_timeout")

    def __init__(
        self,
        agent_id: AgentId,
        method: MethodType,
        key: str | None = None,
        label: str | None = None,
        timeout: float | None = None,
        *,
        ephemeral: bool = False,
    ) -> None:
        self._agent_id, self._method, self._key, self._label, self._timeout = agent_id, method, key, label, timeout
        self._ephemeral = ephemeral

    def _target(self) -> AgentId:
        """Who gets the call: an ephemeral agent is a new one for each, named by the call's key."""
        return ephemeral_id(self._agent_id, self._key) if self._ephemeral else self._agent_id

    def _request(
        self, target: AgentId, args: tuple[object, ...], kwargs: dict[str, object], *, awaited: bool
    ) -> CallMade:
        method = self._method
        try:
            value = encode(method.bind(args, kwargs), method.takes, "args")
        except EncodingError as error:  # with keywords, the arguments travel in a dict of both
            path = error.path.replace("args['args']", "args", 1).replace("args['kwargs']", "kwargs", 1)
            raise EncodingError(path, error.why, error.do) from None
        return CallMade(0, target.text, method.name, value, awaited, self._key, self._label)

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        """Call the method; await the result.

        Raises:
            AgentTypeError: the arguments do not fit the signature.
            EncodingError: one cannot be copied; nothing was written.
        """
        target = self._target()
        return Call(
            target, self._method, self._request(target, args, kwargs, awaited=True), calling_line(), self._timeout
        )

    def __await__(self) -> NoReturn:
        """Refused: a method is called first.

        Raises:
            AgentTypeError: always.
        """
        name = self._method.name
        raise AgentTypeError(
            f"await of {self._agent_id}.{name}",
            "it is a method that was not called",
            f"write await client.{name}(...), with its arguments or empty parentheses",
        )

    def trigger(self, *args: Any, **kwargs: Any) -> None:
        """Fire and forget: returns once the runtime owns the invocation. Its result goes to the agent's oplog only."""
        target = self._target()
        request, line = self._request(target, args, kwargs, awaited=False), calling_line()
        if current.instance is not None:
            current.instance.call(target, request, self._method.gives, line)
            return
        session = default_session()
        future = session.invoke(target, request, self._method.gives, line, contextvars.copy_context())
        if not session.thread.here:
            future.result()

    def schedule(self, at: "datetime | timedelta | float", /, *args: Any, **kwargs: Any) -> ScheduleHandle:
        """Invoke the method later, once: `client.report.schedule(60, promise)`. Durable: it comes after a restart too.

        A time that is past comes at once. It is dropped when its target is deleted. An agent may schedule itself.

        Args:
            at: when: a datetime (local time when it has no zone), a delay as timedelta or in seconds.
            *args: the method's arguments, which are copied now.
            **kwargs: its keyword arguments.

        Returns:
            a handle with `.cancel()`.

        Oplog: one `CallScheduled` entry here; `ScheduleFired` in the target's oplog when it comes.
        Replay: returns the handle of the recorded schedule.

        Raises:
            AgentTypeError: `at` is no time, or the arguments do not fit the signature.
            EncodingError: an argument cannot be copied; nothing was written.
        """
        target, line, instance = self._target(), calling_line(), current.instance
        made = self._request(target, args, kwargs, awaited=False)
        now = instance.now if instance is not None else default_session().thread.clock.wall()
        due = due_time(at, now)
        request = CallScheduled(target.text, made.method, made.value, due, made.key, made.label)
        if instance is not None:
            return ScheduleHandle(instance.schedule(request, line), target.text, made.method, due)
        session = default_session()
        seq: int = session.thread.requests.schedule(request, line)
        return ScheduleHandle(seq, target.text, made.method, due, session)

    def blocking(self, *args: Any, **kwargs: Any) -> Any:
        """Call and wait without `await`: in a plain `def` method, where it suspends the agent, or in a sync cell."""
        call = self(*args, **kwargs)
        if current.instance is not None:
            return wait_blocking(call.begin(), f"{self._method.name}.blocking")
        return run(call)

    def with_options(
        self, *, key: str | None = None, label: str | None = None, timeout: float | None = None
    ) -> "Method":
        """The same method with options.

        Args:
            key: idempotency key; an equal key joins the invocation that has it and gets its result.
            label: a name for people, shown in the views.
            timeout: seconds to wait for the result.

        Raises:
            AgentTypeError: an option is of another kind.
        """
        for name, text in (("key", key), ("label", label)):
            if text is not None:
                check_text(name, text)
        if timeout is not None:
            _check_timeout(timeout)
        return Method(
            self._agent_id,
            self._method,
            key or self._key,
            label or self._label,
            self._timeout if timeout is None else timeout,
            ephemeral=self._ephemeral,
        )

    @property
    def method_type(self) -> MethodType:
        """What is known of the method."""
        return self._method

    @property
    def agent_id(self) -> AgentId:
        """Whose method it is."""
        return self._agent_id

    def __repr__(self) -> str:
        return printable(f"<method {self._agent_id}.{self._method.name}>")


def check_text(name: str, text: object) -> None:
    """Refuse what cannot name anything.

    Raises:
        AgentTypeError: it is no text, or empty, or half of a surrogate pair.
    """
    if not isinstance(text, str) or not text or any("\ud800" <= c <= "\udfff" for c in text):
        raise AgentTypeError(
            f"{name}={text!r:.80}", f"a {name} is text that is not empty", f"pass a string, as {name}='nightly'"
        )


def _check_timeout(timeout: object) -> None:
    number = not isinstance(timeout, bool) and isinstance(timeout, (int, float))
    if not number or not abs(timeout) <= LAST_SECOND:  # type: ignore[arg-type] # it is a number; also NaN
        raise AgentTypeError(
            f"timeout={timeout!r:.80}",
            f"a timeout is a number of seconds, {LAST_SECOND:.0e} at most",
            "pass a number, as timeout=60, or none to wait as long as it takes",
        )


class Client:
    """A handle on one agent. Get one from an agent class: `Worker.get(7)`, `Worker.new_phantom(7)`.

    Each public method of the class is a `Method` here.
    """

    __slots__ = ("_agent_id", "_type")

    def __init__(self, agent_type: AgentType, agent_id: AgentId) -> None:
        self._type, self._agent_id = agent_type, agent_id

    def __getattr__(self, name: str) -> Method:
        if name.startswith("_"):  # asked by `copy` before there is a type, too
            raise AttributeError(name)
        method = self._type.methods.get(name) or self._newest.methods.get(name)
        if method is None:
            have = ", ".join(sorted(self._newest.methods)) or "none"
            message = f"agent type {self._type.name} has no method {name!r}; it has {have}"
            raise AttributeError(message)
        return Method(self._agent_id, method, ephemeral=self._type.ephemeral)

    @property
    def _newest(self) -> AgentType:
        """The class as it is defined now: its cell may have been edited since the client was made."""
        return registry.find(self._type.name) or self._type

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._newest.methods})

    @property
    def agent_id(self) -> AgentId:
        """The agent's id."""
        return self._agent_id

    @property
    def phantom_id(self) -> UUID | None:
        """The phantom id, or None for the shared agent."""
        return self._agent_id.phantom_id

    async def status(self) -> str:
        """The agent's status, folded from its oplog; `idle` for one that was never invoked."""
        result: str = await outside(default_session().status(self._agent_id.text))
        return result

    async def delete(self, *, children: bool = False) -> int:
        """End the agent's life: what it runs, has queued, has promised and is scheduled for fails by name.

        Its oplog is gone from reading; forks of it go on. Called again, the same id is a new agent, to which its
        promises, schedules and keys do not apply.

        Args:
            children: delete all that it spawned too, and what those spawned.

        Returns:
            how many agents were deleted.

        Oplog: `AgentDeleted` in that of each; from an agent, `ControlMade` in its own.

        Raises:
            UnknownAgentError: there is no such agent.
            RefusedError: an agent cannot delete itself.
        """
        deleted: int = await self._control("delete", int(children))
        return deleted

    async def interrupt(self) -> bool:
        """Have the agent stand still where it is, at once; whoever awaits its invocation gets `AgentInterruptedError`.

        It goes on with `resume`, with a new call, and when a promise that it awaits is completed.

        Returns:
            whether there was anything to interrupt: an agent that is idle or stands already is left alone.

        Oplog: `AgentInterrupted` in its oplog; from an agent, `ControlMade` in the asking one's.

        Raises:
            UnknownAgentError: there is no such agent.
            RefusedError: an agent cannot interrupt itself.
        """
        interrupted: bool = await self._control("interrupt")
        return interrupted

    async def resume(self) -> bool:
        """Let an interrupted agent go on where it stood.

        Returns:
            whether it was interrupted.

        Oplog: `AgentResumed` in its oplog; from an agent, `ControlMade` in the asking one's.

        Raises:
            UnknownAgentError: there is no such agent.
            RefusedError: it has failed; `revert` it.
        """
        resumed: bool = await self._control("resume")
        return resumed

    async def revert(self, *, to: int | None = None, invocations: int | None = None) -> int:
        """Take back what the agent did last; it is then as it was at an earlier index of its oplog, failed ones too.

        Only this agent is reverted: what it had others do stays done, and no invocation is queued again. Whoever awaits
        an invocation that is taken back gets `AgentRevertedError`.

        Args:
            to: the last index that still counts, 2 or more.
            invocations: how many of the last invocations to take back.

        Returns:
            the last index that still counts.

        Oplog: `AgentReverted` in its oplog; from an agent, `ControlMade` in the asking one's.

        Raises:
            AgentTypeError: give just one of `to` and `invocations`, a whole number.
            UnknownAgentError: there is no such agent.
            RefusedError: the index lies inside an open call, step or atomic region, was dropped before, is below 2, or
                beyond the end; names the nearest that will do.
        """
        kept: int
        if (to is None) == (invocations is None):
            raise AgentTypeError(
                f"revert of {self._agent_id}", "it takes one of `to` and `invocations`", "write client.revert(to=5)"
            )
        if to is not None:
            kept = await self._control("revert_to", _whole("to", to))
        else:
            kept = await self._control("revert_invocations", _whole("invocations", invocations))
        return kept

    async def fork(self, *, at: int, phantom_id: UUID | str | None = None) -> "Client":
        """Clone the agent as it was at an index of its oplog: same type and parameters, a phantom id of its own.

        The fork goes on by itself from there; it gets nothing of its source's queue.

        Args:
            at: the last index of the source's oplog that the fork shares, 2 or more.
            phantom_id: that of the fork; a random one by default.

        Returns:
            a client of the fork.

        Oplog: `AgentForked` in the fork's oplog; from an agent, `ControlMade` in the asking one's.

        Raises:
            AgentIdError: the phantom id is no UUID.
            UnknownAgentError: there is no such agent.
            RefusedError: as for `revert`; or an agent of the fork's id exists.
        """
        text = "" if phantom_id is None else str(phantom_uuid(phantom_id))
        fork_id: str = await self._control("fork", _whole("at", at), text)
        return Client(self._type, AgentId.parse(fork_id))

    async def _control(self, verb: str, argument: int = 0, text: str = "") -> Any:
        if current.instance is not None:
            return current.instance.control(verb, self._agent_id.text, argument, text)
        return await outside(default_session().thread.requests.control(verb, self._agent_id.text, argument, text))

    def __eq__(self, other: object) -> bool:
        return self._agent_id == other._agent_id if isinstance(other, Client) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._agent_id)

    def __repr__(self) -> str:
        return printable(f"<client of {self._agent_id}>")


def _whole(name: str, number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise AgentTypeError(f"{name}={number!r:.80}", "it is no whole number", f"write {name}=5")
    return number


def ephemeral_id(agent_id: AgentId, key: str | None) -> AgentId:
    """The agent that a call of an ephemeral one goes to: an equal key names the same one, no key a new one."""
    if key is not None:
        return keyed_phantom(agent_id, key)
    if current.instance is not None:
        return agent_id.with_phantom(UUID(hex=current.instance.draw("ephemeral"), version=4))
    return agent_id.with_phantom(default_session().thread.clock.uuid4())


def client_of(agent_id: AgentId | str) -> Client:
    """A client for an agent id.

    Raises:
        UnknownAgentError: the agent's class is not defined in this process.
    """
    parsed = AgentId.parse(agent_id) if isinstance(agent_id, str) else agent_id
    return Client(registry.get(parsed.type_name), parsed)
