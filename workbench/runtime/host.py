"""What an instance needs of the session: it asks, the engine answers."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from workbench.core.decisions import Draft
from workbench.core.nouns import Agent, Invocation, Promise
from workbench.core.regions import Undone
from workbench.core.state import State
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.agent_type import AgentType
from workbench.model.entries import Body, Entry
from workbench.runtime.steps import StepWork


class Host(Protocol):
    """What an instance needs of the session."""

    @property
    def state(self) -> State:
        """The folded facts."""

    def append(self, uid: int, body: Body, line: str = "") -> Entry:
        """Stamp, apply and keep one entry."""

    def append_all(self, drafts: Sequence[Draft], line: str = "") -> list[Entry]:
        """Stamp, apply and keep the entries of one decision."""

    def make_call(self, caller: int, target: AgentId, request: e.CallMade, line: str) -> Entry:
        """Decide and append a call; its entry."""

    def watched(self, invocation: Invocation) -> bool:
        """Whether somebody outside waits for it."""

    def control(self, agent: Agent, verb: str, target_id: str, argument: int, text: str) -> tuple[bool, bytes]:
        """Do what one agent wants done to another: whether it was, and the encoded result or failure."""

    def incarnation(self, uid: int) -> str:
        """The incarnation text of an agent, for promise ids."""

    def promise_of(self, promise_id: PromiseId) -> Promise:
        """Look a promise up, or raise `PromiseNotFound`."""

    def new_phantom_id(self) -> UUID:
        """A random UUID, recorded by whoever asks."""

    def say(self, agent: Agent, level: str, message: str) -> None:
        """Show what agent code printed, once it is committed."""

    def complain(self, agent: Agent, context: dict[str, Any]) -> None:
        """Report an error that no code awaits."""

    def tick(self) -> None:
        """Read the clocks: what is recorded next counts as happening now, and not when the agent's run began."""

    def names_may_come(self, agent: Agent) -> bool:
        """Whether cells may yet define names that the agent's code asks for."""

    def bind_job(self, job_id: str, agent_type: AgentType) -> None:
        """A fan-out job runs with this type from now on."""

    def start_step(self, agent: Agent, op: int, work: StepWork) -> None:
        """Run a side effect once its intent is committed."""

    def end_region(self, agent: Agent, begun: int, line: str) -> None:
        """Record that an atomic region is done."""

    def undone_before(self, agent: Agent, started: int, begun: int) -> Undone:
        """What runs of an atomic region did that crashes undid.

        Args:
            agent: whose region it is.
            started: the index at which the invocation started.
            begun: the index at which the region began in its present run.
        """

    def arm_timer(self, uid: int, op: int, due: int) -> None:
        """Deliver `TimerFired` when it is due."""
