"""How an exception travels: as a `Failure`, a plain record, which becomes an exception again at the caller.

No exception object is ever rebuilt from a class named in the log. What the caller gets is an `InvocationError` that is
also the built-in type of the original, or one of the workbench's own errors named in `_OWN`, rebuilt from plain fields.
"""

import builtins
import traceback
from typing import Final

import msgspec

from workbench import errors
from workbench.model.codec import decode, encode
from workbench.model.depth import malformed
from workbench.model.places import PACKAGE, place_name

MAX_TEXT: Final = 20_000
"""Characters kept of a message or a traceback; the middle of a longer one is cut out."""
MAX_GROUPS: Final = 100
"""Levels of groups of exceptions that are put together again."""

_OWN: Final[dict[str, type[errors.WorkbenchError]]] = {
    cls.__name__: cls
    for cls in (
        errors.AgentDeletedError,
        errors.AgentIdError,
        errors.AgentInterruptedError,
        errors.AgentRevertedError,
        errors.AgentSetAsideError,
        errors.AgentTypeError,
        errors.CompensationError,
        errors.DeadlockError,
        errors.DecodingError,
        errors.DivergenceError,
        errors.EncodingError,
        errors.InvocationCancelledError,
        errors.JobConflictError,
        errors.NotInAgentError,
        errors.OutcomeUnknown,
        errors.ProcessDiedError,
        errors.PromiseNotFound,
        errors.RaceError,
        errors.RefusedError,
        errors.StalledError,
        errors.UnknownAgentError,
        errors.UnsupportedError,
    )
}


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An exception as a record.

    Attributes:
        agent_id: text of the agent whose code raised.
        method: the method that raised.
        error_type: name of the exception's class.
        message: its text.
        traceback: its traceback as text, without the workbench's own frames.
        fields: constructor fields when it is one of the workbench's own errors.
        parts: members when it is an `ExceptionGroup`.
        base: name of the built-in class that it is or extends, the nearest one.
        args: what that class was made of, encoded; empty where that is its text, or cannot be copied.
    """

    agent_id: str
    method: str
    error_type: str
    message: str
    traceback: str = ""
    fields: list[object] | None = None
    parts: "list[Failure]" = []
    base: str = ""
    args: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Failure)


def encode_failure(error: BaseException, agent_id: str, method: str) -> bytes:
    """The bytes of an exception that `method` of `agent_id` raised."""
    failure = failure_of(error, agent_id, method)
    try:
        return _encoder.encode(failure)
    except Exception:  # noqa: BLE001 - user code may give one of our own errors any fields
        return _encoder.encode(msgspec.structs.replace(failure, fields=None))


def decode_failure(data: bytes) -> Failure:
    """The record that `encode_failure` wrote.

    Raises:
        DecodingError: it is none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"it should hold an error, and holds none ({error!s:.200})") from error


def failure_of(error: BaseException, agent_id: str, method: str) -> Failure:
    """Describe an exception. An `InvocationError` passed on keeps its original's type, so that it can be caught."""
    text = _clip(_text_of(error))
    own = type(error).__name__ in _OWN and isinstance(error, _OWN[type(error).__name__])
    trace = _clip(_frames(error) if own else _format(error))
    if isinstance(error, errors.InvocationError):
        kind, text = error.error_type, error.message
    else:
        kind = type(error).__name__
    fields: list[object] | None = None
    if own:
        fields = [list(a) if isinstance(a, tuple) else a for a in error.args]
    parts: list[Failure] = []
    if isinstance(error, BaseExceptionGroup):
        parts = [_part_of(part, agent_id, method) for part in error.exceptions]
        if not isinstance(error, errors.InvocationError):
            text = _clip(error.message)
    base = _base_of(error)
    args = b"" if own or parts or base in ("", "Exception") else _args_of(error, text)
    return Failure(agent_id, method, kind, text, trace, fields, parts, base, args)


def exception_of(failure: Failure, depth: int = 0) -> Exception:
    """The exception to raise at the caller; of groups that lie in each other, `MAX_GROUPS` deep."""
    own = _OWN.get(failure.error_type)
    error = None if own is None or failure.fields is None else _own_error(own, failure.fields)
    if error is not None:
        if failure.traceback:
            error.add_note(failure.traceback)
        return error
    parts = tuple(exception_of(part, depth + 1) for part in failure.parts) if depth < MAX_GROUPS else ()
    f = failure
    return errors.invocation_error(
        f.agent_id, f.method, f.error_type, f.message, f.traceback, parts, f.base, _args_from(f.args)
    )


def _own_error(cls: type[errors.WorkbenchError], fields: list[object]) -> errors.WorkbenchError | None:
    try:
        error = cls(*fields)  # type: ignore[arg-type]
        str(error)  # which fails where a field is of another kind than it should be
    except Exception:  # noqa: BLE001 - a class of the same name, with another constructor
        return None
    return error


def _part_of(error: BaseException, agent_id: str, method: str) -> Failure:
    """A member of a group; one that came from another agent keeps that agent's name."""
    if isinstance(error, errors.InvocationError):
        return failure_of(error, error.agent_id, error.method)
    return failure_of(error, agent_id, method)


def _base_of(error: BaseException) -> str:
    if isinstance(error, errors.InvocationError):
        return error.base
    name: str = next(c.__name__ for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c)
    return name


def _args_of(error: BaseException, text: str) -> bytes:
    """What an exception's built-in class was made of, if others than its text and if agents can exchange it."""
    try:
        args = errors.built_in_args(error)
        data = b"" if args == (text,) else encode(args)
    except Exception:  # noqa: BLE001 - any object may be among them
        return b""
    return data if len(data) <= MAX_TEXT else b""


def _args_from(data: bytes) -> tuple[object, ...] | None:
    """What `_args_of` encoded; None where there is nothing, or nothing that can be read."""
    try:
        args = decode(data) if data else None
    except errors.DecodingError:
        return None
    return args if isinstance(args, tuple) else None


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - an exception's own __str__ is user code
        return f"<no text: __str__ raised {type(broken).__name__}>"


def _format(error: BaseException) -> str:
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
        _for_people(shown)
        return "".join(shown.format()).rstrip()
    except Exception as broken:  # noqa: BLE001 - formatting runs user code too
        return f"<no traceback: {type(broken).__name__}>"


def _frames(error: BaseException) -> str:
    """Where one of our own errors was raised first, in the user's code; its text says the rest."""
    notes = getattr(error, "__notes__", None)
    if notes:
        return str(notes[0])
    stack = _of_user(traceback.extract_tb(error.__traceback__))
    return "".join(["Raised in an agent at (most recent call last):\n", *stack.format()]).rstrip() if stack else ""


def _for_people(shown: traceback.TracebackException | None) -> None:
    """Leave out the workbench's frames, and call files as people know them, in chained exceptions too."""
    while shown is not None:
        shown.stack = _of_user(shown.stack) or shown.stack
        for part in getattr(shown, "exceptions", None) or ():
            _for_people(part)
        shown = shown.__cause__ or shown.__context__


def _of_user(stack: traceback.StackSummary) -> traceback.StackSummary:
    """The frames that say something about the user's code."""
    found = traceback.StackSummary(f for f in stack if not f.filename.startswith(PACKAGE))
    for frame in found:
        frame.filename = place_name(frame.filename)
    return found


def _clip(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]}\n[… {len(text) - MAX_TEXT} characters left out …]\n{text[-half:]}"
