"""Clients: how cells and agents call agents. A client names an agent; nothing happens until a method is called.

Method call -> `Call` -> in an agent an operation of its `Instance`, outside a request to the `SessionThread`; both
decide and append the same `CallMade` entry.
"""

import asyncio
import contextvars
from concurrent.futures import Future
from typing import Any
from uuid import UUID

from workbench.errors import AgentTypeError, EncodingError
from workbench.ids import AgentId
from workbench.model.agent_type import AgentType, MethodType, registry
from workbench.model.codec import encode
from workbench.model.entries import CallMade
from workbench.runtime.awaiting import Awaiting, outside
from workbench.runtime.blocking import wait_blocking
from workbench.runtime.current import calling_line, current
from workbench.runtime.opening import default_session
from workbench.runtime.running import run


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
        future = current.instance.call(
            self._agent_id, parameters_text(self._agent_id), self._request, self._method.gives, self._line
        )
        if self.timeout is not None:
            limited: asyncio.Future[Any] = asyncio.ensure_future(asyncio.wait_for(future, self.timeout))
            return limited
        return future  # type: ignore[no-any-return]

    def _submit(self) -> "Future[Any]":
        return default_session().invoke(
            self._agent_id,
            parameters_text(self._agent_id),
            self._request,
            self._method.gives,
            self._line,
            contextvars.copy_context(),
        )

    def __await__(self) -> Any:
        if current.instance is not None:
            return self.begin().__await__()
        waiting = outside(self.submit())
        return (waiting if self.timeout is None else asyncio.wait_for(waiting, self.timeout)).__await__()

    def __repr__(self) -> str:
        return f"<call {self._agent_id}.{self._method.name}>"


def parameters_text(agent_id: AgentId) -> str:
    """The constructor parameters inside an id's text, as a JSON list."""
    end = len(agent_id.text) - (39 if agent_id.phantom_id is not None else 1)
    return f"[{agent_id.text[len(agent_id.type_name) + 1 : end]}]"


class Method:
    """A method of an agent, ready to be called: `client.process`.

    Calling it gives a `Call` to await. `.trigger(...)` fires and forgets, `.blocking(...)` waits in a plain `def`
    method, `.with_options(...)` gives the same method under a key, label or timeout.
    """

    __slots__ = ("_agent_id", "_key", "_label", "_method", "_timeout")

    def __init__(
        self,
        agent_id: AgentId,
        method: MethodType,
        key: str | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._agent_id, self._method, self._key, self._label, self._timeout = agent_id, method, key, label, timeout

    def _request(self, args: tuple[object, ...], kwargs: dict[str, object], *, awaited: bool) -> CallMade:
        method = self._method
        try:
            value = encode(method.bind(args, kwargs), method.takes, "args")
        except EncodingError as error:  # with keywords, the arguments travel in a dict of both
            path = error.path.replace("args['args']", "args", 1).replace("args['kwargs']", "kwargs", 1)
            raise EncodingError(path, error.why, error.do) from None
        return CallMade(0, self._agent_id.text, method.name, value, awaited, self._key, self._label)

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        """Call the method; await the result.

        Raises:
            AgentTypeError: the arguments do not fit the signature.
            EncodingError: one cannot be copied; nothing was written.
        """
        return Call(
            self._agent_id, self._method, self._request(args, kwargs, awaited=True), calling_line(), self._timeout
        )

    def trigger(self, *args: Any, **kwargs: Any) -> None:
        """Fire and forget: returns once the runtime owns the invocation. Its result goes to the agent's oplog only."""
        request, line = self._request(args, kwargs, awaited=False), calling_line()
        parameters = parameters_text(self._agent_id)
        if current.instance is not None:
            current.instance.call(self._agent_id, parameters, request, self._method.gives, line)
            return
        session = default_session()
        future = session.invoke(
            self._agent_id, parameters, request, self._method.gives, line, contextvars.copy_context()
        )
        if not session.thread.here:
            future.result()

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
        """
        for name, text in (("key", key), ("label", label)):
            if text is not None:
                _check_text(name, text)
        return Method(
            self._agent_id,
            self._method,
            key or self._key,
            label or self._label,
            self._timeout if timeout is None else timeout,
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
        return f"<method {self._agent_id}.{self._method.name}>"


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str) or not text or any("\ud800" <= c <= "\udfff" for c in text):
        raise AgentTypeError(
            f"{name}={text!r:.80}", f"a {name} is text that is not empty", f"pass a string, as {name}='nightly'"
        )


class Client:
    """A handle on one agent. Get one from an agent class: `Worker.get(7)`, `Worker.new_phantom(7)`.

    Each public method of the class is a `Method` here.
    """

    __slots__ = ("_agent_id", "_type")

    def __init__(self, agent_type: AgentType, agent_id: AgentId) -> None:
        self._type, self._agent_id = agent_type, agent_id

    def __getattr__(self, name: str) -> Method:
        method = None if name.startswith("_") else self._type.methods.get(name)
        if method is None:
            if name.startswith("_"):  # asked by `copy` before there is a type, too
                raise AttributeError(name)
            have = ", ".join(sorted(self._type.methods)) or "none"
            message = f"agent type {self._type.name} has no method {name!r}; it has {have}"
            raise AttributeError(message)
        return Method(self._agent_id, method)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._type.methods})

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

    def __eq__(self, other: object) -> bool:
        return self._agent_id == other._agent_id if isinstance(other, Client) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._agent_id)

    def __repr__(self) -> str:
        return f"<client of {self._agent_id}>"


def client_of(agent_id: AgentId | str) -> Client:
    """A client for an agent id.

    Raises:
        UnknownAgentError: the agent's class is not defined in this process.
    """
    parsed = AgentId.parse(agent_id) if isinstance(agent_id, str) else agent_id
    return Client(registry.get(parsed.type_name), parsed)
