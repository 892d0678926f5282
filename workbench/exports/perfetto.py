"""A trace for Perfetto (and `chrome://tracing`), in the JSON of Chrome's Trace Event Format.

What becomes what:

- A *thread* for each agent. A *process* for each tree of agents, named after its top; the cells have one too, together
  with the agents that neither called nor were called by others. Both stand in order of creation.
- A *slice* for each span (running, waiting, queued, ...): they follow each other. In it, or after it, a slice of one
  microsecond for each message that was sent or received: the ends of arrows. An arrow that ended at a span would be
  drawn from the span's end, which is later than the message.
- A *flow* for each call, reply, trigger, completion and fork, from the slice of its sending to that of its receipt.
- An *instant* for what happened to a promise, for a revert, and, across all threads, for a process that took the
  session up.
- A *counter* of how many agents run, wait and are queued.

Times are whole microseconds since the first entry. Entries of one turn have the same wall time, and clocks are set
back: so an entry counts as at least one microsecond later than the one before it. Thus the order of the trace is the
order of the log, and slices nest.

Facts of the format that this relies on (Perfetto's importer): events are read by time, those of one time in the order
of the file; a flow's end binds to the slice of its thread that began last, if it says `"bp": "e"`; both ends have the
same `id`, `cat` and `name`; a thread with the number of its process is its main thread; number 0 is none.
"""

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from workbench.exports.telling import agent_name, place_of, promise_name, reason_words, said, work_names
from workbench.signs import printable
from workbench.views.graph_nodes import Origin, Status
from workbench.views.spans import Span, messages, spans
from workbench.views.tape import Moment, PromiseEvent, Reason, Row, Tape

Event = dict[str, Any]
TICK: Final = 1
"""Length of the slice of a message, and the least of any, in microseconds."""
_COUNTED: Final = {
    Status.RUNNING: "running",
    Status.RETRYING: "running",
    Status.WAITING: "waiting",
    Status.SUSPENDED: "waiting",
    Status.QUEUED: "queued",
}
_RANKS: Final = {"M": 0, "X": 1, "s": 2, "f": 3, "i": 4, "C": 5}
"""The order of what happens in the same microsecond: a flow binds to a slice that has begun."""


def trace(tape: Tape, moment: Moment) -> dict[str, Any]:
    """The trace up to a moment, to be written as JSON.

    Args:
        tape: the rows.
        moment: what came after it is not in the trace.
    """
    clock = Clock(tape, moment)
    pids = _processes(tape, moment)
    timed = [
        *(_slice(tape, span, clock, pids) for span in spans(tape, moment)),
        *_flows(tape, moment, clock, pids),
        *_instants(tape, moment, clock, pids),
        *_counters(tape, moment, clock),
    ]
    timed.sort(key=lambda event: (event["ts"], _RANKS[event["ph"]], -event.get("dur", 0)))
    return {
        "traceEvents": [*_names(tape, moment, pids), *timed],
        "displayTimeUnit": "ms",
        "otherData": {"upto_entry": moment.seq, "began": clock.began, "agents": moment.agents},
    }


class Clock:
    """When entries happened, in microseconds since the first one; later entries are always later."""

    def __init__(self, tape: Tape, moment: Moment) -> None:
        self._seqs: list[int] = []
        self._times: list[int] = []
        first = tape.wall[0] if moment.row else 0.0
        self.began = datetime.fromtimestamp(first / 1000, UTC).isoformat(timespec="milliseconds")
        """Wall time of the first entry."""
        for row in range(moment.row):
            seq = tape.seq[row]
            if not self._seqs:
                self._seqs.append(seq)
                self._times.append(0)
            elif seq > self._seqs[-1]:
                least = self._times[-1] + seq - self._seqs[-1]
                self._times.append(max(round((tape.wall[row] - first) * 1000), least))
                self._seqs.append(seq)

    def at(self, seq: int) -> int:
        """The time of an entry; one that no row tells of has its place right after the last that one does."""
        at = bisect_right(self._seqs, seq) - 1
        return self._times[at] + seq - self._seqs[at] if at >= 0 else 0


def _processes(tape: Tape, moment: Moment) -> list[int]:
    """By slot, the number of the process: the place of the tree's top, from 1."""
    nodes = tape.view.nodes
    tops: list[int] = []
    for slot in range(moment.agents):
        parent = nodes[slot].parent
        alone = parent < 0 or nodes[parent].origin == Origin.ROOT
        tops.append(slot if alone else tops[parent])
    sizes = Counter(tops)
    root = next((slot for slot in range(moment.agents) if nodes[slot].origin == Origin.ROOT), -1)
    return [1 + (root if root >= 0 and sizes[top] == 1 else top) for top in tops]


def _names(tape: Tape, moment: Moment, pids: list[int]) -> list[Event]:
    """What processes and threads are called, and the order in which they stand."""
    names, found = work_names(tape, moment), []
    for slot in range(moment.agents):
        pid, tid = pids[slot], slot + 1
        root = tape.view.nodes[slot].origin == Origin.ROOT
        name = f"{agent_name(tape, slot)} {names.get(slot, '')}".strip() or f"agent {tid}"
        if pid == tid:
            found.append(_meta("process_name", pid, tid, name="cells, and agents on their own" if root else name))
            found.append(_meta("process_sort_index", pid, tid, sort_index=slot))
        found.append(_meta("thread_name", pid, tid, name=name))
        found.append(_meta("thread_sort_index", pid, tid, sort_index=slot))
    return found


def _meta(kind: str, pid: int, tid: int, **args: Any) -> Event:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": args}


# ---- slices ---------------------------------------------------------------------------------------------------------


def _slice(tape: Tape, span: Span, clock: Clock, pids: list[int]) -> Event:
    begin = clock.at(span.begin.seq)
    end = max(clock.at(span.end.seq), begin + TICK)  # one that the moment itself began has its place too
    args: Event = {
        "agent": agent_name(tape, span.slot),
        "method": printable(span.method),
        "status": span.status.word,
        "reason": ", ".join(reason_words(span.reasons)),
        "for": printable(span.what),
        "entry": span.begin.seq,
        "until_entry": span.end.seq,
        "then": "goes on" if span.then is None else span.then.word,
        "invocation": span.turn,
        "ghost": span.ghost,
        "reverted": span.reverted,
    }
    kind = "ghost" if span.ghost else "reverted" if span.reverted else "status"
    return {
        "name": _called(span),
        "cat": kind,
        "ph": "X",
        "ts": begin,
        "dur": end - begin,
        "pid": pids[span.slot],
        "tid": span.slot + 1,
        "args": args,
    }


def _called(span: Span) -> str:
    """What a slice is called; slices of one name have one colour."""
    method, what = printable(span.method), printable(span.what)
    if span.status is Status.RUNNING and span.reasons & Reason.STEP:
        name = f"step {what}" if what else f"steps of {method}"
    elif span.status is Status.SUSPENDED and what:
        name = f"suspended, {what}"
    else:
        name = f"{span.status.word} {method}".strip()
    return f"{name} (replayed)" if span.ghost else f"{name} (reverted)" if span.reverted else name


# ---- arrows ---------------------------------------------------------------------------------------------------------


def _flows(tape: Tape, moment: Moment, clock: Clock, pids: list[int]) -> list[Event]:
    """For each message the two ends of a flow, and the slices that they are bound to."""
    ticks: dict[tuple[int, int], Event] = {}
    flows: list[Event] = []
    for number, message in enumerate(messages(tape, moment), 1):
        told = said(tape, message)
        common = {"name": told.verb, "cat": message.kind.name.lower(), "id": number}
        sides = (
            ("s", message.sender, message.sent.seq, "to", message.receiver),
            ("f", message.receiver, message.received.seq, "from", message.sender),
        )
        for phase, slot, seq, word, other in sides:
            place = {"ts": clock.at(seq), "pid": pids[slot], "tid": slot + 1}
            tick = ticks.get((slot, seq))
            if tick is None:
                name = told.text if phase == "s" else f"{told.text} arrives"
                args: Event = {"agent": agent_name(tape, slot), "entry": seq}
                tick = {"name": name, "cat": "message", "ph": "X", "dur": TICK, **place, "args": args}
                ticks[slot, seq] = tick
            tick["args"].setdefault(word, []).append(agent_name(tape, other))
            flows.append({**common, "ph": phase, **place, **({"bp": "e"} if phase == "f" else {})})
    return [*ticks.values(), *flows]


# ---- instants and counters ------------------------------------------------------------------------------------------


def _instants(tape: Tape, moment: Moment, clock: Clock, pids: list[int]) -> list[Event]:
    found = []
    for row in range(moment.row):
        kind, a, b, slot, seq = tape.kind[row], tape.a[row], tape.b[row], tape.slot[row], tape.seq[row]
        name, cat, scope, args = "", "", "t", {"entry": seq, "agent": agent_name(tape, slot) if slot >= 0 else ""}
        if kind == Row.PROMISE:
            name, cat = f"promise {PromiseEvent(b).name.lower()}", "promise"
            args |= {"promise": promise_name(tape, a), "line": place_of(tape.texts[tape.c[row]])}
        elif kind == Row.REVERT:
            name, cat = f"{'atomic region undone' if b else 'reverted'} to index {a}", "revert"
        elif kind == Row.MARK:
            name, cat, scope = f"process {a} took the session up", "session", "g"
        else:
            continue
        place = {"ts": clock.at(seq), "pid": pids[slot], "tid": slot + 1}
        found.append({"name": name, "cat": cat, "ph": "i", "s": scope, **place, "args": args})
    return found


def _counters(tape: Tape, moment: Moment, clock: Clock) -> list[Event]:
    """How many agents run, wait and are queued, wherever one of the numbers changes."""
    nodes, counts = tape.view.nodes, dict.fromkeys(_COUNTED.values(), 0)
    now: dict[int, str] = {}
    found: dict[int, Event] = {}
    before = dict(counts)
    for row in tape.rows(Row.STATUS, moment.row):
        slot, seq = tape.slot[row], tape.seq[row]
        if nodes[slot].origin == Origin.ROOT:
            continue
        if slot in now:
            counts[now.pop(slot)] -= 1
        counted = _COUNTED.get(Status(tape.a[row] & 15))
        if counted is not None:
            now[slot] = counted
            counts[counted] += 1
        if counts != before or seq in found:
            before = dict(counts)
            found[seq] = {"name": "agents", "ph": "C", "ts": clock.at(seq), "pid": 1, "tid": 1, "args": before}
    return list(found.values())
