"""Checkpoints: the folded state as bytes, so that a long log need not be folded from its first entry.

Theory of operation
-------------------
The log is the truth; a checkpoint is what the fold of its first `State.seq` entries came to, and may be lost at any
time. `read(write(state))` equals the state in every fact, and folding on gives what folding all gives.

- **Everything is carried.** The nouns are written by the fields that their classes declare, so a field that is added is
  carried too. Only what can be made again from other fields (`DERIVED`) is left out.
- **What is shared stays shared.** One invocation may be the `last` of an agent, stand under its key and be what three
  others wait for. Matters and waits are therefore numbered, written once each, and referred to by number.
- **A checkpoint is bound to the fold that made it.** It begins with the `shape`, a hash over the fields of the nouns
  and the code of the fold. Where it differs (a new release, another Python), `read` gives None and the log is folded
  from its beginning, once.

Rejected: pickle (opening somebody's store must not run code); a default for a field that an older checkpoint does not
have (the log may hold what it should be, and a mended applier would never see the entries that it was mended for); a
version number raised by hand (the day it is forgotten, a state is wrong and nothing tells).
"""

from collections.abc import Callable, Iterator
from functools import cache, reduce
from hashlib import blake2b
from operator import attrgetter, or_
from sys import modules
from types import CodeType, FunctionType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from workbench.core import nouns as nouns_module
from workbench.core import state as state_module
from workbench.core.nouns import Agent, Invocation, Matter, Promise, Schedule, Step, Timer, Wait
from workbench.core.state import State
from workbench.model.entries import LATEST

DERIVED: Final = frozenset({"id"})
"""Fields that are made from others when they are asked for; None in a checkpoint."""

_SHARED: Final = (Invocation, Promise, Timer, Step, Wait)
"""What may be referred to from several places. The number of one is its place among its kind times the number of
kinds, plus the place of its kind here."""
_KIND_OF: Final[dict[type, int]] = {noun: kind for kind, noun in enumerate(_SHARED)}
_KINDS: Final = len(_SHARED)
_SHAPE_BYTES: Final = 16
_encoder: Final = msgspec.msgpack.Encoder()


def _nouns(hint: Any) -> tuple[type, ...]:
    """The matters or waits that a field of this type refers to; none for one that holds plain values."""
    if args := get_args(hint):
        return tuple(noun for arg in args for noun in _nouns(arg))
    return (hint,) if isinstance(hint, type) and issubclass(hint, (Matter, Wait)) else ()


def _numbered(hint: Any) -> Any:
    """The type of a field with a number in the place of each matter or wait."""
    if args := get_args(hint):
        parts = tuple(map(_numbered, args))
        return reduce(or_, parts) if get_origin(hint) is UnionType else get_origin(hint)[parts]
    return int if _nouns(hint) else hint


def _each(value: Any, action: Callable[[Any], Any]) -> Any:
    """A field's value with `action` done to what it refers to: one noun, a list or a dict."""
    if type(value) is list:
        return [action(item) for item in value]
    if type(value) is dict:
        return {key: action(item) for key, item in value.items()}
    return action(value)


def _check_nouns(value: Any, nouns: tuple[type, ...]) -> None:
    """Refuse numbers that lead to something else than the field is for.

    Raises:
        TypeError: one does.
    """
    found = value if type(value) is list else value.values() if type(value) is dict else (value,)
    if not all(isinstance(noun, nouns) for noun in found):
        raise TypeError(f"a {nouns[0].__name__} is something else")


class _Form:
    """How nouns of one class that refers to others are written: a list of all its fields.

    Each becomes bytes by itself, because bytes are nothing to Python's garbage collector: it would walk through a
    hundred thousand lists again and again.
    """

    def __init__(self, noun: type[msgspec.Struct]) -> None:
        hints = get_type_hints(noun)
        names = noun.__struct_fields__
        self.noun = noun
        self.references = {at: nouns for at, name in enumerate(names) if (nouns := _nouns(hints[name]))}
        self.left_out = [at for at, name in enumerate(names) if name in DERIVED]
        self.values = attrgetter(*names)
        kinds = [
            None if name in DERIVED else _numbered(hints[name]) if at in self.references else hints[name]
            for at, name in enumerate(names)
        ]
        self.decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
            msgspec.defstruct(noun.__name__, list(zip(names, kinds, strict=True)), array_like=True, gc=False)
        )

    def write(self, noun: msgspec.Struct, number: Callable[[Any], int]) -> bytes:
        row = list(self.values(noun))
        for at in self.references:
            if row[at]:
                row[at] = _each(row[at], number)
        for at in self.left_out:
            row[at] = None
        return _encoder.encode(row)

    def read(self, data: bytes, find: Callable[[int], Any]) -> Any:
        values = list(self.values(self.decoder.decode(data)))
        for at, nouns in self.references.items():
            if values[at] is not None:
                values[at] = found = _each(values[at], find)
                _check_nouns(found, nouns)
        return self.noun(*values)


_AGENTS: Final = _Form(Agent)
_WAITS: Final = _Form(Wait)


class _Image(msgspec.Struct, array_like=True, gc=False):
    """What is written of a state, most of it under the names that the state has for it."""

    matters: tuple[list[Invocation], list[Promise], list[Timer], list[Step]]
    waits: list[bytes]
    agents: list[bytes]
    promises: list[int]
    seq: int
    wall: int
    sessions: int
    opened: int
    by_id: dict[str, int]
    schedules: dict[str, dict[int, Schedule]]
    revisions: dict[int, tuple[str, str]]
    codes: dict[tuple[str, str], int]


_PLAIN: Final = ("seq", "wall", "sessions", "opened", "by_id", "schedules", "revisions", "codes")
"""What of a state is written as it stands."""
_STRANGE: Final = (msgspec.MsgspecError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What bytes may lead to that `write` did not make: a store may come from anybody."""
_decoder: Final = msgspec.msgpack.Decoder(_Image)


class _Numbers:
    """Gives each matter and wait its number when it is first met, and keeps them in that order."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self.met: tuple[list[Any], ...] = tuple([] for _ in _SHARED)

    def of(self, noun: Any) -> int:
        number = self._numbers.get(id(noun))
        if number is None:
            kind = _KIND_OF[type(noun)]
            met = self.met[kind]
            number = self._numbers[id(noun)] = len(met) * _KINDS + kind
            met.append(noun)
        return number


def write(state: State) -> bytes:
    """A state as bytes. The state is only read, and must not change meanwhile."""
    numbers = _Numbers()
    of = numbers.of
    agents = [_AGENTS.write(agent, of) for agent in state.agents.values()]
    promises = [of(promise) for promise in state.promises.values()]
    *matters, waits = numbers.met
    rows = [_WAITS.write(wait, of) for wait in waits]
    plain = [getattr(state, name) for name in _PLAIN]
    return shape() + _encoder.encode((matters, rows, agents, promises, *plain))


def read(data: bytes) -> State | None:
    """The state that `write` made bytes of; None when another version of the fold wrote them, or nothing did."""
    if data[:_SHAPE_BYTES] != shape():
        return None
    try:
        return _state(_decoder.decode(memoryview(data)[_SHAPE_BYTES:]))
    except _STRANGE:
        return None


def _state(image: _Image) -> State:
    shared: list[list[Any]] = [*image.matters, []]

    def find(number: int) -> Any:
        return shared[number % _KINDS][number // _KINDS]

    shared[-1] = [_WAITS.read(row, find) for row in image.waits]
    state = State()
    for name in _PLAIN:
        setattr(state, name, getattr(image, name))
    for row in image.agents:
        agent: Agent = _AGENTS.read(row, find)
        state.agents[agent.uid] = agent
    for number in image.promises:
        promise: Promise = find(number)
        _check_nouns(promise, (Promise,))
        state.promises[promise.owner, promise.index] = promise
    _check(state, image.matters[0])
    return state


def _check(state: State, invocations: list[Invocation]) -> None:
    """Refuse a state that no fold comes to, where who follows what it says would go astray, or for ever.

    Raises:
        ValueError: it is none.
        LookupError: it names an agent or a promise that it does not hold.
    """
    agents, last = state.agents, state.seq
    for uid, agent in agents.items():
        born = 0 < uid <= last and 0 <= agent.source < uid and 0 <= agent.spawned_by < uid
        if not born or not 0 < agent.index <= last:
            raise ValueError(f"there can be no agent {uid}")
        if agent.source and not 0 < agent.cut <= agents[agent.source].index:
            raise ValueError(f"agent {uid} was forked nowhere")
        if agent.spawned_by:
            agents[agent.spawned_by]
        for index in agent.promised or ():
            state.promises[uid, index]
    for invocation in invocations:
        agents[invocation.target]
    for owner, _ in state.promises:
        agents[owner]
    if not 0 <= state.wall <= LATEST or any(agents[uid].text != text for text, uid in state.by_id.items()):
        raise ValueError("a time is out of range, or an id is another agent's")


# ---- the shape -------------------------------------------------------------------------------------------------------


@cache
def shape() -> bytes:
    """A hash over what a state is made of and how it is folded: equal where checkpoints mean the same."""
    digest = blake2b(digest_size=_SHAPE_BYTES)
    for part in _parts():
        digest.update(part.encode() + b"\n")
    return digest.digest()


def _parts() -> Iterator[str]:
    """The fields, code and constants of the nouns, of the fold and of this module."""
    for module in (nouns_module, state_module, modules[__name__]):
        for name, value in sorted(vars(module).items()):
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield f"{name} {_code(value.__code__)}"
            elif isinstance(value, type) and value.__module__ == module.__name__:
                yield f"{name} {get_type_hints(value)} {getattr(value, '__struct_defaults__', ())}"
                for member, attribute in vars(value).items():
                    function = getattr(attribute, "fget", attribute)
                    if isinstance(function, FunctionType):
                        yield f"{name}.{member} {_code(function.__code__)}"
            elif name.isupper() and isinstance(value, dict):
                yield f"{name} {[(_name(key), _name(item)) for key, item in value.items()]}"
            elif name.isupper() and isinstance(value, (int, str, tuple, frozenset)):
                yield f"{name} {_code(value)}"


def _name(value: object) -> object:
    return getattr(value, "__name__", value)


def _code(value: object) -> str:
    """What a function does, without the places in its file; the functions inside it too."""
    if isinstance(value, CodeType):
        constants = [_code(constant) for constant in value.co_consts]
        return f"{value.co_code!r} {value.co_names} {value.co_varnames} {value.co_freevars} {constants}"
    if isinstance(value, frozenset):
        return str(sorted(map(repr, value)))
    return repr(value)
