"""Agent types: what the `@agent` decorator reads off a class, and the registry of classes by name.

A type's name is its class's name. Running a notebook cell again registers the class anew; the newest registration
counts.
"""

import contextlib
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from workbench.errors import AgentIdError, AgentTypeError, UnknownAgentError
from workbench.ids import ROOT_ID, AgentId
from workbench.model.codec import KnownTypes, known_types
from workbench.model.known import NO_NAMES

RESERVED: Final = frozenset({"agent_id", "phantom_id", "status", "delete", "interrupt", "resume", "revert", "fork"})
"""Names that every client has; an agent's method may not take them."""

SAVE_SNAPSHOT: Final = "save_snapshot"
LOAD_SNAPSHOT: Final = "load_snapshot"
"""Methods by which a class says itself what a snapshot of it holds; no agent calls them."""

_JSON_TYPES: Final = frozenset({str, int, bool, float, type(None)})
"""Kinds of constructor parameter that are JSON already, when nothing or just that kind is annotated."""


class MethodType:
    """One public method of an agent class.

    Attributes:
        name: the method's name.
        function: the plain function.
        is_async: made with `async def`.
        takes: classes that its arguments may be instances of.
        gives: classes that its result may be an instance of.
    """

    __slots__ = (
        "at_least",
        "at_most",
        "function",
        "gives",
        "is_async",
        "keyword_only",
        "name",
        "owner",
        "signature",
        "takes",
    )

    def __init__(
        self, owner: str, name: str, function: Callable[..., Any], names: Mapping[str, Any] = NO_NAMES
    ) -> None:
        self.owner, self.name, self.function = owner, name, function
        self.is_async = inspect.iscoroutinefunction(function)
        full = inspect.signature(function)
        self.signature = full.replace(parameters=list(full.parameters.values())[1:])
        parameters = self.signature.parameters.values()
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.at_least = sum(p.default is p.empty for p in positional)
        self.at_most = 1 << 30 if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
        self.keyword_only = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
        self.takes, self.gives = takes_and_gives(function, names)

    def bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """The arguments as the value that travels: a list, or `{"args": …, "kwargs": …}` where keywords are needed.

        Raises:
            AgentTypeError: they do not fit the signature.
        """
        if not kwargs and self.at_least <= len(args) <= self.at_most and not self.keyword_only:
            return list(args)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise AgentTypeError(
                f"{self.owner}.{self.name} cannot be called with these arguments",
                str(error),
                f"call it as {self.name}{self.signature}",
            ) from None
        if bound.kwargs:
            return {"args": list(bound.args), "kwargs": bound.kwargs}
        return list(bound.args)


class AgentType:
    """What the session knows of an agent class.

    Args:
        cls: the class.
        ephemeral: a new agent for each invocation.
        snapshot_every: how many invocations lie between two snapshots; 0 for none.
        names: what the function that defines the class knows, for annotations that are text.

    Raises:
        AgentTypeError: the class cannot be an agent; says why and what to change.
    """

    __slots__ = (
        "cls", "code", "ephemeral", "hints", "init", "job", "known_state", "methods", "name", "needs", "parameters",
        "required", "signature", "snapshot_every", "source",
    )  # fmt: skip

    def __init__(
        self,
        cls: type,
        *,
        ephemeral: bool = False,
        snapshot_every: int = 0,
        names: Mapping[str, Any] = NO_NAMES,
    ) -> None:
        if not isinstance(cls, type):
            raise AgentTypeError(f"{cls!r} is no class", "an agent is made from a class", "write @agent above a class")
        self.cls, self.ephemeral, self.snapshot_every, self.name = cls, ephemeral, snapshot_every, cls.__name__
        self.job = False
        self.code = self.source = ""  # set for a class that was written as such, see `source`
        self.methods = _methods(cls, self.name, names)
        init: Callable[..., Any] = cls.__init__  # type: ignore[misc] # this very class is asked
        self.init = init
        plain = init is object.__init__
        self.signature = _constructor(init)
        for parameter in self.signature.parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
                raise AgentTypeError(
                    f"{self.name}.__init__ takes {parameter}",
                    "constructor parameters are an agent's identity, in order",
                    "use plain positional parameters",
                )
        self.parameters = len(self.signature.parameters)
        self.required = sum(p.default is p.empty for p in self.signature.parameters.values())
        self.hints = {} if plain else _hints(init, _seen_by(init, cls, names))
        self.known_state: KnownTypes = known_types([*_hints(cls, names).values(), *self.hints.values()], names)
        self.needs = [self.hints.get(n) for n in self.signature.parameters]

    def agent_id(self, args: tuple[object, ...], kwargs: dict[str, object]) -> AgentId:
        """The id for constructor arguments; defaults are filled in, values brought to their annotated type.

        Raises:
            AgentTypeError: they do not fit the constructor, or the class has got another one.
            AgentIdError: one of them has no canonical text.
        """
        if self.cls.__init__ is not self.init:  # type: ignore[misc] # this very class is asked
            self._check_constructor()
        if kwargs or len(args) != self.parameters:
            try:
                bound = self.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise AgentTypeError(
                    f"no agent {self.name} can have these parameters",
                    str(error),
                    f"write {self.name}.get{self.signature}",
                ) from None
            bound.apply_defaults()
            args = bound.args
        values = tuple(
            v if type(v) in _JSON_TYPES and (need is None or type(v) is need) else _to_json(v, need)
            for v, need in zip(args, self.needs, strict=True)
        )
        return AgentId(self.name, values)

    def _check_constructor(self) -> None:
        """Refuse a class whose constructor was made after it became an agent: ids would not say what it takes."""
        if _constructor(self.cls.__init__) != self.signature:  # type: ignore[misc] # this very class is asked
            raise AgentTypeError(
                f"{self.name} got its constructor after @wb.agent",
                "a decorator above it, as @dataclass, made one, and the agents' ids follow the one before",
                "write @wb.agent above all other decorators",
            )

    def construct(self, agent_id: AgentId) -> object:
        """Run the constructor with the parameters of an id, in their annotated types.

        Raises:
            AgentTypeError: the id is from a time when the constructor took others.
        """
        given = len(agent_id.parameters)
        if not self.required <= given <= self.parameters:
            raise AgentTypeError(
                f"{agent_id} cannot be constructed",
                f"it is from a time when {self.name} took other parameters than {self.signature}",
                "give a new parameter a default, or take back one that was removed; or delete the agent",
            )
        return self.cls(*(_from_json(v, need) for v, need in zip(agent_id.parameters, self.needs, strict=False)))

    def method(self, name: str) -> MethodType:
        """A method by name.

        Raises:
            AgentTypeError: the class has no such public method.
        """
        try:
            return self.methods[name]
        except KeyError:
            raise AgentTypeError(
                f"agent type {self.name} has no method {name!r}",
                f"it has {', '.join(sorted(self.methods)) or 'none'}",
                "check the spelling, or run the cell that defines the class again",
            ) from None


def _constructor(init: Callable[..., Any]) -> inspect.Signature:
    """What a constructor takes beside `self`."""
    if init is object.__init__:
        return inspect.Signature()
    full = inspect.signature(init)
    return full.replace(parameters=list(full.parameters.values())[1:])


def _methods(cls: type, name: str, names: Mapping[str, Any]) -> dict[str, MethodType]:
    found: dict[str, MethodType] = {}
    for attribute, member in inspect.getmembers_static(cls):
        raw = getattr(member, "agent_method", member)  # a method beside a verb of the class, see `runtime.agent`
        if attribute.startswith("_") or attribute in (SAVE_SNAPSHOT, LOAD_SNAPSHOT) or not inspect.isfunction(raw):
            continue
        if attribute in RESERVED:
            raise AgentTypeError(
                f"{name}.{attribute} cannot be an agent's method",
                "each client has that name for its own use",
                "rename the method",
            )
        if inspect.isasyncgenfunction(raw) or inspect.isgeneratorfunction(raw):
            raise AgentTypeError(f"{name}.{attribute} is a generator", "a call has one result", "return a list")
        if inspect.signature(raw).parameters:
            found[attribute] = MethodType(name, attribute, raw, _seen_by(raw, cls, names))
    return found


def _seen_by(function: Callable[..., Any], cls: type, names: Mapping[str, Any]) -> Mapping[str, Any]:
    """The names around a class, for a function that was written there too; an inherited one may be from elsewhere."""
    around = cls.__qualname__.rpartition(".")[0]
    return names if function.__qualname__.startswith(f"{around}.") else NO_NAMES


def takes_and_gives(function: Callable[..., Any], names: Mapping[str, Any] = NO_NAMES) -> tuple[KnownTypes, KnownTypes]:
    """The classes that a function's arguments, and those that its result may be instances of."""
    raw, found = _annotations(function), _hints(function, names)
    hints = {name: found.get(name, raw[name]) for name in raw}  # what is not resolved is named where it is missed
    around = {**names, **_closure(function)}
    takes = known_types([hint for name, hint in hints.items() if name != "return"], around)
    return takes, known_types([hints["return"]] if "return" in hints else [], around)


def _hints(function: Callable[..., Any], names: Mapping[str, Any] = NO_NAMES) -> dict[str, Any]:
    """Annotations of a function or a class; one that cannot be resolved counts as absent, the others stay."""
    around = {**names, **_closure(function)} or None
    try:
        return typing.get_type_hints(function, localns=around, include_extras=True)
    except Exception:  # noqa: BLE001 - a name that is not defined yet, or not a type at all: any error may come
        raw = _annotations(function)
        space = getattr(function, "__globals__", {})
        resolved: dict[str, Any] = {}
        for name, hint in raw.items():
            probe = type("_Probe", (), {"__annotations__": {name: hint}})
            try:
                resolved.update(typing.get_type_hints(probe, space, around, include_extras=True))
            except Exception:  # noqa: BLE001, S112 - as above: this one annotation is unknown
                continue
        return resolved


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """What is annotated, as it was written."""
    try:
        raw: object = function.__annotations__
    except Exception:  # noqa: BLE001 - any callable may come; from Python 3.14 on annotations are computed here
        return {}
    return dict(raw) if isinstance(raw, dict) else {}


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of the functions around a function that it uses itself."""
    try:
        inner = inspect.unwrap(function)
    except ValueError:  # it wraps itself
        return {}
    names = getattr(getattr(inner, "__code__", None), "co_freevars", ())
    found: dict[str, Any] = {}
    for name, cell in zip(names, getattr(inner, "__closure__", None) or (), strict=False):
        with contextlib.suppress(ValueError):  # not bound yet
            found[name] = cell.cell_contents
    return found


def _to_json(value: object, need: Any) -> object:
    """A constructor parameter as JSON; an annotated type must give the same value back, else it is kept as it is."""
    if need is None or need is Any or need is object:
        return value
    if need is int and (value.is_integer() if isinstance(value, float) else hasattr(value, "__index__")):
        return int(value)  # type: ignore[call-overload] # 1.0, True and NumPy's 1 are equal to 1
    try:
        plain = msgspec.to_builtins(value, enc_hook=_plain_path, order="deterministic")
        back = msgspec.convert(plain, need, dec_hook=_from_plain)
    except (msgspec.ValidationError, TypeError, NotImplementedError):
        return value
    except NameError as error:  # a class in a function, with fields that name another one there
        raise AgentIdError(
            f"{type(value).__name__} {value!r:.80}",
            f"an annotation of its fields cannot be resolved ({error})",
            "define the class that it names at the top of the module",
        ) from None
    if back != value:
        return value
    return _lists(msgspec.to_builtins(back, enc_hook=_plain_path, order="deterministic"))


def _lists(plain: object) -> object:
    """JSON knows one kind of sequence."""
    if isinstance(plain, dict):
        return {key: _lists(item) for key, item in plain.items()}
    return [_lists(item) for item in plain] if isinstance(plain, (list, tuple)) else plain


def _plain_path(value: object) -> object:
    import_path = getattr(value, "__fspath__", None)
    if import_path is None:
        raise NotImplementedError
    return import_path()


def _from_plain(need: type, value: object) -> object:
    if hasattr(need, "__fspath__") and isinstance(value, str):
        return need(value)
    raise NotImplementedError


def _from_json(value: object, need: Any) -> object:
    if need is None or need is Any or need is object:
        return value
    try:
        return msgspec.convert(value, need, dec_hook=_from_plain)
    except (msgspec.ValidationError, TypeError, NotImplementedError):
        return value


class Registry:
    """Agent types by name, and who wants to hear of new ones."""

    def __init__(self) -> None:
        self._types: dict[str, AgentType] = {}
        self._earlier: dict[tuple[str, str], AgentType] = {}
        self.listeners: list[Callable[[AgentType], None]] = []
        self.in_cell = False
        """Whether a notebook's cell is being run, which may define more; set by who sees cells begin and end."""
        self.cells_seen = False
        """Whether somebody sees cells begin and end: this is a notebook."""
        self.cell_listeners: list[Callable[[], None]] = []
        """Who wants to hear that a cell has run."""

    def check(self, agent_type: AgentType) -> None:
        """Refuse a type whose name means something else.

        Raises:
            AgentTypeError: cells have it, or a fan-out job where this is a class, or a class where this is a job.
        """
        name, known = agent_type.name, self._types.get(agent_type.name)
        if name == ROOT_ID.removesuffix("()"):
            raise AgentTypeError(f"{name} names the cells of a session", "no agent can be called so", "rename it")
        if known is not None and known.job != agent_type.job:
            kinds = ("an agent class", "a fan-out job") if agent_type.job else ("a fan-out job", "an agent class")
            raise AgentTypeError(
                f"{name} is {kinds[0]} here, and would become {kinds[1]}",
                "the agents of the one would run the code of the other",
                "give the function, or the job, another name" if agent_type.job else "rename the class",
            )

    def add(self, agent_type: AgentType) -> None:
        """Register; the newest of a name counts. Listeners hear of it on the calling thread.

        Raises:
            AgentTypeError: see `check`.
        """
        self.check(agent_type)
        self._types[agent_type.name] = agent_type
        if agent_type.code:
            self._earlier[agent_type.name, agent_type.code] = agent_type
        for listener in tuple(self.listeners):
            listener(agent_type)

    def find(self, name: str) -> AgentType | None:
        """The type of this name, or None while its class is not defined."""
        return self._types.get(name)

    def earlier(self, name: str, code: str) -> AgentType | None:
        """The type of this name as it was when its code had this hash; None when this process never had it."""
        return self._earlier.get((name, code))

    def get(self, name: str) -> AgentType:
        """The type of this name.

        Raises:
            UnknownAgentError: its class is not defined here.
        """
        found = self._types.get(name)
        if found is None:
            raise UnknownAgentError(
                f"agent type {name} is not defined in this process",
                "its class has not been run",
                "run the cell that defines it",
            )
        return found


registry: Final = Registry()
"""The process's agent types."""
