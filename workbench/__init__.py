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

from typing import Any

from workbench.errors import (
    AgentIdError,
    AgentTypeError,
    CrashedError,
    DeadlockError,
    DecodingError,
    DivergenceError,
    EncodingError,
    InvocationError,
    JobConflictError,
    NotInAgentError,
    OutcomeUnknown,
    PromiseNotFound,
    RaceError,
    SessionClosedError,
    SessionError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreInUseError,
    StoreReadOnlyError,
    UnknownAgentError,
    UnsupportedError,
    WorkbenchError,
)
from workbench.ids import AgentId, PromiseId
from workbench.runtime.agent import agent
from workbench.runtime.api import (
    Forked,
    ForkDetails,
    Original,
    await_promise,
    await_promise_json,
    blocking_await_promise,
    blocking_await_promise_json,
    complete_promise,
    complete_promise_json,
    create_promise,
    fork,
    idempotency_key,
    log,
    now,
    promise_state,
    random,
    self_id,
    step,
    uuid4,
)
from workbench.runtime.joins import as_completed, bounded, join, race, race_ok, try_join
from workbench.runtime.session import Session, run, start
from workbench.runtime.session import default_session as session

__version__ = "0.1.0"
