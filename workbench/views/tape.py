"""What happened, in rows: the state of every view at every point of the log.

A *tape* turns committed entries into rows that only ever grow, so a view may be drawn as of any row, sent on from any
row, and saved as it is. What a status is, is decided in one place, the graph's fold: the tape runs each entry through
it and writes down what came of it. So views show at a past entry what the live graph showed then.

A row is what one entry did to one agent; an entry makes none, one or several. All rows have the same columns, which the
front end reads too (`front/tape.js`):

| column | meaning |
|---|---|
| `seq`, `wall` | of the entry; wall time in milliseconds since the epoch |
| `kind` | `Row` |
| `slot` | the agent, by its place in order of creation; -1 for nobody who is shown |
| `a`, `b`, `c` | as the kind says; texts are numbers of `texts`, 0 is the empty one |
| `index` | the entry's index in the oplog of `slot`, 0 when it stands in another's |

`moment` gives the state at a `seq`. It begins at the nearest *keyframe* before it (each agent's last row, kept every
`KEYFRAME` rows), so it reads at most that many rows, wherever it is asked for.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from workbench.errors import DeadlockError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.model.failure import decode_failure
from workbench.views.graph import GraphView
from workbench.views.graph_nodes import Earlier, GraphNode, Link, Origin, Status, Wait, status_number
from workbench.views.ring import ring_of

KEYFRAME: Final = 4096
"""Rows between two keyframes."""
_LOW: Final = 0xFFFF_FFFF


class Row(IntEnum):
    """Kinds of rows, and what their columns mean. The numbers travel to the front end."""

    AGENT = 0
    """An agent appears: `a` its parent's slot or -1, `b` its `Origin`, `c` text of its id."""
    STATUS = 1
    """`a` is `Status`, plus 16 times the bits of `Reason`; `b` text of the method; `c` text of the step, the promise
    or the timer it waits for when it waits for nothing else."""
    ARROW = 2
    """A message arrived: `a` slot of the sender, `b` its `Arrow`, `c` the `seq` at which it was sent."""
    OPEN = 3
    """`slot` waits for `a`, or has triggered it: `b` is the `Link`, `c` names it until it closes."""
    CLOSE = 4
    """The wait named `c` is over."""
    PROMISE = 5
    """`a` is the promise's number, `b` the `PromiseEvent`, `c` text of the source line; `slot` is who did it."""
    FORK = 6
    """`slot` is a fork of `a`, cut at oplog index `b` of the source, which is the entry `c`."""
    REVERT = 7
    """What `slot` did after its index `a`, which is the entry `c`, counts no longer; `b` is 1 for an atomic region."""
    LABEL = 8
    """`c` is what the agent's work is called from now on."""
    MARK = 9
    """A process (`a`) took the session up: what was under way is rebuilt from the log."""
    REFUSED = 10
    """A call of `slot` was refused: its answer could never come, for the agents `a` and what that waits for wait for
    `slot`; `a` is -1 for nobody shown. `b` is how many they are, `c` text of the cycle: a `Ring` as JSON."""


class Reason(IntEnum):
    """What an agent with open waits waits for; bits."""

    CALL = 1
    PROMISE = 2
    TIMER = 4
    STEP = 8


class Arrow(IntEnum):
    """Kinds of messages. The numbers travel to the front end."""

    CALL = 1
    REPLY = 2
    TRIGGER = 3
    COMPLETION = 4
    FORK = 5
    SCHEDULE = 6


class PromiseEvent(IntEnum):
    """What happened to a promise. The numbers travel to the front end."""

    CREATED = 1
    AWAITED = 2
    DELIVERED = 3
    COMPLETED = 4
    IGNORED = 5
    """A completion that came too late: the first one stands."""
    SEEN = 6
    """Somebody asked whether it is completed."""
    ENDED = 7
    """It can never be completed: its owner was deleted, or taken back to before it."""
    DROPPED = 8
    """Who waited for it does so no longer."""


class Promise(NamedTuple):
    """Names a promise: uid of who made it, and the index in its oplog."""

    owner: int
    at: int


# Members as plain numbers: looking up an enum's member costs as much as writing a row.
_AGENT, _STATUS, _ARROW, _OPEN, _CLOSE, _PROMISE, _FORK, _REVERT, _LABEL, _MARK, _REFUSED = (int(row) for row in Row)
_CALL_BIT, _PROMISE_BIT, _TIMER_BIT, _STEP_BIT = (int(reason) for reason in Reason)
_CALL, _REPLY, _TRIGGER, _COMPLETION, _FORKING, _SCHEDULE = (int(arrow) for arrow in Arrow)
_BY_CALL: Final = int(Link.CALL)
_REASONS: Final = {int(Link.PROMISE): _PROMISE_BIT, int(Link.TIMER): _TIMER_BIT}
_SCANNED: Final = 4
"""Open waits looked at for whether a promise or a timer is among them."""


class Moment(NamedTuple):
    """The state at a point.

    Attributes:
        seq: the point; `row` is how many rows came up to it.
        agents: how many agents there were.
        last: by slot, the number of the last `STATUS` row, -1 for none yet.
        links: numbers of the `OPEN` rows that have not closed.
    """

    seq: int
    row: int
    agents: int
    last: "array[int]"
    links: list[int]


class Tape:
    """Rows of all that happened up to the last applied entry.

    Args:
        root: uid of an agent to follow with all that descends from it; None for everything.
        describe: turns an encoded failure into text for people.
        since: begin after this `seq`, with the agents that do something after it.
        earlier: the agents that were there at `since`, by uid.
    """

    def __init__(
        self,
        root: int | None = None,
        describe: Callable[[bytes], str] | None = None,
        *,
        since: int = 0,
        earlier: Mapping[int, Earlier] | None = None,
    ) -> None:
        self.view = GraphView(root, describe, since=since, earlier=earlier)
        """The same entries as the live graph; read it."""
        self.wall, self.seq, self.kind = array("d"), array("I"), array("B")
        self.slot, self.a, self.b, self.c, self.index = array("i"), array("i"), array("i"), array("I"), array("i")
        self.texts: list[str] = [""]
        self.promises: list[Promise] = []
        """By number."""
        self._new: list[tuple[float, int, int, int, int, int, int, int]] = []  # rows not yet in the columns
        self._numbers: dict[str, int] = {"": 0}
        self._told: list[tuple[int, int, int]] = []  # by slot: `a`, `b` and `c` of the last STATUS row
        self._calls: dict[int, tuple[int, int]] = {}  # acceptance -> who sent it, `Arrow`
        self._cells: dict[int, tuple[int, int]] = {}  # invocation by a cell -> slot of the cell, uid of who runs it
        self._ends: dict[int, int] = {}  # InvocationFinished not delivered yet -> whose
        self._completions: dict[int, int] = {}  # PromiseCompleted -> who did it
        self._promise_numbers: dict[Promise, int] = {}
        self._pending: dict[int, dict[int, int]] = {}  # uid -> index -> number, of promises not completed
        self._awaits: dict[int, dict[int, int]] = {}  # uid -> oplog index of the wait -> promise
        self._slots: dict[str, int] = {}  # of the youngest incarnation of each id
        self._last = array("i")
        self._open: dict[int, int] = {}  # key of a link -> its OPEN row
        self._keyframes: list[Moment] = []
        self._due = KEYFRAME  # rows with which the next one is made

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def last_seq(self) -> int:
        """`seq` of the last applied entry; what comes after it is read next."""
        return self.view.seq

    # ---- entries in ----------------------------------------------------------------------------------------------

    def apply(self, entries: Iterable[Entry]) -> None:
        """Fold entries in; they continue the ones applied before, in the order of the log."""
        view, handlers, told, new = self.view, self._HANDLERS, self._told, self._new
        fold, by_uid, nodes, dirty, fresh, gone = view.fold, view.by_uid, view.nodes, view.dirty, view.fresh, view.gone
        room = self._due - len(self.kind)
        for entry in entries:
            fold(entry)
            wall = entry.wall / 1e6
            if len(nodes) > len(told):
                self._appear(entry.seq, wall)
            if gone or fresh:
                self._links(entry.seq, wall)
            handler = handlers.get(entry.body.__class__)
            if handler is not None:
                node = by_uid.get(entry.agent)
                if node is not None:
                    handler(self, node, entry, entry.body)
            if dirty:
                self._statuses(entry.seq, wall, entry.agent, entry.index)
            if len(new) >= room:
                self._settle()
                self._keyframes.append(self._now(entry.seq))
                room = KEYFRAME
                self._due = len(self.kind) + room
        self._settle()

    def mark_undefined(self, type_names: Iterable[str]) -> None:
        """Agents of these types have no class yet, and only those; told as of the last entry."""
        self.view.mark_undefined(tuple(type_names))
        if self.view.dirty and self.kind:
            self._statuses(self.seq[-1], self.wall[-1], 0, 0)
            self._settle()

    def _row(self, entry: Entry, kind: int, slot: int, a: int, b: int, c: int, index: int = 0) -> None:
        self._new.append((entry.wall / 1e6, entry.seq, kind, slot, a, b, c, index))

    def write(self, rows: Iterable[tuple[float, int, int, int, int, int, int, int]]) -> None:
        """Rows that no entry made: for a tape that stands for another."""
        self._new.extend(rows)
        self._settle()

    def _settle(self) -> None:
        """New rows go into the columns, all at once: that is four times as fast as one by one."""
        if self._new:
            columns = self.columns()
            for column, values in zip(columns, zip(*self._new, strict=True), strict=True):
                column.extend(values)
            self._new.clear()

    def columns(self) -> "tuple[array[Any], ...]":
        """Wall, seq, kind, slot, a, b, c, index."""
        return self.wall, self.seq, self.kind, self.slot, self.a, self.b, self.c, self.index

    def _text(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return number

    def _appear(self, seq: int, wall: float) -> None:
        for node in self.view.nodes[len(self._told) :]:
            self._new.append((wall, seq, _AGENT, node.slot, node.parent, node.origin, self._text(node.agent_id), 0))
            self._told.append((0, 0, 0))
            self._slots[node.agent_id] = node.slot
            self._last.append(-1)

    def _links(self, seq: int, wall: float) -> None:
        view, new = self.view, self._new
        for key in view.gone:
            if self._open.pop(key & _LOW, None) is not None:
                new.append((wall, seq, _CLOSE, -1, 0, 0, key & _LOW, 0))
        view.gone.clear()
        for key, wait in view.fresh.items():
            source, target = view.by_uid.get(wait.agent), view.by_uid.get(wait.on)
            if source is not None and target is not None:
                if key > 0:
                    self._calls[key] = source.slot, _CALL if wait.kind == _BY_CALL else _TRIGGER
                self._open[key & _LOW] = len(self.kind) + len(new)
                new.append((wall, seq, _OPEN, source.slot, target.slot, wait.kind, key & _LOW, 0))
        view.fresh.clear()

    def _statuses(self, seq: int, wall: float, agent: int, index: int) -> None:
        view, told = self.view, self._told
        for uid in view.dirty:
            node = view.by_uid[uid]
            status, what = status_number(node), 0
            if node.waits and node.running:
                reasons, what = self._reasons(node, node.waits)
                status += 16 * reasons
            now = status, self._text(node.method), what
            if now != told[node.slot]:
                told[node.slot] = now
                self._last[node.slot] = len(self.kind) + len(self._new)
                self._new.append((wall, seq, _STATUS, node.slot, *now, index if uid == agent else 0))
        view.dirty.clear()
        if view.relabelled:
            for uid in view.relabelled:
                node = view.by_uid[uid]
                self._new.append((wall, seq, _LABEL, node.slot, 0, 0, self._text(node.label or ""), 0))
            view.relabelled.clear()

    def _reasons(self, node: GraphNode, waits: dict[int, Wait]) -> tuple[int, int]:
        """The bits of `Reason`, and text of what it waits for unless that is another agent's reply."""
        calls = len(waits) - node.steps - node.sleeps
        reasons, what = (_CALL_BIT if calls else 0) | (_STEP_BIT if node.steps else 0), 0
        if node.sleeps or node.steps:
            for _, wait in zip(range(_SCANNED), waits.values(), strict=False):
                reasons |= _REASONS.get(wait.kind, 0)
                if not what and not calls:
                    what = self._text(wait.what)
        return reasons, what

    # ---- what else is told of an entry -----------------------------------------------------------------------------

    def _arrow(self, entry: Entry, to: int, sender: int, kind: int, sent: int) -> None:
        self._row(entry, _ARROW, to, sender, kind, sent)

    def _started(self, node: GraphNode, entry: Entry, _body: e.InvocationStarted) -> None:
        call = self._calls.pop(entry.invocation, None)
        if call is not None:
            self._arrow(entry, node.slot, *call, entry.invocation)
            sender, kind = call
            if kind == _CALL and self.view.nodes[sender].parent < 0:
                self._cells[entry.invocation] = sender, node.uid  # cells are given results by no entry

    def _finished(self, node: GraphNode, entry: Entry, _body: e.InvocationFinished) -> None:
        if node.uid in self._awaits:
            self._drop_awaits(node, entry)
        caller, uid = self._cells.get(entry.invocation, (-1, 0))
        if uid == node.uid:  # and no fork of it, whose result goes to nobody
            del self._cells[entry.invocation]
            self._arrow(entry, caller, node.slot, _REPLY, entry.seq)
        else:
            self._ends[entry.seq] = node.slot

    def _delivered(self, node: GraphNode, entry: Entry, body: e.CallDelivered) -> None:
        if not body.ok:
            self._refused(node, entry, body.value)
        sender = self._ends.get(entry.cause)
        if sender is not None:
            self._arrow(entry, node.slot, sender, _REPLY, entry.cause)

    def _call_refused(self, node: GraphNode, entry: Entry, body: e.CallRefused) -> None:
        self._refused(node, entry, body.failure)

    def _refused(self, node: GraphNode, entry: Entry, value: bytes) -> None:
        """An outcome that is a refused cycle of this agent's own; one that whom it called passes on was told before."""
        try:
            failure = decode_failure(value)
            if failure.error_type != DeadlockError.__name__ or failure.agent_id != node.agent_id:
                return
            error = DeadlockError(*(failure.fields or ()))
        except (TypeError, ValueError, ZeroDivisionError):
            return
        ring = ring_of(error.cycle, error.edge)
        text = self._text(msgspec.json.encode(ring).decode())
        target = self._slots.get(error.cycle[0][0], -1)
        self._row(entry, _REFUSED, node.slot, target, len(error.cycle), text, entry.index)

    def _fired(self, _node: GraphNode, entry: Entry, _body: e.ScheduleFired) -> None:
        call = self._calls.get(entry.seq)
        if call is not None:
            self._calls[entry.seq] = call[0], _SCHEDULE

    def _session_started(self, node: GraphNode, entry: Entry, body: e.SessionStarted) -> None:
        self._row(entry, _MARK, node.slot, body.pid & 0x7FFF_FFFF, 0, 0, entry.index)

    def _forked(self, node: GraphNode, entry: Entry, body: e.AgentForked) -> None:
        source = self.view.by_uid.get(body.source)
        at = source.slot if source is not None else -1
        cut = body.facts.seq if body.facts is not None else entry.seq - 1  # `ForkMade` stands right before
        self._row(entry, _FORK, node.slot, at, body.cut, cut, entry.index)
        if at >= 0:
            self._arrow(entry, node.slot, at, _FORKING, entry.seq)
        for op, number in self._awaits.get(body.source, {}).items():
            if op <= body.cut:
                self._await(entry, node, op, number)

    def _reverted(self, node: GraphNode, entry: Entry, body: e.AgentReverted) -> None:
        region = int(body.region > 0)
        self._row(entry, _REVERT, node.slot, body.last, region, body.facts.seq, entry.index)
        if not region:  # else it runs again, and makes them again
            self._end_promises(node, entry, body.last)
        still = {wait.op for wait in body.facts.waits}
        for op in [op for op in self._awaits.get(node.uid, ()) if op not in still]:
            self._unawait(entry, node, op, PromiseEvent.DROPPED)

    def _ended(self, node: GraphNode, entry: Entry, _body: e.AgentDeleted) -> None:
        self._end_promises(node, entry, 0)
        self._drop_awaits(node, entry)

    def _failed(self, node: GraphNode, entry: Entry, _body: e.AgentFailed) -> None:
        self._drop_awaits(node, entry)

    # ---- promises ------------------------------------------------------------------------------------------------

    def _number(self, owner: int, index: int) -> int:
        promise = Promise(owner, index)
        number = self._promise_numbers.get(promise)
        if number is None:
            number = self._promise_numbers[promise] = len(self.promises)
            self.promises.append(promise)
        return number

    def _promise(self, entry: Entry, node: GraphNode, number: int, event: int) -> None:
        self._row(entry, _PROMISE, node.slot, number, event, self._text(entry.line), entry.index)

    def _promise_created(self, node: GraphNode, entry: Entry, body: e.PromiseCreated) -> None:
        if body.again:
            self._promise(entry, node, self._number(entry.agent, body.again), PromiseEvent.SEEN)
            return
        number = self._number(entry.agent, entry.index)
        self._pending.setdefault(entry.agent, {})[entry.index] = number
        self._promise(entry, node, number, PromiseEvent.CREATED)

    def _promise_awaited(self, node: GraphNode, entry: Entry, body: e.PromiseAwaited) -> None:
        self._await(entry, node, entry.index, self._number(body.owner, body.promise))

    def _await(self, entry: Entry, node: GraphNode, op: int, number: int) -> None:
        self._awaits.setdefault(node.uid, {})[op] = number
        self._promise(entry, node, number, PromiseEvent.AWAITED)

    def _unawait(self, entry: Entry, node: GraphNode, op: int, event: int) -> None:
        number = self._awaits.get(node.uid, {}).pop(op, None)
        if number is not None:
            self._promise(entry, node, number, event)

    def _drop_awaits(self, node: GraphNode, entry: Entry) -> None:
        for op in list(self._awaits.get(node.uid, ())):
            self._unawait(entry, node, op, PromiseEvent.DROPPED)

    def _promise_delivered(self, node: GraphNode, entry: Entry, body: e.PromiseDelivered) -> None:
        self._unawait(entry, node, body.op, PromiseEvent.DELIVERED)
        sender = self._completions.get(entry.cause)
        if sender is not None:
            self._arrow(entry, node.slot, sender, _COMPLETION, entry.cause)

    def _dropped(self, node: GraphNode, entry: Entry, body: e.WaitDropped) -> None:
        self._unawait(entry, node, body.op, PromiseEvent.DROPPED)

    def _promise_completed(self, node: GraphNode, entry: Entry, body: e.PromiseCompleted) -> None:
        number = self._number(body.owner, body.promise)
        self._pending.get(body.owner, {}).pop(body.promise, None)
        what = PromiseEvent.COMPLETED if body.first else PromiseEvent.SEEN if body.again else PromiseEvent.IGNORED
        self._promise(entry, node, number, what)
        self._completions[entry.seq] = node.slot

    def _promise_seen(self, node: GraphNode, entry: Entry, body: e.PromiseSeen) -> None:
        self._promise(entry, node, self._number(body.owner, body.promise), PromiseEvent.SEEN)

    def _end_promises(self, node: GraphNode, entry: Entry, after: int) -> None:
        """The promises that an agent made after an index are gone with what it did."""
        pending = self._pending.get(node.uid, {})
        for index in [index for index in pending if index > after]:
            self._promise(entry, node, pending.pop(index), PromiseEvent.ENDED)

    def _region_ended(self, node: GraphNode, entry: Entry, body: e.RegionEnded) -> None:
        for index in body.left:
            number = self._pending.get(node.uid, {}).pop(index, None)
            if number is not None:
                self._promise(entry, node, number, PromiseEvent.ENDED)

    _HANDLERS: ClassVar[dict[type[e.Body], Callable[[Any, GraphNode, Entry, Any], None]]] = {
        e.InvocationStarted: _started,
        e.InvocationFinished: _finished,
        e.CallDelivered: _delivered,
        e.CallRefused: _call_refused,
        e.ScheduleFired: _fired,
        e.SessionStarted: _session_started,
        e.AgentForked: _forked,
        e.AgentReverted: _reverted,
        e.AgentDeleted: _ended,
        e.AgentFailed: _failed,
        e.PromiseCreated: _promise_created,
        e.PromiseAwaited: _promise_awaited,
        e.PromiseDelivered: _promise_delivered,
        e.PromiseCompleted: _promise_completed,
        e.PromiseSeen: _promise_seen,
        e.WaitDropped: _dropped,
        e.RegionEnded: _region_ended,
    }

    # ---- any moment ----------------------------------------------------------------------------------------------

    def rows_until(self, seq: int) -> int:
        """How many rows the entries up to a `seq` made."""
        return bisect_right(self.seq, seq)

    def _now(self, seq: int) -> Moment:
        return Moment(seq, len(self.kind), len(self._last), self._last[:], list(self._open.values()))

    def moment(self, seq: int | None = None) -> Moment:
        """The state once the entry `seq` was applied; None for now."""
        if seq is None or seq >= self.last_seq:
            return self._now(self.last_seq)
        upto = self.rows_until(seq)
        at = bisect_right(self._keyframes, upto, key=lambda frame: frame.row)
        begin = self._keyframes[at - 1] if at else Moment(0, 0, 0, array("i"), [])
        last, open_links = begin.last[:], {self.c[row]: row for row in begin.links}
        agents, kinds, slots = begin.agents, self.kind, self.slot
        for row in range(begin.row, upto):
            kind = kinds[row]
            if kind == _STATUS:
                last[slots[row]] = row
            elif kind == _AGENT:
                last.append(-1)
                agents += 1
            elif kind == _OPEN:
                open_links[self.c[row]] = row
            elif kind == _CLOSE:
                open_links.pop(self.c[row], None)
        return Moment(seq, upto, agents, last, list(open_links.values()))

    def status(self, moment: Moment, slot: int) -> Status:
        """The status of an agent at a moment."""
        row = moment.last[slot]
        return Status(self.a[row] & 15) if row >= 0 else Status.IDLE

    def counts(self, moment: Moment) -> dict[Status, int]:
        """How many agents were in each status, the root session apart."""
        counts = dict.fromkeys(Status, 0)
        for slot in range(moment.agents):
            if self.view.nodes[slot].origin != Origin.ROOT:
                counts[self.status(moment, slot)] += 1
        return counts

    def rows(self, kind: Row, upto: int | None = None) -> Iterator[int]:
        """Numbers of the rows of a kind, in order; of the first `upto` rows."""
        wanted, kinds = int(kind), self.kind
        return (row for row in range(len(kinds) if upto is None else upto) if kinds[row] == wanted)
