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
    wrong += _repeated(entries, e.InvocationStarted, "started")
    wrong += _repeated(entries, e.InvocationFinished, "finished")
    accepted = {x.seq: x for x in entries if isinstance(x.body, e.CallMade)}
    wrong += [
        f"entry {x.seq}: invocation {x.invocation} started and was never accepted"
        for x in entries
        if isinstance(x.body, e.InvocationStarted) and x.invocation not in accepted
    ]
    wrong += _doubled_operations(entries)
    wrong += _promises(entries)
    if at_rest:
        wrong += _left_over(entries)
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
            if made is not None and payload.get(made) != body.value:
                wrong.append(f"entry {x.seq}: delivered another payload than promise {made} was completed with")
    wrong += [f"promise {key} was completed first {n} times" for key, n in first.items() if n > 1]
    return wrong


def _left_over(entries: Iterable[Entry]) -> list[str]:
    """Started and not finished, though the agent waits for nothing."""
    running: dict[int, int] = {}
    waits: Counter[int] = Counter()
    queued: dict[int, list[int]] = {}
    stopped = set()
    keys: set[tuple[int, str]] = set()
    for x in entries:
        body = x.body
        match body:
            case e.CallMade():
                known = body.key is not None and (body.target, body.key) in keys
                if body.key is not None:
                    keys.add((body.target, body.key))
                if not known:
                    queued.setdefault(body.target, []).append(x.seq)
                if body.awaited and x.agent != 1:
                    waits[x.agent] += 1
            case e.AgentForked():
                if body.source in running:
                    running[x.agent] = running[body.source]
                    waits[x.agent] = waits[body.source]
            case e.InvocationStarted():
                running[x.agent] = x.invocation
                queued[x.agent].remove(x.invocation)
            case e.InvocationFinished():
                running.pop(x.agent, None)
            case e.InvocationCancelled():
                queued[x.agent].remove(body.invocation)
            case e.PromiseAwaited() | e.TimerSet() | e.StepStarted():
                waits[x.agent] += 1
            case e.CallDelivered() | e.PromiseDelivered() | e.TimerFired() | e.StepFinished() | e.WaitDropped():
                waits[x.agent] -= 1
            case e.AgentFailed():
                stopped.add(x.agent)
            case _:
                pass
    wrong = [
        f"agent {uid} stands in invocation {seq} and waits for nothing"
        for uid, seq in running.items()
        if waits[uid] <= 0 and uid not in stopped
    ]
    wrong += [
        f"agent {uid} does not begin what it accepted: {seqs}"
        for uid, seqs in queued.items()
        if seqs and uid not in running and uid not in stopped
    ]
    return wrong
