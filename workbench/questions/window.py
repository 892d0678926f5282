"""A stretch of the log, with its entries found by `seq` and by place in an oplog."""

from collections.abc import Callable, Sequence

from workbench.model import entries as e
from workbench.model.entries import Entry


class Window:
    """The entries from the acceptance of an invocation on, found by `seq` and by place in an oplog.

    Args:
        entries: in order, without holes.
        name: the text of an agent's id, by uid.
        before: finds an entry that lies before the window by its `seq`; without it there is none.
    """

    def __init__(
        self, entries: Sequence[Entry], name: Callable[[int], str], before: Callable[[int], Entry | None] | None = None
    ) -> None:
        self.entries = entries
        self.name = name
        self._before = before
        self._methods: dict[int, str] = {}
        self.first = entries[0].seq if entries else 0
        self.oplogs: dict[int, list[Entry]] = {}
        for entry in entries:
            self.oplogs.setdefault(entry.agent, []).append(entry)

    def get(self, seq: int) -> Entry | None:
        """The entry of this `seq`, if it is in the window."""
        at = seq - self.first
        return self.entries[at] if 0 <= at < len(self.entries) else None

    def method(self, invocation: int) -> str:
        """The method of an invocation, also of one that was accepted before the window; empty for none."""
        known = self._methods.get(invocation)
        if known is None:
            known = self._methods[invocation] = method_of(self._find, invocation)
        return known

    def _find(self, seq: int) -> Entry | None:
        found = self.get(seq)
        return found if found is not None or self._before is None or seq >= self.first else self._before(seq)

    def at(self, uid: int, index: int) -> Entry | None:
        """The entry at an index of an agent's oplog, along its lineage, if it is in the window."""
        while True:
            oplog = self.oplogs.get(uid)
            if not oplog:
                return None
            place = index - oplog[0].index
            if 0 <= place < len(oplog):
                return oplog[place]
            body = oplog[0].body
            if place >= 0 or not isinstance(body, e.AgentForked):
                return None
            uid = body.source

    def line(self, uid: int) -> list[Entry]:
        """The entries of an agent's oplog along its lineage, as far as they are in the window."""
        parts = [self.oplogs.get(uid, [])]
        last = 0
        while parts[-1] and isinstance(body := parts[-1][0].body, e.AgentForked):
            last = min(last or body.cut, body.cut)
            parts.append([entry for entry in self.oplogs.get(body.source, ()) if entry.index <= last])
        return [entry for part in reversed(parts) for entry in part]

    def of(self, uid: int, invocation: int) -> list[Entry]:
        """The entries of an invocation in an agent's own oplog."""
        return [entry for entry in self.oplogs.get(uid, ()) if entry.invocation == invocation]


def method_of(entry: Callable[[int], Entry | None], invocation: int) -> str:
    """The method of an invocation, by the `seq` of its acceptance; empty when it is not known.

    Args:
        entry: finds an entry by its `seq`.
        invocation: which.
    """
    accepted = entry(invocation) if invocation else None
    body = None if accepted is None else accepted.body
    if isinstance(body, e.ScheduleFired):
        plan = entry(body.schedule)
        body = None if plan is None else plan.body
    return body.method if isinstance(body, e.CallMade | e.CallScheduled) else ""
