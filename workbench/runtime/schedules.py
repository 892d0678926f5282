"""Handles on invocations that are to come."""

from typing import Any

from workbench.runtime.clock import as_datetime
from workbench.runtime.current import calling_line, current
from workbench.signs import printable


class ScheduleHandle:
    """An invocation that is to come. It stays when the handle is lost: `session.schedules()` gives handles too.

    Attributes:
        agent_id: text of the target's id.
        method: the method's name.
        due: when, in UTC.
    """

    __slots__ = ("_seq", "_session", "agent_id", "due", "method")

    def __init__(self, seq: int, agent_id: str, method: str, due: int, session: Any = None) -> None:
        self._seq, self._session, self.agent_id, self.method = seq, session, agent_id, method
        self.due = as_datetime(due)

    def cancel(self) -> bool:
        """Take it back. True when it was still to come, False when it has come or was dropped with its target.

        Oplog: one `ScheduleCancelled` entry with the answer.
        Replay: returns the recorded answer.
        """
        if current.instance is not None:
            pending: bool = current.instance.cancel_schedule(self._seq)
            return pending
        taken_back: bool = self._session.thread.requests.cancel_schedule(self._seq, calling_line())
        return taken_back

    def __repr__(self) -> str:
        return printable(f"<{self.agent_id}.{self.method} scheduled for {self.due:%Y-%m-%d %H:%M:%S} UTC>")
