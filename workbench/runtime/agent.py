"""The `@agent` decorator: a plain class becomes an agent type with `get`, `new_phantom` and `get_phantom`."""

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload
from uuid import UUID

from workbench.errors import AgentTypeError, DeterminismWarning
from workbench.hazards.finding import hazards_of
from workbench.ids import phantom_uuid
from workbench.model.agent_type import AgentType, registry
from workbench.model.source import revision_of, source_of
from workbench.runtime import clock
from workbench.runtime.client import Client
from workbench.runtime.current import current


class _ClassVerb:
    """A function of the class, as `Worker.get`; a method of that name stays the method of instances and clients."""

    def __init__(self, verb: Callable[..., Client], method: Any) -> None:
        self._verb, self.agent_method = verb, method

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None and owner is not None and "__agent_type__" not in vars(owner):
            raise AgentTypeError(
                f"{owner.__name__} is no agent class",
                "a class that it is derived from is one, and would be called in its place",
                f"write @wb.agent above class {owner.__name__}",
            )
        if instance is None or self.agent_method is None:
            return self._verb
        return self.agent_method.__get__(instance, owner)


_T = TypeVar("_T", bound=type)


@overload
def agent(cls: _T, /) -> _T: ...
@overload
def agent(*, ephemeral: bool = False, snapshot_every: int = 0) -> Callable[[_T], _T]: ...
def agent(cls: _T | None = None, /, *, ephemeral: bool = False, snapshot_every: int = 0) -> _T | Callable[[_T], _T]:
    """Make a class an agent type: `@wb.agent`.

    The class stays a plain class. It gains three functions that give clients; nothing is created by them, an agent
    comes into being with its first invocation:

    - `Worker.get(7)`: the shared, durable `Worker(7)`.
    - `Worker.new_phantom(7)`: a fresh agent with the same parameters and a random phantom id.
    - `Worker.get_phantom(uuid, 7)`: that agent again.

    Args:
        cls: the class.
        ephemeral: a new agent for each invocation, which keeps nothing and ends with it. A call with the key of an
            earlier one gets that one's outcome.
        snapshot_every: after so many invocations the agent's state is written to its oplog, and recovery and forks
            begin there; 0 for never. The attributes are copied through the codec, or what `save_snapshot(self)`
            returns, which `load_snapshot(self, saved)` gets on an object that was just constructed.

    Raises:
        AgentTypeError: the class cannot be an agent; says why and what to change.

    Warns:
        DeterminismWarning: a line of it cannot be replayed; `# workbench: deterministic` at its end says that it can.
    """
    if cls is None:
        return lambda c: _agent(c, _names_around(c), ephemeral=ephemeral, snapshot_every=snapshot_every)
    return _agent(cls, _names_around(cls))


def _names_around(cls: object) -> Mapping[str, Any]:
    """What the function knows that defines a class and decorates it; its annotations may be text with such names."""
    if "<locals>" not in getattr(cls, "__qualname__", ""):
        return {}
    return sys._getframe(2).f_locals  # noqa: SLF001 - what inspect.currentframe does


def _agent(cls: _T, names: Mapping[str, Any], *, ephemeral: bool = False, snapshot_every: int = 0) -> _T:
    if type(snapshot_every) is not int or snapshot_every < 0:
        raise AgentTypeError(
            f"snapshot_every={snapshot_every!r:.80}", "it is no number of invocations", "write snapshot_every=100"
        )
    agent_type = AgentType(cls, ephemeral=ephemeral, snapshot_every=snapshot_every, names=names)
    agent_type.code, agent_type.source = revision_of(cls), source_of(cls)
    _warn_of_hazards(cls)

    def get(*args: Any, **kwargs: Any) -> Client:
        """A client of the shared, durable agent with these constructor parameters."""
        return Client(agent_type, agent_type.agent_id(args, kwargs))

    def new_phantom(*args: Any, **kwargs: Any) -> Client:
        """A client of a fresh agent with these parameters; in an agent the phantom id is the same on replay."""
        return get_phantom(new_phantom_id(), *args, **kwargs)

    def get_phantom(phantom_id: UUID | str, *args: Any, **kwargs: Any) -> Client:
        """A client of the phantom with this id and these parameters; an `AgentIdError` if the id is no UUID."""
        return Client(agent_type, agent_type.agent_id(args, kwargs).with_phantom(phantom_uuid(phantom_id)))

    registry.check(agent_type)
    for name, verb in (("get", get), ("new_phantom", new_phantom), ("get_phantom", get_phantom)):
        before = inspect.getattr_static(cls, name, None)  # a method of that name, its own or of a base
        setattr(cls, name, _ClassVerb(verb, before.agent_method if isinstance(before, _ClassVerb) else before))
    cls.__agent_type__ = agent_type  # type: ignore[attr-defined]
    registry.add(agent_type)
    return cls


def _warn_of_hazards(cls: type) -> None:
    """One `DeterminismWarning` for each line that replay cannot repeat, as if that line gave it."""
    for hazard in hazards_of(cls):
        warnings.warn_explicit(hazard.message, DeterminismWarning, hazard.filename, hazard.line, cls.__module__)


def new_phantom_id() -> UUID:
    """A random UUID; in an agent derived, so that replay gives the same."""
    if current.instance is not None:
        return UUID(hex=current.instance.draw("phantom"), version=4)
    return clock.Clock().uuid4()
