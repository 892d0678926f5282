"""Traces for Perfetto, read as its importer does: slices nest, arrows have both ends, times never run back."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import msgspec
import pytest

from tests.exports.lessons import HOSTILE, every_verb, hostile, tape_of
from tests.views.entry_log import BEGAN, MILLISECOND, EntryLog, fan_out
from workbench.exports import perfetto
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.views.spans import messages, spans

Event = dict[str, Any]
LOGS = ("every verb", "hostile", "fan-out", "clock set back", "up to the middle", "one entry")


def trace_of(entries: tuple[Entry, ...] | list[Entry], at: int | None = None) -> Event:
    """The trace of a log, as a reader of its JSON sees it."""
    tape = tape_of(entries)
    made = perfetto.trace(tape, tape.moment(at))
    read: Event = json.loads(json.dumps(made, allow_nan=False))
    return read


@pytest.fixture(params=LOGS)
def trace(request: pytest.FixtureRequest) -> Event:
    """Traces of several logs."""
    match request.param:
        case "hostile":
            return trace_of(hostile().entries)
        case "fan-out":
            return trace_of(fan_out(20, done=8, failed=3).entries)
        case "clock set back":
            back = [msgspec.structs.replace(entry, wall=2 * BEGAN - entry.wall) for entry in fan_out(5, done=5).entries]
            return trace_of(back)
        case "up to the middle":
            return trace_of(every_verb(), len(every_verb()) // 2)
        case "one entry":
            return trace_of(every_verb()[:1])
    return trace_of(every_verb())


def of(trace: Event, phase: str) -> list[Event]:
    """The events of one phase, in the order of the file."""
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


def by_thread(events: list[Event]) -> dict[tuple[int, int], list[Event]]:
    """Events by process and thread."""
    found = defaultdict(list)
    for event in events:
        found[event["pid"], event["tid"]].append(event)
    return found


def test_times_are_whole_and_run_forward(trace: Event) -> None:
    """All that has a time has a whole number of microseconds, from 0, and stands in the order of these."""
    times = [event["ts"] for event in trace["traceEvents"] if event["ph"] != "M"]
    assert all(isinstance(ts, int) and ts >= 0 for ts in times)
    assert times == sorted(times)
    assert all(event["dur"] >= 0 for event in of(trace, "X"))
    assert trace["displayTimeUnit"] == "ms"


def assert_nested(trace: Event) -> None:
    """Assert that two slices of one thread lie one in the other, or one after the other."""
    for slices in by_thread(of(trace, "X")).values():
        open_until: list[int] = []
        for piece in sorted(slices, key=lambda x: (x["ts"], -x["dur"])):
            while open_until and open_until[-1] <= piece["ts"]:
                open_until.pop()
            assert all(piece["ts"] + piece["dur"] <= end for end in open_until)
            open_until.append(piece["ts"] + piece["dur"])


def assert_bound(trace: Event) -> None:
    """Assert that an importer binds both ends of each flow to the slices of its message.

    It reads by time, then by place in the file, and binds to the slice of the thread that began last.
    """
    begun: dict[tuple[int, int], Event] = {}
    flows: dict[int, list[tuple[Event, Event]]] = defaultdict(list)
    for event in sorted(trace["traceEvents"], key=lambda x: x.get("ts", -1)):
        thread = event["pid"], event["tid"]
        if event["ph"] in ("X", "i"):
            begun[thread] = event
        elif event["ph"] in ("s", "f"):
            flows[event["id"]].append((event, begun[thread]))
    for (start, sent), (end, received) in flows.values():
        assert (start["ph"], end["ph"], end["bp"]) == ("s", "f", "e")
        assert (start["name"], start["cat"]) == (end["name"], end["cat"])
        assert start["ts"] <= end["ts"]
        assert sent["cat"] == received["cat"] == "message"
        assert (sent["ts"], received["ts"]) == (start["ts"], end["ts"])
        assert sent["args"]["agent"] in received["args"]["from"]
        assert received["args"]["agent"] in sent["args"]["to"]


def test_slices_nest_and_flows_have_both_ends(trace: Event) -> None:
    """Slices of a thread nest; each flow begins and ends in a slice of its message, the end no earlier."""
    assert_nested(trace)
    assert_bound(trace)


def test_slices_nest_and_flows_have_both_ends_at_any_moment() -> None:
    """The same holds of the trace at each entry of a session that used every verb."""
    tape = tape_of(every_verb())
    for seq in range(tape.last_seq + 1):
        trace = perfetto.trace(tape, tape.moment(seq))
        assert_nested(trace)
        assert_bound(trace)


def test_threads_and_processes_have_names(trace: Event) -> None:
    """Every thread that an event is on has one name and one place; so has every process; and no number is 0."""
    named = defaultdict(list)
    for event in of(trace, "M"):
        key = event["pid"] if event["name"].startswith("process") else (event["pid"], event["tid"])
        named[event["name"], key].append(event["args"])
    assert all(len(args) == 1 for args in named.values())
    for event in trace["traceEvents"]:
        pid, tid = event["pid"], event["tid"]
        assert pid > 0
        assert tid > 0
        assert named["process_name", pid][0]["name"]
        assert isinstance(named["process_sort_index", pid][0]["sort_index"], int)
        if event["ph"] != "C":
            assert named["thread_name", (pid, tid)][0]["name"]
            assert isinstance(named["thread_sort_index", (pid, tid)][0]["sort_index"], int)


def test_every_span_and_message_is_there() -> None:
    """The slices of a session that used every verb are its spans, the flows its messages, with all that is known."""
    tape = tape_of(every_verb())
    moment = tape.moment()
    trace = perfetto.trace(tape, moment)
    lives = [event for event in of(trace, "X") if event["cat"] != "message"]
    told = sorted(
        (span.slot + 1, span.begin.seq, span.end.seq, span.status.word, span.ghost, span.reverted)
        for span in spans(tape, moment)
    )
    keys = ("entry", "until_entry", "status", "ghost", "reverted")
    assert sorted((event["tid"], *(event["args"][key] for key in keys)) for event in lives) == told
    kinds = {message.kind.name.lower() for message in messages(tape, moment)}
    assert len(of(trace, "s")) == len(of(trace, "f")) == len(messages(tape, moment))
    assert {event["cat"] for event in of(trace, "s")} == kinds
    assert {"call", "reply", "trigger", "completion", "fork"} <= kinds


def test_a_lesson_reads_as_it_went() -> None:
    """Names, times and arguments of a call that waits, a step, and a promise are those of the log."""
    log = EntryLog()
    call = log.work(log.root, "Coordinator()")
    assert isinstance(call.body, e.CallMade)
    boss = call.body.target
    child = log.work(boss, "Worker(1)")
    step = log.put(child.body.target, e.StepStarted("fetch"), child.seq)  # type: ignore[attr-defined]
    log.put(step.agent, e.StepFinished(step.index, ok=True, value=b""), child.seq)
    log.finish(child)
    log.deliver(child)
    promise = log.promise(boss)
    log.complete(log.root, boss, promise)
    trace = trace_of(log.entries)
    slices = [(x["name"], x["args"]["agent"], x["ts"], x["dur"]) for x in of(trace, "X") if x["cat"] == "status"]
    second = MILLISECOND // 1000
    assert ("waiting process", "Coordinator()", (child.seq - 1) * second, 5 * second) in slices
    assert ("step fetch", "Worker(1)", (step.seq - 1) * second, second) in slices
    arrows = [(x["name"], x["args"]["to"], x["args"]["entry"]) for x in of(trace, "X") if "to" in x["args"]]
    assert ("call process", ["Worker(1)"], child.seq) in arrows
    instants = {(x["name"], x["args"].get("promise"), x["args"].get("line")) for x in of(trace, "i")}
    assert ("promise completed", f"promise {promise} of Coordinator()", "lesson.py:7") in instants


def test_each_tree_is_a_process() -> None:
    """A tree of agents is a process named after its top; cells and agents on their own share one."""
    log = fan_out(3)
    lone = log.agent("Alone()")
    trace = trace_of(log.entries)
    threads = {x["args"]["name"]: x["pid"] for x in of(trace, "M") if x["name"] == "thread_name"}
    processes = {x["pid"]: x["args"]["name"] for x in of(trace, "M") if x["name"] == "process_name"}
    assert processes == {
        threads["Session()"]: "cells, and agents on their own",
        threads["Coordinator()"]: "Coordinator()",
    }
    assert threads["Alone()"] == threads["Session()"]
    assert {threads[f"Worker({i})"] for i in range(3)} == {threads["Coordinator()"]}
    assert lone


def test_counter_tells_who_runs_and_waits() -> None:
    """At each change the counter has the number of agents that run, wait and are queued, as the tape counts them."""
    tape = tape_of(every_verb())
    trace = perfetto.trace(tape, tape.moment())
    clock = perfetto.Clock(tape, tape.moment())
    counted = {event["ts"]: event["args"] for event in of(trace, "C")}
    now = {"running": 0, "waiting": 0, "queued": 0}
    for seq in range(1, tape.last_seq + 1):
        now = counted.get(clock.at(seq), now)
        told = {status.word: number for status, number in tape.counts(tape.moment(seq)).items()}
        assert now["running"] == told["running"] + told["retrying"]
        assert now["waiting"] == told["waiting"] + told["suspended"]
        assert now["queued"] == told["queued"]


def test_entries_of_one_time_stay_in_order() -> None:
    """Entries of one wall time are a microsecond apart, in the order of the log; real distances are kept."""
    log = fan_out(2, done=2)
    same = [msgspec.structs.replace(entry, wall=BEGAN) for entry in log.entries[:-1]]
    tape = tape_of([*same, log.entries[-1]])
    clock = perfetto.Clock(tape, tape.moment())
    times = [clock.at(seq) for seq in range(1, len(log.entries) + 1)]
    assert times[:-1] == list(range(len(same)))
    assert times[-1] == (log.entries[-1].wall - BEGAN) // 1000


def test_trace_at_an_entry_is_the_trace_of_the_log_up_to_there() -> None:
    """What came after the moment is not in the trace."""
    entries = every_verb()
    for at in range(0, len(entries) + 1, 29):
        early, late = trace_of(entries[:at]), trace_of(entries, at)
        assert early["traceEvents"] == late["traceEvents"]


def test_hostile_names_stay_names() -> None:
    """Names of agents are text in one line, whatever they hold."""
    names = [x["args"]["name"] for x in of(trace_of(hostile().entries), "M") if x["name"] == "thread_name"]
    assert len(names) == len(HOSTILE) + 2
    assert all(name.isprintable() and name for name in names)
