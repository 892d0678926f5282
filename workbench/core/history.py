"""What was so of an agent at an index of its oplog, read off the entries: for reverts, forks at an index, regions."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from workbench.model import entries as e
from workbench.model.entries import KIND_NUMBERS, Entry, Facts, OpenWait

FIRST_CUT: Final = 2
"""The lowest index to go back to: the first entry brings the agent into being, the second begins its work."""

_OUTCOMES: Final = (e.CallDelivered, e.PromiseDelivered, e.StepFinished)


class _Reading:
    """A fold of one agent's oplog."""

    def __init__(self) -> None:
        self.seq = 0
        self.running: Entry | None = None
        self.last: tuple[Entry, Entry] | None = None
        self.waits: dict[int, OpenWait] = {}
        self.finished = self.raised = self.revision = 0
        self.regions: list[int] = []
        self.failed = False

    def read(self, entry: Entry) -> None:
        self.seq = entry.seq
        match entry.body:
            case e.AgentCreated(revision=revision):
                self.revision = revision
            case e.AgentUpdated(revision=revision, fits=True):
                self.revision = revision
            case e.InvocationStarted():
                self.running, self.waits = entry, {}
            case e.InvocationFinished(ok=ok):
                if self.running is not None:
                    self.last = self.running, entry
                self.running = None
                self.finished += 1
                self.raised += not ok
            case e.CallMade(awaited=True, target=target):
                self._open(entry, target, 0)
            case e.PromiseAwaited(owner=owner, promise=promise):
                self._open(entry, owner, promise)
            case e.TimerSet(due=due):
                self._open(entry, due, 0)
            case e.StepStarted():
                self._open(entry, 0, 0)
            case e.CallDelivered(op=op) | e.PromiseDelivered(op=op) | e.TimerFired(op=op) | e.StepFinished(op=op):
                self.waits.pop(op, None)
            case e.WaitDropped(op=op):
                self.waits.pop(op, None)
            case e.RegionBegun():
                self.regions.append(entry.index)
            case e.RegionEnded(op=op):
                self.regions = [begun for begun in self.regions if begun != op]
            case e.AgentFailed():
                self.failed, self.running, self.waits, self.regions = True, None, {}, []
            case _:
                pass

    def _open(self, entry: Entry, a: int, b: int) -> None:
        kind = KIND_NUMBERS[type(entry.body)]
        self.waits[entry.index] = OpenWait(entry.index, kind, entry.seq, entry.wall, entry.line, a, b)

    def facts(self) -> Facts:
        running, body = self.running, None if self.running is None else self.running.body
        waits, regions = tuple(self.waits.values()), tuple(self.regions)
        counted = {"waits": waits, "finished": self.finished, "raised": self.raised, "regions": regions}
        facts = Facts(self.seq, revision=self.revision, **counted)  # type: ignore[arg-type] # by name
        if running is not None and isinstance(body, e.InvocationStarted):
            facts = msgspec.structs.replace(
                facts,
                invocation=running.invocation,
                started=running.seq,
                method=body.method,
                args=body.value,
                label=body.label,
            )
        if self.last is not None:
            began, ended = self.last
            assert isinstance(began.body, e.InvocationStarted)
            assert isinstance(ended.body, e.InvocationFinished)
            facts = msgspec.structs.replace(
                facts,
                last=began.invocation,
                last_method=began.body.method,
                last_ok=ended.body.ok,
                last_value=ended.body.value,
            )
        return facts


def facts_at(oplog: Iterable[Entry], index: int) -> Facts:
    """What was so right after the entry at `index`.

    Args:
        oplog: all entries of the agent that count, oldest first.
        index: where to look.
    """
    return _read(oplog, index).facts()


def _read(oplog: Iterable[Entry], index: int) -> _Reading:
    reading = _Reading()
    for entry in oplog:
        if entry.index > index:
            break
        reading.read(entry)
    return reading


def why_no_cut(oplog: Sequence[Entry], index: int) -> str:
    """Why the agent cannot go back to `index`, or be forked there; empty when it can."""
    if index < FIRST_CUT:
        return f"an index is {FIRST_CUT} or more: the entries before it bring the agent into being"
    if not oplog or index > oplog[-1].index:
        return f"its oplog ends at index {oplog[-1].index if oplog else 0}"
    if all(entry.index != index for entry in oplog):
        return f"index {index} was dropped by a revert"
    reading = _read(oplog, index)
    if reading.failed:
        return "it had failed by then; an index before that is needed"
    if reading.regions:
        return f"it lies inside the atomic region that began at index {reading.regions[0]}"
    for wait in reading.waits.values():
        if wait.kind == KIND_NUMBERS[e.CallMade]:
            return f"it lies inside the call made at index {wait.op}, whose answer had not come"
        if wait.kind == KIND_NUMBERS[e.StepStarted]:
            return f"it lies inside the step begun at index {wait.op}, which had not ended"
    return ""


def cuts(oplog: Sequence[Entry]) -> list[int]:
    """All indices that the agent can go back to, or be forked at."""
    reading, found = _Reading(), []
    closed = (KIND_NUMBERS[e.CallMade], KIND_NUMBERS[e.StepStarted])
    for entry in oplog:
        reading.read(entry)
        if reading.failed:
            break
        inside = reading.regions or any(wait.kind in closed for wait in reading.waits.values())
        if entry.index >= FIRST_CUT and not inside:
            found.append(entry.index)
    return found


def before_last(oplog: Sequence[Entry], invocations: int) -> int | None:
    """The index before the last so many invocations began, ended or not; None when there are fewer."""
    begun = [at for at, entry in enumerate(oplog) if isinstance(entry.body, e.InvocationStarted)]
    if invocations > len(begun):
        return None
    at = begun[len(begun) - invocations]
    return oplog[at - 1].index if at else 0


def region_facts(oplog: Sequence[Entry], begun: int) -> Facts:
    """What was so before the atomic region at index `begun`, with the outcomes that came while it was open."""
    before = [entry for entry in oplog if entry.index < begun]
    facts = facts_at(before, begun)
    outcomes = {
        entry.body.op: entry.body for entry in oplog if entry.index > begun and isinstance(entry.body, _OUTCOMES)
    }
    waits = [wait if (body := outcomes.get(wait.op)) is None else _settled(wait, body) for wait in facts.waits]
    return msgspec.structs.replace(facts, waits=tuple(waits))


def _settled(wait: OpenWait, body: e.CallDelivered | e.PromiseDelivered | e.StepFinished) -> OpenWait:
    return msgspec.structs.replace(wait, settled=1, ok=body.ok, value=body.value)
