"""Every error of the workbench. Fields are data; the message is built from them: what, why, do.

The tree (a test compares it with the classes):

- `WorkbenchError`
    - `AgentDeletedError`
    - `AgentIdError` (also `ValueError`)
    - `AgentInterruptedError`
    - `AgentRevertedError`
    - `AgentSetAsideError`
    - `AgentTypeError` (also `TypeError`)
    - `CompensationError`
    - `DeadlockError`
        - `StalledError`
    - `DecodingError` (also `ValueError`)
    - `DivergenceError`
    - `EncodingError` (also `TypeError`)
    - `InvocationCancelledError`
    - `InvocationError`
        - `InvocationGroupError` (also `ExceptionGroup`)
    - `JobConflictError`
    - `NotInAgentError` (also `RuntimeError`)
    - `OutcomeUnknown`
    - `ProcessDiedError`
    - `PromiseNotFound` (also `LookupError`)
    - `RaceError` (also `ValueError`)
    - `RefusedError`
    - `SearchError` (also `ValueError`)
    - `SessionError`
        - `CrashedError`
        - `SessionClosedError`
    - `StoreError`
        - `StoreCorruptError`
        - `StoreFormatError`
        - `StoreFullError`
        - `StoreInUseError`
        - `StoreReadOnlyError`
    - `UnknownAgentError` (also `LookupError`)
    - `UnsupportedError` (also `NotImplementedError`)

Beside it stands one warning, `DeterminismWarning`: nothing has gone wrong yet.
"""

import builtins
import contextlib
import operator
from collections.abc import Callable
from typing import Any, Final, Self

from workbench.signs import printable


class WorkbenchError(Exception):
    """Base of all. `what` happened to which ids and values, `why` in one clause, `do` as one imperative line."""

    def __init__(self, what: str, why: str = "", do: str = "") -> None:
        super().__init__(what, why, do)
        self.what, self.why, self.do = what, why, do

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}." if self.why else f"{self.what}."
        return f"{text} {self.do[:1].upper()}{self.do[1:]}." if self.do else text


class AgentIdError(WorkbenchError, ValueError):
    """A text or a value that cannot be an agent's or a promise's name."""


class AgentTypeError(WorkbenchError, TypeError):
    """A class that cannot be an agent, or a call that does not fit a method."""


class UnknownAgentError(WorkbenchError, LookupError):
    """An agent, an invocation or an agent type that the session does not know."""


class AgentDeletedError(WorkbenchError):
    """The agent was deleted while this invocation was queued or under way."""


class AgentInterruptedError(WorkbenchError):
    """The agent was interrupted while it ran this invocation, which goes on when the agent is resumed."""


class AgentRevertedError(WorkbenchError):
    """The agent was reverted to before this invocation, or before it made this promise."""


class AgentSetAsideError(WorkbenchError):
    """Several processes in a row ended while they rebuilt this agent: it is rebuilt no more, so that others go on."""


class InvocationCancelledError(WorkbenchError):
    """The invocation was withdrawn from its agent's queue before it started."""


class RefusedError(WorkbenchError):
    """A delete, interrupt, revert or fork that cannot be done to this agent as it stands; says why."""


class SearchError(WorkbenchError, ValueError):
    """A search that cannot be read, or that asks for something there can never be; says where."""


class EncodingError(WorkbenchError, TypeError):
    """A value that cannot be copied between agents; `path` leads to the part at fault, as `args[1]['model']`."""

    def __init__(self, path: str, why: str, do: str) -> None:
        super().__init__(path, why, do)
        self.path = path


class DecodingError(WorkbenchError, ValueError):
    """Stored bytes that do not hold a value the reader may build."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__("a stored value cannot be read", why, do)
        self.args = (why, do)


class NotInAgentError(WorkbenchError, RuntimeError):
    """Something that only agent code may call was called from somewhere else."""


class RaceError(WorkbenchError, ValueError):
    """`race` or `race_ok` of nothing: no call can ever come first."""


class UnsupportedError(WorkbenchError, NotImplementedError):
    """Agent code asked its event loop for something that cannot be replayed, such as a socket."""


class PromiseNotFound(WorkbenchError, LookupError):
    """No promise has this id: never made, made in another store, or its agent was deleted or reverted."""


class OutcomeUnknown(WorkbenchError):
    """A step that may not run twice was under way when the process died; whether it took effect is not known."""


class ProcessDiedError(WorkbenchError):
    """The process that ran a step with `cpu=True` ended before the step did: killed, out of memory, or by itself."""


class CompensationError(WorkbenchError):
    """A transaction failed, and what it had done could not all be undone; its cause is why it failed."""


draw_deadlock: Final[list[Callable[["DeadlockError"], str]]] = []
"""Who can draw one, as SVG; a room above adds itself here."""


class DeadlockError(WorkbenchError):
    """A call whose answer could never come, because its target waits for the caller.

    Attributes:
        cycle: `(agent, method, line)` of each call of the cycle, the refused one last.
        edge: the index in `cycle` of the call to turn into `.trigger`.
    """

    def __init__(self, cycle: list[tuple[str, str, str]], edge: int = -1) -> None:
        self.cycle = [(str(a), str(m), str(line)) for a, m, line in cycle]
        self.edge = operator.index(edge) % len(self.cycle)  # of a text, `%` would be another thing
        following = [agent for agent, _, _ in (*self.cycle[1:], self.cycle[0])]
        steps = "; ".join(
            f"{agent} waits for {other} ({method} called at {line or 'unknown line'})"
            for (agent, method, line), other in zip(self.cycle, following, strict=True)
        )
        _, method, line = self.cycle[self.edge]
        what = "a call to the agent itself" if len(self.cycle) == 1 else f"a cycle of {len(self.cycle)} waiting agents"
        trigger = f"`.{method.rpartition('.')[2]}.trigger(...)`"
        do = f"change the call at {line or 'that line'} to {trigger}, and pass a promise if its result is needed"
        super().__init__(f"deadlock refused, {what}", steps, do)
        self.args = (self.cycle, self.edge)

    def _repr_svg_(self) -> str | None:
        """The picture of the cycle, for a notebook's cell that ends with this error."""
        return next((draw(self) for draw in draw_deadlock), None)


class StalledError(DeadlockError):
    """A method that awaits what nothing can bring: an event that no task of it will set, a queue that none fills."""

    def __init__(self, agent: str, method: str, line: str) -> None:
        WorkbenchError.__init__(
            self,
            f"{agent}.{method} would wait for ever at {line or 'an unknown line'}",
            "no call, promise, timer or step of it is open, so nothing can wake it",
            "let a task of the same invocation bring what it waits for, or await a promise",
        )
        self.cycle, self.edge = [(agent, method, line)], 0
        self.args = (agent, method, line)


class DivergenceError(WorkbenchError):
    """Agent code asked for something else than its oplog holds.

    Attributes:
        agent: text of the agent id.
        index: oplog index at which the two part.
        expected: what the oplog holds; `expected_line` is where the code asked for it then.
        got: what the code asks for now; `got_line` is where.
    """

    def __init__(
        self, agent: str, index: int, expected: str, got: str, expected_line: str = "", got_line: str = ""
    ) -> None:
        at_then = f" (from {expected_line})" if expected_line else ""
        at_now = f" (at {got_line})" if got_line else ""
        super().__init__(
            f"{agent} diverged at oplog index {index}",
            f"the oplog holds {expected}{at_then}, the code asked for {got}{at_now}; "
            "the agent's code changed, or it read something outside the log",
            f"undo the change, or revert it: client.revert(to={max(index - 1, 1)})",
        )
        self.agent, self.index, self.expected, self.got = agent, index, expected, got
        self.expected_line, self.got_line = expected_line, got_line
        self.args = (agent, index, expected, got, expected_line, got_line)


class JobConflictError(WorkbenchError):
    """A job of this name was run before over other items."""


class SessionError(WorkbenchError):
    """The session cannot take or finish this."""


class SessionClosedError(SessionError):
    """The session was closed; what it had accepted goes on when the store is opened again."""


class CrashedError(SessionError):
    """A (simulated) crash lost this before it was committed; it was never acknowledged."""


class StoreError(WorkbenchError):
    """The store cannot be used."""


class StoreInUseError(StoreError):
    """Somebody else owns the store: one owner at a time."""


class StoreFormatError(StoreError):
    """The file is no store of ours, or of a newer format."""


class StoreFullError(StoreError):
    """There is no room to write to the store: the disk, a quota or a limit is full. Nothing is lost, and it passes."""


class StoreCorruptError(StoreError):
    """The log's chain does not hold: bytes on disk changed behind our back."""


class StoreReadOnlyError(StoreError):
    """The session was opened to read only."""


class InvocationError(WorkbenchError):
    """A method of an agent raised.

    When the original is (or extends) a built-in exception, this is an instance of that class too, with its `args` (and
    `errno` and the like) where those are values that agents can exchange.

    Attributes:
        agent_id: text of the agent whose method raised.
        method: its name.
        error_type: name of the original exception's class.
        message: the original's text.
        remote_traceback: the traceback inside the agent, as text.
        base: name of the nearest built-in class of the original's, which this is an instance of too.
    """

    base: str = ""

    def __init__(self, agent_id: str, method: str, error_type: str, message: str, remote_traceback: str = "") -> None:
        BaseException.__init__(self, agent_id, method, error_type, message, remote_traceback)
        self.args = (agent_id, method, error_type, message, remote_traceback)
        self.agent_id, self.method, self.error_type = agent_id, method, error_type
        self.remote_traceback = remote_traceback
        this: object = self
        if not isinstance(this, BaseExceptionGroup):  # a group carries its message itself, read-only
            self.message = message
        self.what, self.why, self.do = f"{agent_id}.{method} raised {error_type}", message, ""

    def __str__(self) -> str:
        head = f"{self.agent_id}.{self.method} raised {self.error_type}: {self.message}"
        return f"{head}\n\n{self.remote_traceback}" if self.remote_traceback else head

    def __repr__(self) -> str:
        return printable(
            f"InvocationError({self.agent_id}.{self.method} raised {self.error_type}: {self.message:.200})"
        )

    def __reduce__(self) -> tuple[object, ...]:
        parts = self.exceptions if isinstance(self, BaseExceptionGroup) else ()
        told = (self.agent_id, self.method, self.error_type, self.message, self.remote_traceback)
        return invocation_error, (*told, parts, self.base, built_in_args(self) if self.base else None)


_PLAIN: Final = frozenset({"Exception", "StopIteration"})
"""Reported as a plain `InvocationError`: it is an `Exception` already, and no future may hold the other."""
_combined: dict[str, type[InvocationError]] = {}


def invocation_error(
    agent_id: str,
    method: str,
    error_type: str,
    message: str,
    remote_traceback: str = "",
    parts: tuple[Exception, ...] = (),
    base: str = "",
    args: tuple[object, ...] | None = None,
) -> InvocationError:
    """Build the error for a method that raised; `except ValueError` catches it when the original was one.

    `parts` are the members when the original was an `ExceptionGroup`; `base` names its nearest built-in class, and
    `args` are what that class was made of: the message where they are not known.
    """
    base = base or error_type
    original = getattr(builtins, base, None)
    if not (isinstance(original, type) and issubclass(original, Exception)) or base in _PLAIN:
        return InvocationError(agent_id, method, error_type, message, remote_traceback)
    if issubclass(original, BaseExceptionGroup):
        if not parts:
            return InvocationError(agent_id, method, error_type, message, remote_traceback)
        group = InvocationGroupError(agent_id, method, error_type, message, remote_traceback, parts)
        group.base = base
        return group
    cls = _combined.get(base)
    if cls is None:
        # The built-in comes first as base, because only its own `__new__` may make it; the looks stay ours.
        looks = {
            name: InvocationError.__dict__[name]
            for name in ("__init__", "__str__", "__repr__", "__reduce__", "__module__")
        }
        cls = _combined[base] = type("InvocationError", (original, InvocationError), looks)
    error = original.__new__(cls)
    InvocationError.__init__(error, agent_id, method, error_type, message, remote_traceback)
    error.base = base
    error.args = (message,)
    with contextlib.suppress(TypeError, ValueError, OverflowError):  # a built-in class that is made of something else
        original.__init__(error, *(args if args is not None else (message,)))
    if isinstance(error, SyntaxError):
        error.msg = str(error)  # tracebacks show this instead of the text
    return error


def built_in_args(error: BaseException) -> tuple[object, ...]:
    """What the nearest built-in class of an exception is made of: its `args`, and a file's name and the like."""
    nearest: Any = next(c for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c)
    args: tuple[object, ...] = nearest.__reduce__(error)[1]
    return args


class InvocationGroupError(InvocationError, ExceptionGroup[Exception]):
    """A method of an agent raised an `ExceptionGroup`; its members are here too, so `except*` works."""

    def __new__(cls, *args: object) -> Self:
        """Make the group of its message and members, which are its fourth and sixth argument."""
        message, parts = args[3], args[5]
        return ExceptionGroup.__new__(cls, str(message), list(parts))  # type: ignore[call-overload]

    def __init__(
        self,
        agent_id: str,
        method: str,
        error_type: str,
        message: str,
        remote_traceback: str,
        parts: tuple[Exception, ...],
    ) -> None:
        InvocationError.__init__(self, agent_id, method, error_type, message, remote_traceback)
        self.args = (agent_id, method, error_type, message, remote_traceback, tuple(parts))  # so that it pickles

    def derive(self, excs: "list[Exception]") -> "InvocationGroupError":  # type: ignore[override]
        """The same report over some of the members, as `except*` asks for."""
        return InvocationGroupError(
            self.agent_id, self.method, self.error_type, self.message, self.remote_traceback, tuple(excs)
        )


class DeterminismWarning(UserWarning):
    """A line in an agent's class that replay cannot repeat, such as `time.time()`; given when the class is defined.

    It says what to use instead. A comment `# workbench: deterministic` at the end of the line silences it there.
    """
