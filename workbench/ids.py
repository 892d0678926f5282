"""Names of things: agent ids and promise ids, how they print and how they parse.

An agent id is text: the type's name, the constructor parameters as JSON, and for a phantom its UUID in brackets:
`Worker(7)`, `Worker("eu",[1,2])`, `Worker(7)[0b0c5b2e-...]`. Equal parameters give equal text, because the text is what
decides whether two ids name the same agent. The rules (positional parameters, at most 512 characters) are Golem's.
"""

import json
import math
import re
from typing import Final, Self
from uuid import UUID

import msgspec

from workbench.errors import AgentIdError

MAX_ID_LENGTH: Final = 512
"""Characters an agent id may have, as in Golem."""

MAX_PARAMETER_DEPTH: Final = 32
"""How deep lists and dicts may nest inside constructor parameters, as in Golem."""

ROOT_ID: Final = "Session()"
"""The id under which cells and scripts act; the root of every agent tree."""


def _refuse_constant(name: str) -> object:
    message = f"{name} is not allowed"
    raise ValueError(message)


_read_json: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode
_HEAD = re.compile(r"([^\s(]+)\(")
_PHANTOM = re.compile(r"\[([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\]\Z")
_PHANTOM_LENGTH: Final = 38
"""Characters of a UUID in brackets."""
_PLAIN = re.compile(r'[^"\\\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]*\Z')


def parameter_text(value: object) -> str:
    """Print one constructor parameter canonically: compact JSON, keys sorted, no NaN or infinity.

    Raises:
        AgentIdError: the value is not JSON, not finite, or nests deeper than 32.
    """
    kind = type(value)
    if kind is int:
        return int.__repr__(value)
    if kind is str and _PLAIN.match(value):  # type: ignore[call-overload] # it is text
        return f'"{value}"'
    return json.dumps(_canonical(value, 0), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _canonical(value: object, depth: int) -> object:
    """The value with each -0.0 in it written as 0.0, which is equal to it; what is no JSON is refused."""
    kind = type(value)
    if depth > MAX_PARAMETER_DEPTH:
        raise AgentIdError(repr(value)[:80], f"it nests deeper than {MAX_PARAMETER_DEPTH}", "pass a flatter value")
    if kind in (int, bool) or value is None:
        return value
    if isinstance(value, str) and kind is str:
        _check_text(value)
        return value
    if isinstance(value, float) and kind is float:
        if not math.isfinite(value):
            raise AgentIdError(
                repr(value), "NaN and infinity are not equal to themselves in text", "pass a finite number"
            )
        return value or 0.0
    if isinstance(value, list) and kind is list:
        return [_canonical(item, depth + 1) for item in value]
    if isinstance(value, dict) and kind is dict:
        for key in value:
            if type(key) is not str:
                raise AgentIdError(repr(key), "keys in constructor parameters are text", "use string keys")
            _check_text(key)
        return {key: _canonical(item, depth + 1) for key, item in value.items()}
    raise AgentIdError(
        f"{kind.__name__} {value!r:.80}",
        "constructor parameters are an agent's identity, and this kind of value has no canonical text",
        "pass text, numbers, booleans, None, lists or dicts, or annotate the parameter with the type",
    )


def _check_text(text: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise AgentIdError(repr(text)[:80], "it holds half of a surrogate pair", "pass valid Unicode text")


def phantom_uuid(phantom_id: object) -> UUID:
    """A phantom id, given as UUID or as the text of one.

    Raises:
        AgentIdError: it is neither.
    """
    if isinstance(phantom_id, UUID):
        return phantom_id
    try:
        return UUID(phantom_id if isinstance(phantom_id, str) else "")
    except ValueError:
        raise _no_phantom(phantom_id) from None


def _no_phantom(phantom_id: object) -> AgentIdError:
    return AgentIdError(
        f"phantom id {phantom_id!r:.80}",
        "a phantom is told apart by a UUID",
        "pass client.phantom_id of the phantom you mean, or wb.uuid4()",
    )


class AgentId:
    """The name of an agent: its type, its constructor parameters, and for a phantom a UUID.

    Two ids are equal when their text is equal. The text is at most 512 characters.

    Args:
        type_name: the agent class's name, an identifier.
        parameters: JSON values in the constructor's order.
        phantom_id: tells a phantom apart from the shared agent with the same parameters.

    Raises:
        AgentIdError: a parameter has no canonical text, the phantom id is no UUID, or the id is too long.
    """

    __slots__ = ("_parameters", "phantom_id", "text", "type_name")

    type_name: str
    phantom_id: UUID | None
    text: str

    def __init__(self, type_name: str, parameters: tuple[object, ...] = (), phantom_id: UUID | None = None) -> None:
        if not type_name.isidentifier():
            raise AgentIdError(repr(type_name), "an agent type is named by an identifier", "rename the class")
        texts = [parameter_text(p) for p in parameters]
        if "0.0" in texts:  # what the id was made of is what its text says, also for -0.0
            parameters = tuple([0.0 if text == "0.0" else p for text, p in zip(texts, parameters, strict=True)])
        if phantom_id is not None and not isinstance(phantom_id, UUID):
            raise _no_phantom(phantom_id)
        head = ",".join(texts)
        text = f"{type_name}({head})" if phantom_id is None else f"{type_name}({head})[{phantom_id}]"
        if len(text) > MAX_ID_LENGTH:
            raise AgentIdError(
                f"{text[:60]}… ({len(text)} characters)",
                f"an agent id has at most {MAX_ID_LENGTH}",
                "pass a short key as constructor parameter and the data to a method",
            )
        self.type_name = type_name
        self._parameters = parameters
        self.phantom_id = phantom_id
        self.text = text

    @property
    def parameters(self) -> tuple[object, ...]:
        """The constructor parameters as JSON values; a fresh copy where they are containers."""
        if all(isinstance(p, (str, int, float)) or p is None for p in self._parameters):
            return tuple(self._parameters)
        # The text is the truth: whoever passed a list may have changed it since.
        end = -1 if self.phantom_id is None else -_PHANTOM_LENGTH - 1
        return tuple(json.loads(f"[{self.text[len(self.type_name) + 1 : end]}]"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id back from its text; white space between parameters does not matter.

        Raises:
            AgentIdError: the text is not an agent id; says where it stops being one.
        """
        if not isinstance(text, str):
            raise AgentIdError(repr(text), "an agent id is text", "pass a string such as 'Worker(7)'")
        head = _HEAD.match(text)
        if head is None or len(text) > 4 * MAX_ID_LENGTH:
            raise AgentIdError(
                repr(text[:80]), "an id is a type's name and parameters in parentheses", "write it as Worker(7)"
            )
        body, phantom = text[head.end() :], None
        if tail := _PHANTOM.search(body):
            phantom, body = UUID(tail[1]), body[: tail.start()]
        if not body.endswith(")"):
            raise AgentIdError(repr(text[:80]), "the parameters are not closed by )", "write it as Worker(7)")
        try:
            parameters = _read_json(f"[{body[:-1]}]")
        except (ValueError, RecursionError) as error:
            raise AgentIdError(
                repr(text[:80]), f"its parameters are not JSON ({error})", 'quote text as in Worker("eu")'
            ) from None
        return cls(head[1], tuple(parameters), phantom)

    def with_phantom(self, phantom_id: UUID) -> "AgentId":
        """The same type and parameters under a phantom id; replaces one that is there.

        Raises:
            AgentIdError: it is no UUID.
        """
        if phantom_id is None:  # which stands for the shared agent elsewhere
            raise _no_phantom(phantom_id)
        return AgentId(self.type_name, self.parameters, phantom_id)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"AgentId.parse({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, AgentId) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return AgentId.parse, (self.text,)


class PromiseId(msgspec.Struct, frozen=True, order=True):
    """The name of a promise; a value that can be passed anywhere.

    Attributes:
        agent: text of the agent that made it.
        incarnation: which life of that agent, so that a deleted and re-created agent never meets old promises.
        index: the oplog index of its creation.
    """

    agent: str
    incarnation: str
    index: int

    def __str__(self) -> str:
        return f"{self.agent}#{self.incarnation}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> "PromiseId":
        """Read a promise id back from what `str` printed.

        Raises:
            AgentIdError: the text is not a promise id.
        """
        if not isinstance(text, str):
            raise AgentIdError(repr(text)[:80], "a promise id is text", "pass str(promise_id)")
        agent, mark, rest = text.rpartition("#")
        incarnation, slash, index = rest.partition("/")
        if not (mark and slash and index.isascii() and index.isdigit() and len(index) < 20):  # noqa: PLR2004 - 64 bits
            raise AgentIdError(
                repr(text[:80]), "a promise id is agent#incarnation/index", "copy it from str(promise_id)"
            )
        _check_text(incarnation)
        return cls(AgentId.parse(agent).text, incarnation, int(index))
