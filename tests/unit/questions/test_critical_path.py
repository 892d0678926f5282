"""Critical paths over histories written by hand, with clocks that say what each part took."""

import random

import pytest

from workbench.core.nouns import ROOT_UID
from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.questions.critical_path import CriticalPath, critical_path
from workbench.questions.invocations import Invocations
from workbench.questions.window import Window

SECOND = 1_000_000_000


class Tape:
    """Writes entries with the time and the cause that they are given; each agent runs one invocation at a time."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.index: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.running: dict[int, int] = {}
        self.put(0, 1, e.AgentCreated("Session()", "Session", 0))

    def put(self, at: float, uid: int, body: Body, cause: int = 0, invocation: int = 0, index: int = 0) -> Entry:
        """One entry, at so many seconds."""
        index = index or self.index.get(uid, 0) + 1
        self.index[uid] = index
        seq, belongs = len(self.entries) + 1, invocation or self.running.get(uid, 0)
        entry = Entry(seq, uid, index, cause, belongs, round(at * SECOND), 0, f"f.py:{seq}", body)
        self.entries.append(entry)
        if isinstance(body, e.AgentCreated | e.AgentForked):
            self.names[uid] = body.agent_id
        return entry

    def agent(self, name: str, at: float = 0) -> int:
        """A new agent; its uid."""
        return self.put(at, len(self.entries) + 1, e.AgentCreated(f"{name}()", name, ROOT_UID)).agent

    def call(self, at: float, caller: int, target: int, method: str = "m", *, awaited: bool = True) -> Entry:
        """A call, accepted."""
        return self.put(at, caller, e.CallMade(target, self.names[target], method, b"\x90", awaited))

    def start(self, at: float, accepted: Entry) -> None:
        """The target begins."""
        assert isinstance(accepted.body, e.CallMade)
        self.running[accepted.body.target] = accepted.seq
        body = e.InvocationStarted(accepted.body.method, b"\x90")
        self.put(at, accepted.body.target, body, accepted.seq, accepted.seq)

    def finish(self, at: float, uid: int) -> Entry:
        """What an agent runs is done."""
        done = self.put(at, uid, e.InvocationFinished(ok=True, value=b"\xc0"))
        self.running.pop(uid)
        return done

    def give(self, at: float, caller: int, made: Entry, done: Entry) -> Entry:
        """The caller gets the outcome."""
        return self.put(at, caller, e.CallDelivered(made.index, ok=True, value=b"\xc0"), done.seq)

    def path(self, accepted: Entry, now: float = 0, *, uid: int = 0, after: int = 0) -> CriticalPath:
        """The critical path of an invocation; `after` cuts off what a cap would."""
        if not uid:
            assert isinstance(accepted.body, e.CallMade)
            uid = accepted.body.target
        by = Invocations().fold(self.entries).fate(uid, accepted.seq).ended
        ended = self.entries[by - 1] if by else None
        upto = len(self.entries) if ended is None else by - (not isinstance(ended.body, e.InvocationFinished))
        entries = self.entries[max(accepted.seq - 1, after) : upto]
        window = Window(entries, lambda number: self.names[number], lambda seq: self.entries[seq - 1])
        return critical_path(window, uid, accepted, round(now * SECOND), ended)


def assert_whole(path: CriticalPath) -> None:
    """The segments follow each other without a gap from the acceptance to the end, so their lengths add up."""
    at = path.begin
    for segment in path.segments:
        assert segment.begin == at
        assert segment.end >= segment.begin
        at = segment.end
    assert at == path.end or not path.segments
    assert sum(s.end - s.begin for s in path.segments) == path.end - path.begin
    at = path.begin
    for overlap in path.parallel:
        assert overlap.begin >= at
        assert overlap.end > overlap.begin
        assert overlap.count >= len(overlap.agents) > 0
        at = overlap.end
    assert at <= max(path.end, path.begin)


def told(path: CriticalPath) -> list[tuple[str, str, float]]:
    """Agent, kind and seconds of each segment."""
    assert_whole(path)
    return [(segment.agent, segment.kind, segment.seconds) for segment in path.segments]


def test_the_slower_child_decides() -> None:
    """Of two children the one that came last is on the path; its own step takes the place of the wait."""
    tape = Tape()
    boss, quick, slow = tape.agent("Boss"), tape.agent("Quick"), tape.agent("Slow")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(1, accepted)
    to_quick, to_slow = tape.call(1, boss, quick), tape.call(1, boss, slow)
    tape.start(1, to_quick)
    tape.start(2, to_slow)
    step = tape.put(2, slow, e.StepStarted("fetch"))
    done = tape.finish(3, quick)
    tape.give(3, boss, to_quick, done)
    tape.put(7, slow, e.StepFinished(step.index, ok=True, value=b"\xc0"), step.seq)
    done = tape.finish(8, slow)
    tape.give(9, boss, to_slow, done)
    tape.finish(10, boss)
    path = tape.path(accepted)
    assert told(path) == [
        ("Boss()", "queued", 1.0),
        ("Slow()", "queued", 1.0),
        ("Slow()", "step", 5.0),
        ("Slow()", "running", 1.0),
        ("Boss()", "call", 1.0),
        ("Boss()", "running", 1.0),
    ]
    assert path.ended
    assert path.total == 10.0
    assert path.segments[2].what == "waits for step fetch"
    assert path.segments[2].entries == (step.seq, step.seq + 3)
    assert path.segments[2].line == step.line
    assert path.sentences[0].startswith("Boss().m took 10.0 s")
    assert "5.0 s: Slow().m waits for step fetch at f.py" in str(path)
    assert [(o.seconds, o.agents) for o in path.parallel] == [
        (1.0, ("Quick()",)),
        (1.0, ("Quick()", "Slow()")),
        (5.0, ("Slow()",)),
        (1.0, ("Boss()",)),
    ]
    assert path.most == 2


def test_what_a_queue_waited_for() -> None:
    """Time in a queue says what stood before."""
    tape = Tape()
    boss, worker = tape.agent("Boss"), tape.agent("Worker")
    for_others = tape.call(0, ROOT_UID, worker, "long")
    tape.start(0, for_others)
    accepted = tape.call(1, ROOT_UID, boss)
    tape.start(1, accepted)
    made = tape.call(1, boss, worker)
    tape.finish(6, worker)
    tape.start(6, made)
    done = tape.finish(7, worker)
    tape.give(7, boss, made, done)
    tape.finish(7, boss)
    path = tape.path(accepted)
    assert told(path) == [("Worker()", "queued", 5.0), ("Worker()", "running", 1.0)]
    assert path.segments[0].what == "queued behind long"
    blind = Window(tape.entries[accepted.seq - 1 :], lambda number: tape.names[number])
    path = critical_path(blind, boss, accepted, 0, tape.entries[-1])
    assert path.segments[0].what == "queued behind another invocation"  # it was accepted before the window


def test_a_promise_leads_to_whoever_completed_it() -> None:
    """The path goes through the agent that completed the promise, and through its caller before it was called."""
    tape = Tape()
    boss, helper = tape.agent("Boss"), tape.agent("Helper")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    made = tape.put(0, boss, e.PromiseCreated())
    timer = tape.put(0, boss, e.TimerSet(2 * SECOND))
    awaited = tape.put(0, boss, e.PromiseAwaited(boss, made.index))
    tape.put(2, boss, e.TimerFired(timer.index), timer.seq)
    trigger = tape.call(2, boss, helper, "help", awaited=False)
    tape.start(3, trigger)
    nap = tape.put(3, helper, e.TimerSet(7 * SECOND))
    tape.put(7, helper, e.TimerFired(nap.index), nap.seq)
    kept = tape.put(7, helper, e.PromiseCompleted(boss, made.index, b"", first=True))
    tape.finish(9, helper)
    tape.put(8, boss, e.PromiseDelivered(awaited.index, b""), kept.seq)
    tape.finish(8, boss)
    assert told(tape.path(accepted)) == [
        ("Boss()", "timer", 2.0),
        ("Helper()", "queued", 1.0),
        ("Helper()", "timer", 4.0),
        ("Boss()", "promise", 1.0),
    ]


def test_a_promise_that_a_cell_completed() -> None:
    """What a cell took its time for is a wait for the promise."""
    tape = Tape()
    boss = tape.agent("Boss")
    made = tape.put(0, ROOT_UID, e.PromiseCreated())
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    awaited = tape.put(1, boss, e.PromiseAwaited(ROOT_UID, made.index))
    kept = tape.put(5, ROOT_UID, e.PromiseCompleted(ROOT_UID, made.index, b"", first=True))
    tape.put(5, boss, e.PromiseDelivered(awaited.index, b""), kept.seq)
    tape.finish(5, boss)
    assert told(tape.path(accepted)) == [("Boss()", "running", 1.0), ("Boss()", "promise", 4.0)]


def test_a_result_that_was_there_before() -> None:
    """A call that joins an invocation by its key counts from the call on, also when that had begun before."""
    tape = Tape()
    boss, worker = tape.agent("Boss"), tape.agent("Worker")
    first = tape.call(0, ROOT_UID, worker)
    tape.start(0, first)
    step = tape.put(0, worker, e.StepStarted("fetch"))
    accepted = tape.call(3, ROOT_UID, boss)
    tape.start(3, accepted)
    made = tape.call(4, boss, worker)
    tape.put(6, worker, e.StepFinished(step.index, ok=True, value=b"\xc0"), step.seq)
    done = tape.finish(6, worker)
    tape.give(6, boss, made, done)
    again = tape.call(6, boss, worker)
    tape.give(7, boss, again, done)
    tape.finish(7, boss)
    assert told(tape.path(accepted)) == [
        ("Boss()", "running", 1.0),
        ("Worker()", "earlier", 2.0),
        ("Boss()", "call", 1.0),
    ]


def test_one_that_is_under_way() -> None:
    """Up to now, by way of the wait that has been open longest, down the chain of those who wait."""
    tape = Tape()
    boss, worker, busy = tape.agent("Boss"), tape.agent("Worker"), tape.agent("Busy")
    accepted = tape.call(0, ROOT_UID, boss)
    assert told(tape.path(accepted, 2)) == [("Boss()", "queued", 2.0)]
    tape.start(1, accepted)
    assert told(tape.path(accepted, 2)) == [("Boss()", "queued", 1.0), ("Boss()", "running", 1.0)]
    to_worker = tape.call(2, boss, worker)
    tape.put(2, boss, e.TimerSet(99 * SECOND))
    tape.start(3, to_worker)
    tape.put(4, worker, e.StepStarted("fetch"))
    path = tape.path(accepted, 9)
    assert told(path) == [
        ("Boss()", "queued", 1.0),
        ("Boss()", "running", 1.0),
        ("Worker()", "queued", 1.0),
        ("Worker()", "running", 1.0),
        ("Worker()", "step", 5.0),
    ]
    assert not path.ended
    assert "has taken 9.0 s so far" in str(path)
    third = tape.agent("Third", 4)
    accepted = tape.call(5, ROOT_UID, third)
    tape.start(5, accepted)
    for_others = tape.call(5, ROOT_UID, busy)
    tape.start(5, for_others)
    tape.call(6, third, busy)
    assert told(tape.path(accepted, 9)) == [("Third()", "running", 1.0), ("Busy()", "queued", 3.0)]


def test_what_was_reverted_and_what_was_shared() -> None:
    """Work that was reverted is time lost; a fork goes on from its source's past."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    nap = tape.put(1, boss, e.TimerSet(2 * SECOND))
    tape.put(2, boss, e.TimerFired(nap.index), nap.seq)
    made = tape.put(2, boss, e.ForkMade("Boss()[x]", "x"))
    body = e.AgentForked("Boss()[x]", boss, made.index, inside=True)
    twin = tape.put(2, len(tape.entries) + 1, body, made.seq, index=made.index + 1).agent
    tape.running[twin] = accepted.seq
    step = tape.put(3, boss, e.StepStarted("f"))
    tape.put(6, boss, e.StepFinished(step.index, ok=True, value=b"\xc0"), step.seq)
    facts = e.Facts(nap.seq, accepted.seq, nap.seq - 1, "m")
    tape.put(8, boss, e.AgentReverted(made.index, facts))
    tape.finish(9, boss)
    other = tape.put(4, twin, e.TimerSet(9 * SECOND))
    tape.put(9, twin, e.TimerFired(other.index), other.seq)
    tape.finish(9, twin)
    assert told(tape.path(accepted)) == [
        ("Boss()", "running", 1.0),
        ("Boss()", "timer", 1.0),
        ("Boss()", "reverted", 6.0),
        ("Boss()", "running", 1.0),
    ]
    assert told(tape.path(accepted, uid=twin)) == [
        ("Boss()", "running", 1.0),
        ("Boss()", "timer", 1.0),
        ("Boss()[x]", "running", 2.0),
        ("Boss()[x]", "timer", 5.0),
    ]


def test_a_fork_from_outside_was_not_there_before() -> None:
    """The time from the cut to the fork is told as such."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    cut = tape.put(1, boss, e.PromiseCreated())
    tape.finish(2, boss)
    twin = fork_at(tape, 5, cut, "Boss()[y]", e.Facts(cut.seq, accepted.seq))
    nap = tape.put(5, twin, e.TimerSet(7 * SECOND))
    tape.put(7, twin, e.TimerFired(nap.index), nap.seq)
    tape.finish(7, twin)
    assert told(tape.path(accepted, uid=twin)) == [
        ("Boss()", "running", 1.0),
        ("Boss()[y]", "forked", 4.0),
        ("Boss()[y]", "timer", 2.0),
    ]


def test_ends_that_are_no_return() -> None:
    """An invocation that ended with its agent, or was withdrawn from the queue, ended then."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted, later = tape.call(0, ROOT_UID, boss), tape.call(1, ROOT_UID, boss)
    tape.start(1, accepted)
    tape.put(3, boss, e.InvocationCancelled(later.seq))
    tape.put(5, boss, e.AgentFailed(b""))
    assert told(tape.path(accepted, 9)) == [("Boss()", "queued", 1.0), ("Boss()", "running", 4.0)]
    assert told(tape.path(later, 9)) == [("Boss()", "queued", 2.0)]


def test_one_that_was_cut_short_while_it_waited() -> None:
    """What was waited for when an agent was deleted or reverted is told, and the time ends there."""
    for body in (e.AgentDeleted(b""), e.AgentReverted(1, e.Facts(2))):
        tape = Tape()
        boss, worker = tape.agent("Boss"), tape.agent("Worker")
        accepted, later = tape.call(0, ROOT_UID, boss), tape.call(1, ROOT_UID, boss)
        tape.start(1, accepted)
        made = tape.call(2, boss, worker)
        tape.start(3, made)
        tape.put(4, worker, e.StepStarted("f"))
        tape.put(7, boss, body)
        path = tape.path(accepted, 99)
        assert told(path) == [
            ("Boss()", "queued", 1.0),
            ("Boss()", "running", 1.0),
            ("Worker()", "queued", 1.0),
            ("Worker()", "running", 1.0),
            ("Worker()", "step", 3.0),
        ]
        assert path.ended
        assert tape.path(later, 9).ended == isinstance(body, e.AgentDeleted)  # the queue is kept in a revert


def test_an_interrupted_agent_does_nothing() -> None:
    """From an interrupt to what lets the agent go on is a part of its own, and it is not at work."""
    tape = Tape()
    boss, worker = tape.agent("Boss"), tape.agent("Worker")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    made = tape.call(1, boss, worker)
    tape.start(1, made)
    tape.put(2, boss, e.AgentInterrupted(b""))
    done = tape.finish(4, worker)
    assert told(tape.path(accepted, 5))[1:] == [("Worker()", "running", 3.0), ("Boss()", "interrupted", 1.0)]
    tape.put(6, boss, e.AgentResumed())
    tape.give(7, boss, made, done)
    nap = tape.put(8, boss, e.TimerSet(20 * SECOND))
    tape.put(9, boss, e.AgentInterrupted(b""))
    assert told(tape.path(accepted, 10))[-1] == ("Boss()", "interrupted", 1.0)
    tape.call(11, ROOT_UID, boss)
    tape.put(20, boss, e.TimerFired(nap.index), nap.seq)
    tape.finish(21, boss)
    path = tape.path(accepted)
    assert told(path) == [
        ("Boss()", "running", 1.0),
        ("Worker()", "running", 3.0),
        ("Boss()", "interrupted", 2.0),
        ("Boss()", "call", 1.0),
        ("Boss()", "running", 1.0),
        ("Boss()", "timer", 1.0),
        ("Boss()", "interrupted", 2.0),
        ("Boss()", "timer", 9.0),
        ("Boss()", "running", 1.0),
    ]
    assert [(o.begin // SECOND, o.end // SECOND, o.agents) for o in path.parallel] == [
        (0, 1, ("Boss()",)),
        (1, 4, ("Worker()",)),
        (7, 9, ("Boss()",)),
        (11, 21, ("Boss()",)),
    ]


def test_a_fork_of_the_past_that_a_fork_shares() -> None:
    """Where a fork was cut from, or a fork reverted to, what it shares with its source, the path goes on in there."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    nap = tape.put(1, boss, e.TimerSet(SECOND))
    fired = tape.put(2, boss, e.TimerFired(nap.index), nap.seq)
    cut = tape.put(3, boss, e.PromiseCreated())
    facts = e.Facts(fired.seq, accepted.seq, accepted.seq + 1, "m")
    one = fork_at(tape, 5, cut, "one", facts)
    body = e.AgentForked("two", one, fired.index, inside=False, facts=facts)
    two = tape.put(6, len(tape.entries) + 1, body, index=fired.index + 1).agent
    tape.running[two] = accepted.seq
    tape.finish(8, two)
    shared = [("Boss()", "running", 1.0), ("Boss()", "timer", 1.0)]
    path = tape.path(accepted, uid=two)
    assert told(path) == [*shared, ("two", "forked", 4.0), ("two", "running", 2.0)]
    assert {segment.method for segment in path.segments} == {"m"}
    tape.put(8, one, e.AgentReverted(fired.index, facts))
    tape.finish(9, one)
    assert told(tape.path(accepted, uid=one)) == [*shared, ("one", "reverted", 6.0), ("one", "running", 1.0)]


def test_what_a_fork_or_a_revert_left_open() -> None:
    """A fork waits for what was open at its cut; after a revert what was begun since is no wait any more."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    nap = tape.put(1, boss, e.TimerSet(99 * SECOND))
    twin = fork(tape, 2, boss, "twin")
    assert told(tape.path(accepted, 4, uid=twin)) == [("Boss()", "running", 1.0), ("twin", "timer", 3.0)]
    tape.put(2, boss, e.TimerFired(nap.index), nap.seq)
    tape.put(3, boss, e.StepStarted("f"))
    left = e.OpenWait(nap.index, 30, nap.seq, nap.wall, "")
    tape.put(5, boss, e.AgentReverted(nap.index, e.Facts(nap.seq, accepted.seq, waits=(left,))))
    assert told(tape.path(accepted, 6)) == [("Boss()", "running", 1.0), ("Boss()", "timer", 5.0)]


def test_entries_that_were_not_read() -> None:
    """What lies before the first entry that was read is one segment."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(1, accepted)
    for second in range(2, 20, 2):
        nap = tape.put(second, boss, e.TimerSet((second + 1) * SECOND))
        tape.put(second + 1, boss, e.TimerFired(nap.index), nap.seq)
    tape.finish(20, boss)
    whole = told(tape.path(accepted))
    cut = told(tape.path(accepted, after=len(tape.entries) - 5))
    assert cut[1:] == whole[-len(cut) + 1 :]
    assert cut[0] == ("Boss()", "earlier", 16.0)


def test_a_scheduled_invocation_has_a_method() -> None:
    """The parts of an invocation that a schedule brought are told with its method."""
    tape = Tape()
    worker = tape.agent("Worker")
    plan = tape.put(0, ROOT_UID, e.CallScheduled("Worker()", "nap", b"\x90", 5 * SECOND))
    fired = tape.put(5, worker, e.ScheduleFired(plan.seq), plan.seq)
    tape.put(6, worker, e.InvocationStarted("nap", b"\x90"), fired.seq, fired.seq)
    tape.running[worker] = fired.seq
    timer = tape.put(6, worker, e.TimerSet(8 * SECOND))
    tape.put(8, worker, e.TimerFired(timer.index), timer.seq)
    tape.finish(8, worker)
    path = tape.path(fired, uid=worker)
    assert path.method == "nap"
    assert [(s.method, s.kind, s.seconds) for s in path.segments] == [("nap", "queued", 1.0), ("nap", "timer", 2.0)]


# ---- what ran in parallel ------------------------------------------------------------------------------------------


def fork(tape: Tape, at: float, source: int, name: str) -> int:
    """A `fork()`; the fork's uid."""
    made = tape.put(at, source, e.ForkMade(name, name))
    body = e.AgentForked(name, source, made.index, inside=True)
    uid = tape.put(at, len(tape.entries) + 1, body, made.seq, index=made.index + 1).agent
    tape.running[uid] = tape.running[source]
    return uid


def fork_at(tape: Tape, at: float, cut: Entry, name: str, facts: e.Facts) -> int:
    """A fork from outside; its uid."""
    body = e.AgentForked(name, cut.agent, cut.index, inside=False, facts=facts)
    uid = tape.put(at, len(tape.entries) + 1, body, index=cut.index + 1).agent
    tape.running[uid] = facts.invocation
    return uid


def together(path: CriticalPath) -> list[tuple[float, tuple[str, ...]]]:
    """Seconds and agents of each stretch."""
    assert_whole(path)
    return [(overlap.seconds, overlap.agents) for overlap in path.parallel]


def test_forks_are_at_work_on_the_same_invocation() -> None:
    """A fork and a fork of it count from when they come into being, whichever of the three is asked about."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    one = fork(tape, 1, boss, "one")
    two = fork(tape, 3, one, "two")
    tape.finish(4, boss)
    tape.finish(6, two)
    tape.finish(7, one)
    fork_at(tape, 9, accepted, "late", e.Facts(accepted.seq, accepted.seq))
    all_three = [(1.0, ("Boss()",)), (2.0, ("Boss()", "one")), (1.0, ("Boss()", "one", "two"))]
    assert tape.path(accepted).most == 3
    everything = tape.entries
    for uid, end, rest in ((boss, 4, []), (two, 6, [(2.0, ("one", "two"))]),
                           (one, 7, [(2.0, ("one", "two")), (1.0, ("one",))])):  # fmt: skip
        tape.entries = [entry for entry in everything if entry.wall <= end * SECOND]
        assert together(tape.path(accepted, uid=uid)) == [*all_three, *rest]


def test_a_fork_waits_for_the_calls_open_at_its_cut() -> None:
    """A fork that joins a call of its source is at work once it has the result; what it calls counts too."""
    tape = Tape()
    boss, worker = tape.agent("Boss"), tape.agent("Worker")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    made = tape.call(0, boss, worker)
    tape.start(0, made)
    twin = fork(tape, 1, boss, "twin")
    done = tape.finish(2, worker)
    tape.give(2, twin, made, done)
    other = tape.call(4, twin, worker)
    tape.start(5, other)
    done = tape.finish(6, worker)
    tape.give(6, twin, other, done)
    tape.finish(8, twin)
    assert together(tape.path(accepted, uid=twin)) == [
        (2.0, ("Worker()",)),
        (2.0, ("twin",)),
        (1.0, ("Worker()",)),
        (2.0, ("twin",)),
    ]


def test_forks_from_outside_count_when_they_go_on_with_it() -> None:
    """One made where the invocation was under way counts from then on; one made of an idle past does not."""
    tape = Tape()
    boss = tape.agent("Boss")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    cut = tape.put(1, boss, e.PromiseCreated())
    fork_at(tape, 2, cut, "idle", e.Facts(accepted.seq - 1))
    goes_on = fork_at(tape, 3, cut, "goes on", e.Facts(cut.seq, accepted.seq))
    tape.finish(5, goes_on)
    tape.finish(6, boss)
    assert together(tape.path(accepted)) == [(3.0, ("Boss()",)), (2.0, ("Boss()", "goes on")), (1.0, ("Boss()",))]


def test_what_was_scheduled_under_it_counts() -> None:
    """What comes of its schedules is under an invocation, and what that calls; other schedules are not."""
    tape = Tape()
    boss, worker, stranger = tape.agent("Boss"), tape.agent("Worker"), tape.agent("Stranger")
    foreign = tape.put(0, ROOT_UID, e.CallScheduled("Stranger()", "m", b"\x90", 2 * SECOND))
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    plan = tape.put(0, boss, e.CallScheduled("Worker()", "m", b"\x90", SECOND))
    for uid, seq in ((worker, plan.seq), (stranger, foreign.seq)):
        fired = tape.put(1, uid, e.ScheduleFired(seq), seq)
        tape.running[uid] = fired.seq
        tape.put(2, uid, e.InvocationStarted("m", b"\x90"), fired.seq)
    tape.finish(4, worker)
    tape.finish(5, stranger)
    tape.finish(6, boss)
    assert together(tape.path(accepted)) == [(2.0, ("Boss()",)), (2.0, ("Boss()", "Worker()")), (2.0, ("Boss()",))]


def test_a_revert_tells_who_is_at_work() -> None:
    """An agent that goes back to within the invocation is at work again, also when it had failed; else no more."""
    tape = Tape()
    boss, worker = tape.agent("Boss"), tape.agent("Worker")
    accepted = tape.call(0, ROOT_UID, boss)
    tape.start(0, accepted)
    made = tape.call(0, boss, worker, awaited=False)
    tape.start(0, made)
    tape.put(1, worker, e.AgentReverted(1, e.Facts(worker)))
    tape.put(2, boss, e.AgentFailed(b""))
    open_call = e.OpenWait(3, 10, made.seq, made.wall, "")
    tape.put(4, boss, e.AgentReverted(2, e.Facts(made.seq, accepted.seq, waits=(open_call,))))
    tape.put(5, boss, e.CallDelivered(3, ok=True, value=b""))
    tape.finish(7, boss)
    assert together(tape.path(accepted)) == [(1.0, ("Boss()", "Worker()")), (1.0, ("Boss()",)), (2.0, ("Boss()",))]


# ---- any history ---------------------------------------------------------------------------------------------------


def write_tree(tape: Tape, chance: random.Random, uid: int, accepted: Entry, at: float, depth: int) -> float:
    """Run an invocation at random, and all that it calls; when it ended."""
    at += chance.choice([0, 0.5])
    tape.start(at, accepted)
    for _ in range(chance.randint(0, 3)):
        kind = chance.random()
        if kind < 0.4 and depth:
            child = tape.agent(f"A{len(tape.entries)}", at)
            made = tape.call(at, uid, child)
            at = write_tree(tape, chance, child, made, at, depth - 1)
            done = tape.entries[-1]
            at += chance.choice([0, 1])
            tape.give(at, uid, made, done)
        else:
            begun = tape.put(at, uid, e.StepStarted("s") if kind < 0.7 else e.TimerSet(0))
            at += chance.choice([0, 1, 2])
            if chance.random() < 0.3:
                tape.put(at, uid, e.AgentInterrupted(b""))
                at += chance.choice([0, 1])
                if chance.random() < 0.5:
                    tape.put(at, uid, e.AgentResumed())
                    at += chance.choice([0, 1])
            end = e.TimerFired(begun.index)
            step = e.StepFinished(begun.index, ok=True, value=b"")
            tape.put(at, uid, step if kind < 0.7 else end, begun.seq)
    at += chance.choice([0, 0.5])
    tape.finish(at, uid)
    return at


def assert_told_as_interrupted(path: CriticalPath) -> None:
    """While an agent is told to be interrupted it is not at work."""
    for segment in path.segments:
        for overlap in path.parallel:
            if segment.kind == "interrupted" and max(segment.begin, overlap.begin) < min(segment.end, overlap.end):
                assert segment.agent not in overlap.agents


@pytest.mark.parametrize("seed", range(150))
def test_any_path_is_whole(seed: int) -> None:
    """Cut off anywhere and capped anywhere, a path has no gap and adds up to the time from acceptance to end."""
    chance = random.Random(seed)  # noqa: S311 - a seed for each history
    tape = Tape()
    uid = tape.agent("Top")
    accepted = tape.call(0, ROOT_UID, uid)
    end = write_tree(tape, chance, uid, accepted, 0, 3)
    whole = tape.path(accepted)
    assert_whole(whole)
    assert_told_as_interrupted(whole)
    assert whole.total == end
    everything = tape.entries
    for _ in range(5):
        tape.entries = everything[: chance.randint(accepted.seq, len(everything))]
        assert_whole(tape.path(accepted, end + 1))
        assert_told_as_interrupted(tape.path(accepted, end + 1))
        assert_whole(tape.path(accepted, end + 1, after=chance.randint(0, len(tape.entries))))
