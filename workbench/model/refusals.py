"""Why a value cannot be copied between agents, and what its owner can do instead."""

import io
import re
import types
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterator
from typing import Any, Final


class Refusal(Exception):  # noqa: N818 - never leaves the codec: there it becomes an `EncodingError`
    """A value that cannot be encoded. Each container that holds it appends its own step to `steps`."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__(why, do)
        self.why, self.do = why, do
        self.steps: list[str] = []


_ADVICE: Final[tuple[tuple[tuple[type, ...], str, str], ...]] = (
    ((type, types.GenericAlias), "is a class", "pass its name, and look it up in a table on the other side"),
    (
        (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType),
        "is code",
        "call it here and pass the result, or pass a name and look it up on the other side",
    ),
    ((types.ModuleType,), "is a module", "import it on the other side"),
    ((Awaitable, AsyncGenerator), "is work under way", "await it and pass the result"),
    ((io.IOBase,), "is an open file", "pass its path, or what it holds"),
    ((memoryview,), "is a view of memory that someone else owns", "pass bytes(...) of it"),
    ((type({}.keys()), type({}.values()), type({}.items())), "is a view of a dict", "pass list(...) of it"),
    ((Iterator,), "is an iterator, which can be read once only", "pass list(...) of it"),
    ((BaseException,), "is an exception, which holds live frames", "raise it, or pass str(...) of it"),
    (
        (str, int, float, complex, bytes, bytearray),
        "is a subclass that would lose its class",
        "convert it to the built-in type",
    ),
    ((list, dict, tuple, set, frozenset), "is a subclass that would lose its class", "convert it to the built-in type"),
)
"""First match wins: classes, what a value of them is, what to do."""

_ADVICE_BY_MODULE: Final = {
    "_thread": ("is a lock", "keep it where it is used: agents run one invocation at a time and need none"),
    "threading": ("belongs to a thread", "keep it where it is used, and pass plain values"),
    "sqlite3": ("belongs to a database connection", "pass dict(row) or tuple(row), or the database's path"),
    "re": ("is a compiled pattern or a match", "pass its text"),
    "numpy": ("is a numpy object without an exact form", "pass numpy.asarray(...) of it, or .tolist()"),
    "pandas": (
        "is a pandas object without an exact form",
        "pass a plain DataFrame or Series, or .to_pydatetime() of a time",
    ),
}


def refusal_of(value: Any, *, namesake: bool, unresolved: Collection[str] = ()) -> Refusal:
    """Explain why a value has no form.

    Args:
        value: the value, of a class that is neither built in nor known.
        namesake: the annotations know another class of the same name.
        unresolved: the annotations, as text, that could not be resolved.
    """
    kind = type(value)
    name = kind.__qualname__
    if namesake:
        why = f"{name} is not the class that the annotation means, though it has the same name"
        return Refusal(why, "make the value again with the class as it is defined now")
    if any(hasattr(kind, mark) for mark in ("__dataclass_fields__", "__struct_fields__", "_fields", "__members__")):
        return _unknown(kind, unresolved)
    home = kind.__module__.partition(".")[0]
    if home in _ADVICE_BY_MODULE:
        why, do = _ADVICE_BY_MODULE[home]
        return Refusal(f"{name} {why}", do)
    for kinds, why, do in _ADVICE:
        if isinstance(value, kinds):
            return Refusal(f"{name} {why}", do)
    return Refusal(
        f"{name} has no form that agents can exchange",
        "make it a dataclass and annotate the parameter or return with it",
    )


def _unknown(kind: type, unresolved: Collection[str]) -> Refusal:
    name = kind.__qualname__
    for annotation in unresolved:
        if re.search(rf"\b{re.escape(kind.__name__)}\b", annotation):
            return Refusal(
                f"{name} is a class, and the annotation {annotation!r:.80} that may mean it could not be resolved, "
                "as one of its names was not known when it was read",
                f"define or import {kind.__name__} at the top of the module, above what is annotated with it",
            )
    return Refusal(f"{name} is a class that no annotation mentions", f"annotate the parameter or return with {name}")
