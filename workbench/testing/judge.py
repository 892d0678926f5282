"""The judge: what may be said of a log by reading it. Knows the reader and the entries, nothing that runs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.store.log import SqliteLog


def read_log(path: str | Path) -> list[Entry]:
    """All committed entries of a store that nobody has open; each link of their chain is checked as they pass.

    Raises:
        StoreCorruptError: an entry is missing or changed.
    """
    log = SqliteLog(Path(path), "", read_only=True)
    try:
        return list(log.read())
    finally:
        log.close()


def violations(entries: Sequence[Entry], *, at_rest: bool = True) -> list[str]:
    """What is wrong with a log; an empty list for a sound one.

    Args:
        entries: the whole log, in order.
        at_rest: also demand that every accepted invocation has ended, was withdrawn, waits, or has a stopped agent.
    """
    wrong = _gaps(entries)
    kept = _kept(entries)
    wrong += _repeated(kept, e.InvocationStarted, "started")
    wrong += _repeated(kept, e.InvocationFinished, "finished")
    accepted = {x.seq: x for x in entries if isinstance(x.body, e.CallMade | e.ScheduleFired)}
    wrong += [
        f"entry {x.seq}: invocation {x.invocation} started and was never accepted"
        for x in entries
        if isinstance(x.body, e.InvocationStarted) and x.invocation not in accepted
    ]
    wrong += _repeated_schedules(entries)
    wrong += _doubled_operations(kept)
    wrong += _after_the_end(entries)
    wrong += _promises(entries)
    if at_rest:
        wrong += _left_over(entries)
    return wrong


def _kept(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that no revert took back."""
    dropped: dict[int, list[tuple[int, int]]] = {}
    for x in entries:
        if isinstance(x.body, e.AgentReverted):
            dropped.setdefault(x.agent, []).append((x.body.last, x.index))
    return [x for x in entries if not any(last < x.index <= at for last, at in dropped.get(x.agent, ()))]


def _repeated_schedules(entries: Iterable[Entry]) -> list[str]:
    """A schedule comes once at most, and not after it was cancelled."""
    made: set[int] = set()
    over: set[int] = set()
    wrong = []
    for x in entries:
        body = x.body
        if isinstance(body, e.CallScheduled):
            made.add(x.seq)
        elif isinstance(body, e.ScheduleFired) or (isinstance(body, e.ScheduleCancelled) and body.pending):
            if body.schedule not in made or body.schedule in over:
                wrong.append(f"entry {x.seq}: schedule {body.schedule} was over or never made")
            over.add(body.schedule)
    return wrong


def _after_the_end(entries: Iterable[Entry]) -> list[str]:
    """A deleted agent writes nothing more."""
    ended: set[int] = set()
    wrong = []
    for x in entries:
        if x.agent in ended:
            wrong.append(f"entry {x.seq}: agent {x.agent} was deleted before")
        if isinstance(x.body, e.AgentDeleted):
            ended.add(x.agent)
    return wrong


def _gaps(entries: Sequence[Entry]) -> list[str]:
    wrong = [f"entry {x.seq} stands at place {n}" for n, x in enumerate(entries, 1) if x.seq != n]
    places: dict[int, int] = {}
    for x in entries:
        before = places.get(x.agent)
        if before is None:
            before = x.body.cut if isinstance(x.body, e.AgentForked) else 0
        if x.index != before + 1:
            wrong.append(f"entry {x.seq}: index {x.index} of agent {x.agent} follows index {before}")
        places[x.agent] = x.index
    return wrong


def _repeated(entries: Iterable[Entry], kind: type[Body], word: str) -> list[str]:
    """A fork goes on with its source's invocation: it counts once for each of the two."""
    counted = Counter((x.agent, x.invocation) for x in entries if isinstance(x.body, kind))
    return [f"invocation {seq} of agent {uid} {word} {n} times" for (uid, seq), n in counted.items() if n > 1]


def _doubled_operations(entries: Iterable[Entry]) -> list[str]:
    """Each operation is answered at most once, and a key is accepted by one invocation."""
    given: Counter[tuple[int, int]] = Counter()
    for x in entries:
        if isinstance(x.body, e.CallDelivered | e.PromiseDelivered | e.TimerFired | e.StepFinished):
            given[x.agent, x.body.op] += 1
    return [f"agent {uid} got the outcome of index {op} {n} times" for (uid, op), n in given.items() if n > 1]


def _promises(entries: Iterable[Entry]) -> list[str]:
    first: Counter[tuple[int, int]] = Counter()
    payload: dict[tuple[int, int], bytes] = {}
    awaited: dict[tuple[int, int], tuple[int, int]] = {}
    wrong = []
    for x in entries:
        body = x.body
        if isinstance(body, e.PromiseCompleted):
            key = body.owner, body.promise
            if body.first:
                first[key] += 1
                payload[key] = body.value
            elif key not in first:
                wrong.append(f"entry {x.seq}: a completion was refused and none came before it")
        elif isinstance(body, e.PromiseAwaited):
            awaited[x.agent, x.index] = body.owner, body.promise
        elif isinstance(body, e.PromiseDelivered):
            made = awaited.get((x.agent, body.op))  # None: awaited before the cut of a fork
            if body.ok and made is not None and payload.get(made) != body.value:
                wrong.append(f"entry {x.seq}: delivered another payload than promise {made} was completed with")
    wrong += [f"promise {key} was completed first {n} times" for key, n in first.items() if n > 1]
    return wrong


class _Open:
    """What is under way while a log is read: kept apart from the runtime's own state on purpose."""

    def __init__(self) -> None:
        self.running: dict[int, int] = {}
        self.waits: dict[int, set[int]] = {}
        self.queued: dict[int, list[int]] = {}
        self.stopped: set[int] = set()
        self.standing: set[int] = set()
        self.keys: dict[int, dict[str, int]] = {}
        self.started: dict[int, int] = {}
        self.schedules: dict[int, e.CallScheduled] = {}
        self.wrong: list[str] = []

    def accept(self, target: int, seq: int, key: str | None) -> None:
        known = key is not None and key in self.keys.get(target, ())
        if key is not None and not known:
            self.keys.setdefault(target, {})[key] = seq
        if not known and target not in self.stopped:
            self.queued.setdefault(target, []).append(seq)

    def wait(self, x: Entry) -> None:
        self.waits.setdefault(x.agent, set()).add(x.index)

    def take_on(self, uid: int, facts: e.Facts) -> None:
        self.running.pop(uid, None)
        if facts.invocation:
            self.running[uid] = facts.invocation
        self.waits[uid] = {wait.op for wait in facts.waits}

    def read(self, x: Entry) -> None:  # noqa: C901, PLR0912 - one case per kind
        uid, body = x.agent, x.body
        match body:
            case e.CallMade():
                self.accept(body.target, x.seq, body.key)
                if body.awaited and uid != 1:
                    self.wait(x)
            case e.CallScheduled():
                self.schedules[x.seq] = body
            case e.ScheduleFired():
                self.accept(uid, x.seq, self.schedules[body.schedule].key)
            case e.AgentForked(facts=e.Facts() as facts):
                self.take_on(uid, facts)
            case e.AgentForked():
                if body.source in self.running:
                    self.running[uid] = self.running[body.source]
                    self.waits[uid] = set(self.waits.get(body.source, ()))
            case e.AgentReverted():
                self.take_on(uid, body.facts)
                self.stopped.discard(uid)
                self.standing.discard(uid)
                kept = {k: n for k, n in self.keys.get(uid, {}).items() if self.started.get(n, 0) <= body.facts.seq}
                self.keys[uid] = kept
            case e.AgentDeleted():
                for group in (self.running, self.waits, self.queued, self.keys):
                    group.pop(uid, None)
            case e.InvocationStarted():
                self.running[uid] = x.invocation
                self.started[x.invocation] = x.seq
                if self.queued[uid][0] != x.invocation:
                    self.wrong.append(f"entry {x.seq}: invocation {x.invocation} began before {self.queued[uid][0]}")
                self.queued[uid].remove(x.invocation)
            case e.InvocationFinished():
                self.running.pop(uid, None)
            case e.InvocationCancelled():
                self.queued[uid].remove(body.invocation)
                self.keys[uid] = {k: n for k, n in self.keys.get(uid, {}).items() if n != body.invocation}
            case e.PromiseAwaited() | e.TimerSet() | e.StepStarted():
                self.wait(x)
            case (
                e.CallDelivered(op=op)
                | e.PromiseDelivered(op=op)
                | e.TimerFired(op=op)
                | e.StepFinished(op=op)
                | e.WaitDropped(op=op)
            ):
                self.waits.get(uid, set()).discard(op)
            case e.AgentFailed():
                self.stopped.add(uid)
                self.queued.pop(uid, None)
            case e.AgentInterrupted():
                self.standing.add(uid)
            case e.AgentResumed():
                self.standing.discard(uid)
            case _:
                pass


def _left_over(entries: Iterable[Entry]) -> list[str]:
    """Begun out of turn; or started and not finished, though the agent waits for nothing."""
    now = _Open()
    for x in entries:
        now.read(x)
    wrong = now.wrong
    wrong += [
        f"agent {uid} stands in invocation {seq} and waits for nothing"
        for uid, seq in now.running.items()
        if not now.waits.get(uid) and uid not in now.stopped | now.standing
    ]
    wrong += [
        f"agent {uid} does not begin what it accepted: {seqs}"
        for uid, seqs in now.queued.items()
        if seqs and uid not in now.running and uid not in now.stopped | now.standing
    ]
    return wrong
