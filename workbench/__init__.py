"""workbench: write, run, see and break durable parallel agents in a notebook.

```python
import workbench as wb

@wb.agent
class Worker:
    def __init__(self, id: int) -> None: ...
    async def process(self, item: str) -> str:
        return f"done {item}"

wb.run(Worker.get(7).process("x"))
```
"""

import importlib
from typing import TYPE_CHECKING, Any

from workbench import errors as _errors
from workbench.errors import (
    AgentDeletedError,
    AgentIdError,
    AgentInterruptedError,
    AgentRevertedError,
    AgentSetAsideError,
    AgentTypeError,
    CompensationError,
    CrashedError,
    DeadlockError,
    DecodingError,
    DeterminismWarning,
    DivergenceError,
    EncodingError,
    InvocationCancelledError,
    InvocationError,
    JobConflictError,
    NotInAgentError,
    OutcomeUnknown,
    ProcessDiedError,
    PromiseNotFound,
    RaceError,
    RefusedError,
    SearchError,
    SessionClosedError,
    SessionError,
    StalledError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreReadOnlyError,
    UnknownAgentError,
    UnsupportedError,
    WorkbenchError,
)
from workbench.ids import AgentId, PromiseId
from workbench.model.fan_out_results import FanOutResults
from workbench.model.retry import Retry
from workbench.runtime.agent import agent
from workbench.runtime.effects import idempotency_key, log, now, random, self_id, step, uuid4
from workbench.runtime.forking import ForkDetails, Forked, Original, fork
from workbench.runtime.jobs import fan_out
from workbench.runtime.joins import as_completed, bounded, join, race, race_ok, try_join
from workbench.runtime.opening import default_session as session
from workbench.runtime.opening import start
from workbench.runtime.promises import (
    await_promise,
    await_promise_json,
    blocking_await_promise,
    blocking_await_promise_json,
    complete_promise,
    complete_promise_json,
    create_promise,
    promise_state,
)
from workbench.runtime.regions import atomically
from workbench.runtime.running import run
from workbench.runtime.sagas import Operation, Transaction, fallible_transaction, infallible_transaction, operation
from workbench.runtime.session import Session
from workbench.store.salvage import Salvaged, salvage

if TYPE_CHECKING:
    from workbench.widgets.show import agent_graph, dashboard, show, trace

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - alphabetical, whatever the case
    "agent",
    "agent_graph",
    "AgentDeletedError",
    "AgentId",
    "AgentIdError",
    "AgentInterruptedError",
    "AgentRevertedError",
    "AgentSetAsideError",
    "AgentTypeError",
    "as_completed",
    "atomically",
    "await_promise",
    "await_promise_json",
    "blocking_await_promise",
    "blocking_await_promise_json",
    "bounded",
    "complete_promise",
    "complete_promise_json",
    "CompensationError",
    "CrashedError",
    "create_promise",
    "dashboard",
    "DeadlockError",
    "DecodingError",
    "DeterminismWarning",
    "DivergenceError",
    "EncodingError",
    "fallible_transaction",
    "fan_out",
    "FanOutResults",
    "fork",
    "ForkDetails",
    "Forked",
    "idempotency_key",
    "infallible_transaction",
    "InvocationCancelledError",
    "InvocationError",
    "JobConflictError",
    "join",
    "log",
    "NotInAgentError",
    "now",
    "operation",
    "Operation",
    "Original",
    "OutcomeUnknown",
    "ProcessDiedError",
    "promise_state",
    "PromiseId",
    "PromiseNotFound",
    "race",
    "race_ok",
    "RaceError",
    "RefusedError",
    "random",
    "Retry",
    "run",
    "salvage",
    "Salvaged",
    "SearchError",
    "self_id",
    "session",
    "Session",
    "SessionClosedError",
    "SessionError",
    "show",
    "StalledError",
    "start",
    "step",
    "StoreCorruptError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "StoreReadOnlyError",
    "trace",
    "Transaction",
    "try_join",
    "UnknownAgentError",
    "UnsupportedError",
    "uuid4",
    "WorkbenchError",
]


def _draw_deadlock(error: DeadlockError) -> str:
    """Drawing loads on first use."""
    svg: str = importlib.import_module("workbench.views.deadlock_picture").deadlock_svg(error)
    return svg


_errors.draw_deadlock.append(_draw_deadlock)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext workbench`."""
    from workbench import magics

    magics.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext workbench`."""
    from workbench import magics

    magics.unload(shell)


Session.drawing.update(live="workbench.widgets.show", files="workbench.exports.files")

_LAZY = dict.fromkeys(("agent_graph", "dashboard", "show", "trace"), "workbench.widgets.show")


def __getattr__(name: str) -> Any:
    """Names that need Jupyter packages load on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
