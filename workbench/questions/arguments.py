"""What questions are asked with, checked: what cannot be meant is refused in words, before anything is looked up."""

from collections.abc import Mapping, Sequence
from typing import SupportsIndex

from workbench.errors import AgentTypeError
from workbench.ids import PromiseId


def entry_number(seq: object) -> None:
    """Refuse what does not name an entry, or the beginning.

    Raises:
        AgentTypeError: it is no number, or a negative one.
    """
    if isinstance(seq, bool) or not isinstance(seq, SupportsIndex):
        raise AgentTypeError(f"entry {seq!r:.40}", "an entry is named by its number", "pass an int, or None for now")
    if seq.__index__() < 0:
        raise AgentTypeError(
            f"entry {seq}", "entries are counted from 1, and not from the end", "pass a seq, or None for now"
        )


def words(**given: object) -> None:
    """Refuse what is neither text nor None.

    Raises:
        AgentTypeError: it is something else; says which of the arguments.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise AgentTypeError(f"{name}={value!r:.80}", f"a {type(value).__name__} is no text", "pass a string")


def promise_id(given: object) -> PromiseId:
    """The promise id that was given.

    Raises:
        AgentTypeError: it is none.
    """
    if not isinstance(given, PromiseId):
        raise AgentTypeError(
            f"{given!r:.80} is no promise id",
            f"it is a {type(given).__name__}",
            "pass what create_promise returned, or wb.PromiseId.parse(text)",
        )
    return given


def sql(query: object, parameters: object) -> None:
    """Refuse what is no query with its parameters.

    Raises:
        AgentTypeError: the query is no text, or the parameters are neither a sequence nor a mapping.
    """
    if not isinstance(query, str):
        raise AgentTypeError(f"sql({query!r:.40})", f"a {type(query).__name__} is no query", "pass a string")
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence | Mapping):
        raise AgentTypeError(
            f"the parameters {parameters!r:.40} of a query",
            f"a {type(parameters).__name__} is neither a sequence nor a mapping",
            "pass a tuple for each `?`, or a dict for each `:name`",
        )
