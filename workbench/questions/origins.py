"""Where a result came from: what an invocation was given before it ended, newest first, and where that came from.

The causes of a result are the deliveries to its invocation: results of calls, payloads of promises, outcomes of steps,
timers; then its arguments, and what the agent remembered from earlier invocations. A call's result and a promise's
payload have causes of their own, so this is a tree; its leaves are steps, timers, arguments and cells. More than three
results of one method are summed up, and the newest of them is followed.

All is read off the log, through a `Reader`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from workbench.core.nouns import ROOT_UID
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.model.failure import Failure
from workbench.questions.explanation import Link, Why, answer, at_line, duration, elapsed, moment
from workbench.questions.invocations import Fate
from workbench.questions.standing import decoded, in_short
from workbench.questions.window import method_of

FEW: Final = 3
"""So many causes of one kind are told one by one; more are summed up."""
MAX_LINKS: Final = 200
"""Causes after which a tree is not followed any further."""

_NOTHING: Final = frozenset({b"", b"\x90"})
"""Encoded arguments that are none."""
_PLACE: Final = re.compile(r'File "([^"\n]+)", line (\d+)')
_DELIVERIES: Final = (e.CallDelivered, e.PromiseDelivered, e.TimerFired, e.StepFinished)
_CUT_SHORT: Final = {
    e.AgentFailed: "its agent failed",
    e.AgentDeleted: "its agent was deleted",
    e.AgentInterrupted: "its agent was interrupted",
    e.AgentReverted: "its agent was reverted",
    e.InvocationCancelled: "it was withdrawn from the queue",
    e.CallMade: "it was refused",
}
_ENDS: Final = {
    "unfinished": "has not ended",
    "ended": "ended without a result",
    "result": "was taken back",
    "raised": "was taken back",
}
"""What is told of an invocation that no causes are told of, by kind."""


class Reader(Protocol):
    """What is asked of the log."""

    def entry(self, seq: int) -> Entry | None:
        """The committed entry of this `seq`."""

    def oplog(self, uid: int) -> Sequence[Entry]:
        """The committed entries of an agent along its lineage, without what was reverted, in order of index."""

    def name(self, uid: int) -> str:
        """The text of an agent's id."""

    def fate(self, uid: int, seq: int) -> Fate:
        """How an invocation of an agent ended of which its oplog does not hold the end."""


class _Run(NamedTuple):
    """One invocation in its agent's oplog."""

    uid: int
    seq: int
    depth: int
    alike: int = 0


def origins(reader: Reader, uid: int, invocation: int, now: tuple[int, int]) -> Why:
    """Where the result of an invocation came from.

    Args:
        reader: of the log.
        uid: the agent that ran it.
        invocation: the `seq` of its acceptance.
        now: wall time and `seq` that the answer is as of.
    """
    tree = _Tree(reader, now[0])
    left = tree.grow(_Run(uid, invocation, 0))
    return answer(f"{reader.name(uid)} invocation {invocation}", now, tree.links, left)


class _Tree:
    """One walk down the causes, depth first."""

    def __init__(self, reader: Reader, now: int) -> None:
        self._reader, self._now = reader, now
        self._seen: set[tuple[int, int]] = set()
        self.links: list[Link] = []

    def grow(self, root: _Run) -> int:
        """Explain an invocation and its causes; how many of those were not followed."""
        todo: list[_Run | Link] = [root]
        while todo and len(self.links) < MAX_LINKS:
            one = todo.pop()
            if isinstance(one, Link):
                self.links.append(one)
            elif (one.uid, one.seq) not in self._seen:
                self._seen.add((one.uid, one.seq))
                todo += reversed(self._invocation(one))
        return len(todo)

    # ---- an invocation -------------------------------------------------------------------------------------------

    def _invocation(self, run: _Run) -> list[_Run | Link]:
        """Tell how an invocation ended; its causes, newest first."""
        accepted = self._reader.entry(run.seq)
        oplog = self._reader.oplog(run.uid)
        mine = [entry for entry in oplog if entry.invocation == run.seq and entry.seq != run.seq]
        started = next((x for x in mine if isinstance(x.body, e.InvocationStarted)), None)
        finished = next((x for x in reversed(mine) if isinstance(x.body, e.InvocationFinished)), None)
        fate = Fate(0, 0) if finished is not None else self._reader.fate(run.uid, run.seq)
        ended = finished if finished is not None else self._reader.entry(fate.ended)
        self.links.append(self._outcome(run, accepted, started, ended, self._reader.entry(fate.reverted)))
        if started is None:
            return []
        causes = self._causes(run, mine, finished)
        causes += self._given(run, accepted, started)
        earlier = [x for x in oplog if isinstance(x.body, e.InvocationFinished) and x.seq < started.seq]
        if earlier and not (isinstance(oplog[0].body, e.AgentCreated) and oplog[0].body.ephemeral):
            causes.append(self._remembered(run, earlier))
        return causes

    def _outcome(
        self, run: _Run, accepted: Entry | None, started: Entry | None, ended: Entry | None, reverted: Entry | None
    ) -> Link:
        agent = self._reader.name(run.uid)
        what = f"{agent}.{method_of(self._reader.entry, run.seq)}"
        entries = tuple(dict.fromkeys(x.seq for x in (reverted, ended, started, accepted) if x is not None))
        since = ended.wall if ended is not None else accepted.wall if accepted is not None else 0
        kind, said = self._said(run, accepted, ended)
        if reverted is not None and kind != "ended":
            said += f"; its agent was reverted to before it at {moment(reverted.wall)}"
        if run.alike:
            said += f"; {run.alike:,} more came in like it"
        return Link(
            agent=agent, kind=kind, what=what, method=what.removeprefix(f"{agent}."), since=since,
            seconds=elapsed(since, self._now), line=accepted.line if accepted is not None else "", entries=entries,
            started=started.seq if started is not None else 0, depth=run.depth, alike=run.alike,
            text=f"{what} {said}", root=started is None or kind == "unfinished", end=f"{what} {_ENDS[kind]}",
        )  # fmt: skip

    def _said(self, run: _Run, accepted: Entry | None, ended: Entry | None) -> tuple[str, str]:
        if ended is None:
            return "unfinished", f"has not ended: see session.why({self._reader.name(run.uid)!r})"
        if not isinstance(ended.body, e.InvocationFinished):
            how = _CUT_SHORT.get(type(ended.body), "it was dropped")
            return "ended", f"ended without a result at {moment(ended.wall)}: {how}"
        took = "" if accepted is None else f", {duration(elapsed(accepted.wall, ended.wall))} after it was called"
        if ended.body.ok:
            return "result", f"returned at {moment(ended.wall)}{took}"
        failure = decoded(ended.body.value)
        where = self._first_raised(run, failure)
        return "raised", f"raised {in_short(failure)}, at {moment(ended.wall)}{took}{where}"

    def _first_raised(self, run: _Run, failure: Failure) -> str:
        """Where an error came up first: the invocation or the step from which it was passed on."""
        uid, seq, seen = run.uid, run.seq, set[tuple[int, int]]()
        at, entry_seq = failure, 0
        while (uid, seq) not in seen:
            seen.add((uid, seq))
            source = self._passed_on(uid, seq, at)
            if source is None:
                break
            body: Any = source.body
            at = decoded(body.value)
            if isinstance(body, e.StepFinished):
                begun = _at(self._reader.oplog(uid), body.op)
                name = begun.body.name if begun is not None and isinstance(begun.body, e.StepStarted) else "?"
                return f"; first raised by step {name} of {self._reader.name(uid)}{_place(at)} (entry {source.seq})"
            cause = self._reader.entry(source.cause)
            if cause is None or not isinstance(cause.body, e.InvocationFinished):
                break
            uid, seq, entry_seq = cause.agent, cause.invocation, cause.seq
            at = decoded(cause.body.value)
        if entry_seq:
            return f"; first raised in {self._reader.name(uid)}.{at.method}{_place(at)} (entry {entry_seq})"
        return f"; first raised there{_place(at)}" if _place(at) else ""

    def _passed_on(self, uid: int, seq: int, failure: Failure) -> Entry | None:
        """The newest delivery to an invocation that is the same error; of a group of errors, the first of its parts."""
        parts = Counter((part.error_type, part.message) for part in failure.parts)
        first = None
        for entry in reversed(self._reader.oplog(uid)):
            body = entry.body
            if entry.invocation != seq or not isinstance(body, _DELIVERIES) or getattr(body, "ok", True):
                continue
            then = decoded(getattr(body, "value", b""))
            key = then.error_type, then.message
            if key == (failure.error_type, failure.message):
                return entry
            if parts[key]:  # so many of these are in the group: the newest, as earlier ones were not passed on
                parts[key] -= 1
                first = entry
        return first

    # ---- what it was given ---------------------------------------------------------------------------------------

    def _causes(self, run: _Run, mine: Sequence[Entry], finished: Entry | None) -> list[_Run | Link]:
        """The deliveries of an invocation, newest first, many of one kind summed up."""
        oplog = self._reader.oplog(run.uid)
        groups: dict[tuple[str, ...], list[tuple[Entry, Entry | None]]] = {}
        for entry in reversed(mine):
            body = entry.body
            if isinstance(body, _DELIVERIES) and (finished is None or entry.seq < finished.seq):
                begun = _at(oplog, body.op)
                groups.setdefault(_kind(begun), []).append((entry, begun))
        causes: list[_Run | Link] = []
        for kind, group in groups.items():
            if len(group) > FEW:
                causes.append(self._summed_up(run, kind, group))
            told = group if len(group) <= FEW else group[:1]
            for entry, begun in told:
                causes += self._cause(run, entry, begun, 1 + (len(group) > FEW))
        return causes

    def _summed_up(self, run: _Run, kind: tuple[str, ...], group: Sequence[tuple[Entry, Entry | None]]) -> Link:
        bad = sum(not getattr(entry.body, "ok", True) for entry, _ in group)
        what = " ".join(kind[1:])
        names = {"call": f"results of {what}", "step": f"outcomes of step {what}", "timer": "timers"}
        text = f"was given {len(group):,} {names.get(kind[0], 'payloads of promises')}"
        if bad:
            text += f", {bad:,} of them errors"
        newest, agent = group[0][0], self._reader.name(run.uid)
        return Link(
            agent=agent, kind=kind[0], what=what, since=newest.wall, seconds=elapsed(newest.wall, self._now),
            entries=tuple(entry.seq for entry, _ in group), count=len(group), depth=run.depth + 1,
            text=f"{agent} {text}; the newest is followed",
        )  # fmt: skip

    def _cause(self, run: _Run, entry: Entry, begun: Entry | None, deeper: int) -> list[_Run | Link]:
        body, depth = entry.body, run.depth + deeper
        cause = self._reader.entry(entry.cause)
        if isinstance(body, e.CallDelivered):
            if cause is not None and isinstance(cause.body, e.InvocationFinished):
                return [_Run(cause.agent, cause.invocation, depth)]
            how = "its outcome is known" if cause is None else _CUT_SHORT.get(type(cause.body), "it ended")
            text = f"got an error for its call of {_called(begun)}, as {how}: {in_short(decoded(body.value))}"
            return [self._leaf(run, entry, begun, "ended", _called(begun), text, depth)]
        if isinstance(body, e.PromiseDelivered):
            return self._completed(run, entry, begun, cause, depth)
        if isinstance(body, e.StepFinished):
            name = begun.body.name if begun is not None and isinstance(begun.body, e.StepStarted) else "?"
            took = f" after {duration(elapsed(begun.wall, entry.wall))}" if begun is not None else ""
            tries = f", tried {body.attempts} times" if body.attempts > 1 else ""
            how = "returned" if body.ok else f"raised {in_short(decoded(body.value))}"
            text = f"ran step {name}, which {how}{took}{tries}"
            return [self._leaf(run, entry, begun, "step", name, text, depth)]
        took = f" of {duration(elapsed(begun.wall, entry.wall))}" if begun is not None else ""
        return [self._leaf(run, entry, begun, "timer", "", f"waited for a timer{took}", depth)]

    def _leaf(self, run: _Run, entry: Entry, begun: Entry | None, kind: str, what: str, text: str, depth: int) -> Link:
        agent, line = self._reader.name(run.uid), "" if begun is None else begun.line
        return Link(
            agent=agent, kind=kind, what=what, since=entry.wall, seconds=elapsed(entry.wall, self._now), line=line,
            entries=tuple(x.seq for x in (entry, begun) if x is not None), root=True, depth=depth,
            text=f"{agent} {text}{at_line(line)}", end=f"{kind} {what} of {agent}".replace("  ", " "),
        )  # fmt: skip

    def _completed(
        self, run: _Run, entry: Entry, begun: Entry | None, cause: Entry | None, depth: int
    ) -> list[_Run | Link]:
        """A payload: who completed the promise, and what that one did."""
        agent, line = self._reader.name(run.uid), "" if begun is None else begun.line
        promise = ""
        if begun is not None and isinstance(begun.body, e.PromiseAwaited):
            promise = f"promise {begun.body.promise} of {self._reader.name(begun.body.owner)}"
        if cause is None or not isinstance(cause.body, e.PromiseCompleted):
            text = f"got an error for {promise}, which ended before it was completed"
            return [self._leaf(run, entry, begun, "ended", promise, text, depth)]
        by = "a cell" if cause.agent == ROOT_UID else self._reader.name(cause.agent)
        link = Link(
            agent=agent, kind="completed", what=promise, since=cause.wall, seconds=elapsed(cause.wall, self._now),
            line=line, entries=tuple(x.seq for x in (entry, cause, begun) if x is not None), to=(by,), depth=depth,
            root=not cause.invocation, end=f"{by} completed {promise}",
            text=f"{agent} awaited {promise}, which {by} completed{at_line(cause.line)}",
        )  # fmt: skip
        return [link, _Run(cause.agent, cause.invocation, depth + 1)] if cause.invocation else [link]

    def _given(self, run: _Run, accepted: Entry | None, started: Entry) -> list[_Run | Link]:
        """The arguments, and for a fork the past that it shares."""
        found: list[_Run | Link] = []
        agent = self._reader.name(run.uid)
        if started.agent != run.uid:
            own = next(x for x in self._reader.oplog(run.uid) if x.agent == run.uid)
            source = self._reader.name(started.agent)
            text = f"{agent} is a fork of {source}, and shares its past up to index {own.index - 1}"
            found.append(
                Link(agent=agent, kind="forked", what=source, since=own.wall, entries=(own.seq,), root=True,
                     depth=run.depth + 1, text=text, end=text)
            )  # fmt: skip
        body = started.body
        if accepted is None or not isinstance(body, e.InvocationStarted):
            return found
        scheduled = isinstance(accepted.body, e.ScheduleFired)
        by = (
            "a schedule" if scheduled else "a cell" if accepted.agent == ROOT_UID else self._reader.name(accepted.agent)
        )
        args = "without arguments" if body.value in _NOTHING else "with its arguments"
        text = f"{agent}.{body.method} was called {args} by {by}{at_line(accepted.line)}"
        link = Link(
            agent=agent, kind="arguments", what=by, since=accepted.wall, line=accepted.line, entries=(accepted.seq,),
            seconds=elapsed(accepted.wall, self._now), root=True, depth=run.depth + 1, text=text, end=text,
        )  # fmt: skip
        return [*found, link]

    def _remembered(self, run: _Run, earlier: Sequence[Entry]) -> Link:
        agent, newest = self._reader.name(run.uid), earlier[-1]
        which = "an earlier invocation" if len(earlier) == 1 else f"{len(earlier):,} earlier invocations"
        text = f"{agent} may have used what it remembered from {which}"
        return Link(
            agent=agent, kind="remembered", since=newest.wall, seconds=elapsed(newest.wall, self._now),
            entries=(newest.seq,), count=len(earlier), root=True, depth=run.depth + 1, text=text, end=text,
        )  # fmt: skip


def _at(oplog: Sequence[Entry], index: int) -> Entry | None:
    """The entry at an index; in an oplog without holes it stands at that place."""
    low, high = 0, len(oplog)
    while low < high:
        middle = (low + high) // 2
        if oplog[middle].index < index:
            low = middle + 1
        else:
            high = middle
    return oplog[low] if low < len(oplog) and oplog[low].index == index else None


def _kind(begun: Entry | None) -> tuple[str, ...]:
    """What a delivery belongs to, for summing up."""
    body = None if begun is None else begun.body
    match body:
        case e.CallMade():
            return "call", f"{body.target_id.partition('(')[0]}.{body.method}"
        case e.StepStarted():
            return "step", body.name
        case e.TimerSet():
            return ("timer",)
    return ("promise",)


def _called(begun: Entry | None) -> str:
    body = None if begun is None else begun.body
    return f"{body.target_id}.{body.method}" if isinstance(body, e.CallMade) else "an agent"


def _place(failure: Failure) -> str:
    """Where an error was raised: the last place that its traceback names."""
    places = _PLACE.findall(failure.traceback)
    return f" at {places[-1][0]}:{places[-1][1]}" if places else ""
