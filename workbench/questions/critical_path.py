"""The critical path of an invocation: the chain of what it waited for that decided when it ended.

Walked backwards. An invocation ended on the last thing that was delivered to it; that was a step, a timer, the result
of a call or a promise's payload, which began at an earlier entry, and before that again something was delivered last.
Where a call's result decided, its target's own path takes the place of the wait; where a payload did, the path of
whoever completed the promise. So the segments follow each other without a gap from the acceptance to the end, and
their lengths add up to the whole.

For an invocation under way the end is now, for one that was cut short that is it; and the wait that was open longest
then stands for the last delivery. Where the agent was interrupted, that takes the place of what it waited for.

All is read off the entries between acceptance and end. What lies before them (a cap was reached) is one segment,
`earlier`. Wall times never fall from one entry to the next, which is why no segment is negative.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from workbench.core.nouns import ROOT_UID
from workbench.model import entries as e
from workbench.model.entries import ROLES, Entry, Role
from workbench.questions.explanation import MAX_SENTENCES, at_line, duration, elapsed, listed, moment, several
from workbench.questions.parallel import Overlap, overlaps
from workbench.questions.standstills import standstills
from workbench.questions.window import Window
from workbench.signs import printed

MAX_MOVES: Final = 100_000
"""Steps back after which the rest is one segment."""
_SHORT: Final = 0.005
"""The part of the whole below which a segment is not told."""

_Delivery = e.CallDelivered | e.PromiseDelivered | e.TimerFired | e.StepFinished
_DELIVERIES: Final = (e.CallDelivered, e.PromiseDelivered, e.TimerFired, e.StepFinished)
_BEGINNINGS: Final = (e.CallMade, e.PromiseAwaited, e.TimerSet, e.StepStarted)


class PathSegment(msgspec.Struct, frozen=True):
    """A part of the critical path.

    Attributes:
        agent: whose time it is, the id's text.
        method: what that agent ran, or was to run.
        kind: `running`, `queued`, `call`, `step`, `timer`, `promise`, `interrupted`, `reverted`, `forked`, `earlier`.
        what: the step, the timer, the call or the promise, in words.
        begin: wall nanoseconds; `end` likewise.
        entries: `seq` of the entries at its two ends, as far as there are.
        line: where the code asked for what it waited for.
    """

    agent: str
    method: str
    kind: str
    what: str
    begin: int
    end: int
    entries: tuple[int, ...]
    line: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return elapsed(self.begin, self.end)

    def __str__(self) -> str:
        runs = f"{self.agent}.{self.method}" if self.method else self.agent
        return f"{duration(self.seconds)}: {runs} {self.what or self.kind}{at_line(self.line)}"


class CriticalPath(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `session.critical_path`.

    Attributes:
        agent: whose invocation it is, the id's text.
        method: which.
        invocation: `seq` of its acceptance.
        begin: when it was accepted, wall nanoseconds; `end`, when it ended, or now.
        ended: whether it has.
        segments: the path, oldest first, without gaps from `begin` to `end`.
        parallel: who was at work when, under this invocation: agents that ran it, or something that it led to by calls,
            schedules and forks, and waited for no call.
    """

    agent: str
    method: str
    invocation: int
    begin: int
    end: int
    ended: bool
    segments: list[PathSegment]
    parallel: list[Overlap]

    @property
    def total(self) -> float:
        """Seconds from acceptance to end."""
        return elapsed(self.begin, self.end)

    @property
    def most(self) -> int:
        """Most agents that were at work at the same time."""
        return max((overlap.count for overlap in self.parallel), default=0)

    @property
    def sentences(self) -> list[str]:
        """The path told: the longest segments, in order of time."""
        took = f"took {duration(self.total)}" if self.ended else f"has taken {duration(self.total)} so far"
        most = f"; at most {self.most:,} agents were at work at the same time" if self.most > 1 else ""
        head = f"{self.agent}.{self.method} {took}, from {moment(self.begin)}{most} (entry {self.invocation})."
        numbers = range(len(self.segments))
        by_length = sorted(numbers, key=lambda n: -self.segments[n].seconds)[: MAX_SENTENCES - 2]
        long = {n for n in by_length if self.segments[n].seconds >= self.total * _SHORT}
        told = [f"{s}{_entries(s.entries)}." for n, s in enumerate(self.segments) if n in long]
        left = [self.segments[n].seconds for n in numbers if n not in long]
        if left:
            told.append(f"{duration(sum(left))}: {len(left):,} shorter part{'s' if len(left) > 1 else ''}.")
        return [head, *told]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return printed(self.sentences)

    def _repr_html_(self) -> str:
        return listed(self.sentences)


def _entries(seqs: tuple[int, ...]) -> str:
    if not seqs:
        return ""
    return f" (entr{'ies' if len(seqs) > 1 else 'y'} {', '.join(map(str, seqs))})"


class _Place(NamedTuple):
    """Where the walk stands: right before an index of an agent's oplog."""

    uid: int
    before: int


class _Frame(NamedTuple):
    """What a walk goes on with when it has come down to `floor`."""

    floor: Entry
    place: _Place


def critical_path(window: Window, uid: int, accepted: Entry, now: int, ended: Entry | None = None) -> CriticalPath:
    """The critical path of an invocation.

    Args:
        window: the entries from the acceptance up to the end, or to now; of one that was cut short, up to before that.
        uid: the agent that ran it: the target, or a fork that went on with it.
        accepted: the acceptance.
        now: wall nanoseconds, for one that is under way.
        ended: the entry that ended it: its return, or what cut it short.
    """
    walk = _Walk(window, accepted)
    walk.end = walk.now = ended.wall if ended is not None else max(now, accepted.wall)
    if ended is not None and isinstance(ended.body, e.InvocationFinished):
        walk.go(_Place(uid, ended.index))
    else:
        walk.open(uid, accepted)
    return CriticalPath(
        agent=window.name(uid),
        method=_method_of(window, accepted, uid),
        invocation=accepted.seq,
        begin=accepted.wall,
        end=walk.end,
        ended=ended is not None,
        segments=walk.segments(),
        parallel=overlaps(window, accepted, walk.end),
    )


def _method_of(window: Window, accepted: Entry, uid: int) -> str:
    started = [x.body for x in window.of(uid, accepted.seq) if isinstance(x.body, e.InvocationStarted)]
    return started[0].method if started else window.method(accepted.seq)


class _Walk:
    """The walk back in time; `now` is how far it has come."""

    def __init__(self, window: Window, accepted: Entry) -> None:
        self._window, self._accepted = window, accepted
        self._found: list[PathSegment] = []  # newest first
        self._frames: list[_Frame] = []
        self._floor = accepted
        self._moves = 0
        self._stood = standstills(window.entries)
        self.end = self.now = 0

    def segments(self) -> list[PathSegment]:
        """What was found, oldest first; what follows another of its kind made one with it."""
        merged: list[PathSegment] = []
        for segment in reversed(self._found):
            last = merged[-1] if merged else None
            key = (segment.agent, segment.method, segment.kind, segment.what, segment.line)
            if last is not None and (last.agent, last.method, last.kind, last.what, last.line) == key:
                entries = tuple(dict.fromkeys((*last.entries[:1], *segment.entries[-1:])))
                merged[-1] = msgspec.structs.replace(last, end=segment.end, entries=entries)
            else:
                merged.append(segment)
        return merged

    def _add(
        self, uid: int, method: str, kind: str, begin: Entry, what: str = "", until: Entry | None = None, line: str = ""
    ) -> None:
        """A segment from an entry, or from the floor where that is later, to where the walk stands.

        Those without length are left out, unless they say what was waited for.
        """
        start = begin if begin.seq > self._floor.seq else self._floor
        for stood in reversed(self._stood.get(uid, ())):
            if stood.begun.wall < self.now and (stood.over is None or stood.over.wall > start.wall):
                if stood.over is not None:
                    self._put(uid, method, kind, stood.over, what, until, line)
                since = stood.begun if stood.begun.wall > start.wall else start
                self._put(uid, method, "interrupted", since, "was interrupted", stood.over, "")
                until = stood.begun
        self._put(uid, method, kind, start, what, until, line)

    def _put(self, uid: int, method: str, kind: str, start: Entry, what: str, until: Entry | None, line: str) -> None:
        wall = min(start.wall, self.now)
        entries = (start.seq, *([] if until is None or until.seq == start.seq else [until.seq]))
        if wall < self.now or kind in ("step", "timer", "promise"):
            self._found.append(PathSegment(self._window.name(uid), method, kind, what, wall, self.now, entries, line))
        self.now = wall

    # ---- an invocation that has ended ----------------------------------------------------------------------------

    def go(self, place: _Place | None) -> None:
        """Walk back from a place to the acceptance."""
        while place is not None:
            self._moves += 1
            if self._moves >= MAX_MOVES:
                self._frames.clear()
                self._floor = self._accepted
                self._add(place.uid, "", "earlier", self._accepted, "what came before")
                return
            place = self._back(place) or self._pop()

    def _pop(self) -> _Place | None:
        """At the floor: where to go on from there."""
        if not self._frames:
            return None
        self._floor, place = self._frames.pop()
        return place

    def _clip(self, place: _Place, kind: str = "running", what: str = "") -> _Place | None:
        """Fill up to the floor, which ends this part of the walk."""
        if self._floor.seq < self._window.first:
            kind, what = "earlier", "what came before"
        before = self._window.at(place.uid, place.before - 1)
        self._add(place.uid, "" if before is None else self._method(before), kind, self._floor, what)
        return None

    def _back(self, place: _Place) -> _Place | None:
        """One delivery back; None at the floor."""
        last = self._last_before(place)
        if last is None or last.seq <= self._floor.seq:
            return self._clip(place)
        uid, method = last.agent, self._method(last)
        self._add(uid, method, "running", last)
        body = last.body
        if isinstance(body, e.InvocationStarted):
            return self._accepted_by(last, method)
        if isinstance(body, e.AgentForked):
            cut = self._window.at(body.source, body.cut)
            if cut is None or cut.seq <= self._floor.seq:
                return self._clip(place)
            self._add(uid, method, "forked", cut, "was not forked yet", until=last)
            return _Place(cut.agent, cut.index + 1)
        if isinstance(body, e.AgentReverted):
            kept = self._window.at(uid, body.last)
            if kept is None or kept.seq <= self._floor.seq:
                return self._clip(place, "reverted", "did what was reverted later")
            self._add(uid, method, "reverted", kept, "did what was reverted later", until=last)
            return _Place(kept.agent, kept.index + 1)
        assert isinstance(body, _DELIVERIES)
        return self._delivered(last, body, method)

    def _last_before(self, place: _Place) -> Entry | None:
        """The last delivery before a place, or what else ends a stretch there."""
        oplog = self._window.oplogs.get(place.uid)
        if not oplog:
            return None
        for at in range(min(place.before - oplog[0].index, len(oplog)) - 1, -1, -1):
            body = oplog[at].body
            if isinstance(body, (*_DELIVERIES, e.InvocationStarted, e.AgentForked, e.AgentReverted)):
                return oplog[at]
        return None

    def _method(self, entry: Entry) -> str:
        match entry.body:
            case e.InvocationStarted(method=method):
                return method
            case e.AgentForked(facts=e.Facts() as facts) | e.AgentReverted(facts=facts):
                return self._window.method(facts.invocation)
            case e.AgentForked(source=source, cut=cut):
                made = self._window.at(source, cut)
                return "" if made is None else self._window.method(made.invocation)
        return self._window.method(entry.invocation)

    def _accepted_by(self, started: Entry, method: str) -> _Place | None:
        """From the start of an invocation to its acceptance, and on with the caller if the floor lies before that."""
        accepted = self._window.get(started.invocation)
        what = self._queued_behind(started)
        if accepted is None or accepted.seq <= self._floor.seq:
            self._add(started.agent, method, "queued", self._floor, what, until=started)
            return None
        self._add(started.agent, method, "queued", accepted, what, until=started)
        if accepted.agent == ROOT_UID:
            return self._clip(_Place(ROOT_UID, accepted.index), "promise", "a cell had not called yet")
        if isinstance(accepted.body, e.ScheduleFired):
            return self._clip(_Place(accepted.agent, accepted.index), "timer", "scheduled")
        return _Place(accepted.agent, accepted.index)

    def _queued_behind(self, started: Entry) -> str:
        """What an agent ran between the acceptance of an invocation and its start."""
        methods: dict[str, int] = {}
        for entry in self._between(started):
            method = self._method(entry) or "another invocation"
            methods[method] = methods.get(method, 0) + 1
        if not methods:
            return "queued"
        return f"queued behind {several([m if n == 1 else f'{n:,} times {m}' for m, n in methods.items()])}"

    def _between(self, started: Entry) -> Iterator[Entry]:
        """The ends of other invocations since this one was accepted, newest first."""
        oplog = self._window.oplogs[started.agent]
        for at in range(started.index - oplog[0].index - 1, -1, -1):
            if oplog[at].seq < started.invocation:
                return
            if isinstance(oplog[at].body, e.InvocationFinished):
                yield oplog[at]

    def _delivered(self, last: Entry, body: _Delivery, method: str) -> _Place | None:
        """From a delivery to where its wait began, by way of what brought it."""
        uid = last.agent
        begun = self._window.at(uid, body.op)
        if begun is None:
            return self._clip(_Place(uid, last.index), "earlier", "what came before")
        if isinstance(body, e.CallDelivered | e.PromiseDelivered):
            cause = self._window.get(last.cause)
            what = _awaited(self._window, begun)
            kind = "call" if isinstance(body, e.CallDelivered) else "promise"
            if cause is not None and cause.seq > max(begun.seq, self._floor.seq) and _brings(cause):
                self._add(uid, method, kind, cause, what, until=last, line=begun.line)
                if cause.agent != ROOT_UID:
                    return self._into(begun, _Place(cause.agent, cause.index))
            self._add(uid, method, kind, begun, what, until=last, line=begun.line)
        else:
            kind = "step" if isinstance(body, e.StepFinished) else "timer"
            self._add(uid, method, kind, begun, _awaited(self._window, begun), until=last, line=begun.line)
        return self._on(begun)

    def _on(self, begun: Entry) -> _Place | None:
        return _Place(begun.agent, begun.index) if begun.seq > self._floor.seq else None

    def _into(self, begun: Entry, place: _Place) -> _Place:
        """Walk somebody else's path down to the entry that began the wait, then go on from there."""
        if begun.seq > self._floor.seq:
            self._frames.append(_Frame(self._floor, _Place(begun.agent, begun.index)))
            self._floor = begun
        return place

    # ---- one that is under way, or was cut short -------------------------------------------------------------------

    def open(self, uid: int, accepted: Entry) -> None:
        """Back to the first of the waits that are open, down to the end of their chain, then as usual."""
        while True:
            line = self._window.line(uid)
            mine = [x for x in line if x.invocation == accepted.seq and ROLES[type(x.body)] is not Role.HINT]
            oplog = self._window.oplogs.get(uid, [])
            forked = bool(oplog) and isinstance(oplog[0].body, e.AgentForked) and oplog[0].seq > accepted.seq
            if not mine and not forked:
                self._add(uid, self._window.method(accepted.seq), "queued", accepted, "queued")
                return self.go(self._pop())
            wait = _oldest_open(self._window, line, accepted.seq)
            if wait is None:
                return self.go(_Place(uid, oplog[-1].index + 1))
            body, method = wait.body, self._method(wait)
            theirs = self._window.of(body.target, wait.seq) if isinstance(body, e.CallMade) else []
            if theirs and isinstance(theirs[-1].body, e.InvocationFinished):  # and that is not delivered yet
                self._add(uid, method, "call", theirs[-1], _awaited(self._window, wait), line=wait.line)
                return self.go(self._into(wait, _Place(theirs[-1].agent, theirs[-1].index)))
            if not isinstance(body, e.CallMade) or (body.key and not theirs):
                kind = {e.StepStarted: "step", e.TimerSet: "timer", e.CallMade: "call"}.get(type(body), "promise")
                self._add(uid, method, kind, wait, _awaited(self._window, wait), line=wait.line)
                return self.go(self._on(wait) or self._pop())
            self._into(wait, _Place(uid, wait.index))
            uid, accepted = body.target, wait


def _brings(cause: Entry) -> bool:
    return isinstance(cause.body, e.InvocationFinished | e.PromiseCompleted)


def _awaited(window: Window, begun: Entry) -> str:
    """What a wait is for, in words."""
    body = begun.body
    match body:
        case e.CallMade():
            return f"waits for {body.target_id}.{body.method}"
        case e.PromiseAwaited():
            return f"waits for promise {body.promise} of {window.name(body.owner)}"
        case e.StepStarted():
            return f"waits for step {body.name}"
        case e.TimerSet():
            return "waits for a timer"
    return "waits"


def _oldest_open(window: Window, line: Sequence[Entry], invocation: int) -> Entry | None:
    """The oldest wait of an invocation that was neither delivered nor dropped.

    Args:
        window: where the entries are from.
        line: an oplog along its lineage.
        invocation: the `seq` of its acceptance.
    """
    open_ones: dict[int, Entry] = {}
    for entry in line:
        body = entry.body
        if isinstance(body, e.AgentForked | e.AgentReverted) and body.facts is not None:
            known = [window.get(wait.seq) for wait in body.facts.waits if body.facts.invocation == invocation]
            open_ones = {begun.index: begun for begun in known if begun is not None}
        elif entry.invocation != invocation:
            continue
        elif isinstance(body, _BEGINNINGS) and not (isinstance(body, e.CallMade) and not body.awaited):
            open_ones[entry.index] = entry
        elif isinstance(body, (*_DELIVERIES, e.WaitDropped)):
            open_ones.pop(body.op, None)
    return next(iter(open_ones.values()), None)
