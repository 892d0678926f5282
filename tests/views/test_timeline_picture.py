"""The timeline as a still picture: everybody's bars in their places, tidy whatever happened."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.exports.lessons import every_verb, hostile, tape_of
from tests.views.entry_log import BEGAN, MILLISECOND, EntryLog, fan_out
from tests.views.test_spans import slept
from tests.views.tidy import assert_tidy, shapes, texts, titles
from workbench.model import entries as e
from workbench.model.entries import CallMade, Entry
from workbench.questions.critical_path import PathSegment
from workbench.views.axis import Scale
from workbench.views.bars import LIT, LIT_LINE, WORDS, Look
from workbench.views.density import levels
from workbench.views.drawing import Drawing, Path, Rect, Text, flat
from workbench.views.graph_nodes import Status
from workbench.views.lanes import MOST_BANDS, MOST_LANES, by_slot, lanes
from workbench.views.spans import spans
from workbench.views.timeline_picture import timeline_drawing

TIMES = "\N{MULTIPLICATION SIGN}"


def drawn(log: EntryLog, **options: object) -> Drawing:
    """The timeline of a log, which must be tidy."""
    tape = tape_of(log.entries)
    drawing = timeline_drawing(tape, tape.moment(), **options)  # type: ignore[arg-type]
    assert_tidy(drawing)
    return drawing


def target(call: Entry) -> int:
    """Who was called."""
    assert isinstance(call.body, CallMade)
    return call.body.target


def test_everybody_has_a_lane_under_its_parent() -> None:
    """Up to forty agents are named, a child further in than its parent and below it, with how long it took."""
    drawing = drawn(fan_out(5, done=4, failed=1))
    found = {mark.text: mark for mark in flat(drawing.marks) if isinstance(mark, Text)}
    top, child = found["Coordinator()"], found["Worker(3)"]
    assert (child.x > top.x, child.y > top.y) == (True, True)
    assert "notebook" in found
    assert drawing.title == "Timeline of 6 agents: 4 done, 1 running, 1 failed; 28 ms"
    assert texts(drawing).count("took") == 1


def test_ends_are_marked() -> None:
    """Where an invocation ended stands the mark of how."""
    drawing = drawn(fan_out(3, done=2, failed=1))
    at = [shape.status for shape in shapes(drawing) if shape.x > 250]
    assert (at.count(Status.DONE), at.count(Status.FAILED)) == (2 + 1, 1 + 1)  # and one each in the legend


@pytest.mark.parametrize("by", ["time", "entry"])
def test_a_session_with_every_verb_is_tidy_at_every_moment(by: str) -> None:
    """No text lies on another and nothing outside, as of each entry of a real session."""
    tape = tape_of(every_verb())
    for seq in range(0, tape.last_seq + 1, 9):
        assert_tidy(timeline_drawing(tape, tape.moment(seq), by=by))  # type: ignore[arg-type]


def test_the_legend_explains_what_is_there_and_nothing_else() -> None:
    """Each kind of bar and arrow that is drawn has its word, the others have none."""
    log = EntryLog()
    call = log.work(log.root, "Worker(1)")
    timer = log.put(target(call), e.TimerSet(0))
    for _ in range(5):
        log.put(log.root, e.Logged("stdout", ""))
    log.put(target(call), e.TimerFired(timer.index))
    log.put(target(call), e.StepStarted("fetch"))
    log.put(log.root, e.SessionStarted(7, "host"))
    log.agent("Late()")
    shown = set(texts(drawn(log)))
    words = {look for look in Look if WORDS[look] in shown}
    assert words == {Look.GHOST, Look.STEP, Look.QUEUED}
    assert "call" in shown
    assert not {"reply", "fork", "done", "critical path"} & shown


def test_what_was_replayed_or_taken_back_is_told() -> None:
    """A crash, a fork and a revert leave bars that say so, and a line where the session was taken up again."""
    tape = tape_of(every_verb())
    drawing = timeline_drawing(tape, tape.moment(), by="entry")
    told = titles(drawing)
    assert any(title.startswith("replayed: ") for title in told)
    assert any(title.startswith("taken back: ") for title in told)
    assert {"replayed", "taken back", "taken up again"} <= set(texts(drawing))


def test_idle_time_is_folded() -> None:
    """Two days asleep are a break that names its length; the axis goes on in true time, and the rest has its room."""
    log = slept(2)
    log.put(log.entries[-1].agent, e.Logged("stdout", ""))
    log.entries[-1] = replace(log.entries[-1], wall=log.entries[-2].wall + 10 * MILLISECOND)
    for i in range(1, 30):
        log.put(log.root, e.SessionStarted(i, "host"))
        log.entries[-1] = replace(log.entries[-1], wall=log.entries[-2].wall + 10 * MILLISECOND)
    tape = tape_of(log.entries)
    drawing = timeline_drawing(tape, tape.moment())
    assert_tidy(drawing)
    assert "2 d" in texts(drawing)
    assert "nothing happened for 2 d" in titles(drawing)
    assert any(text.startswith("2 d 0:00:00.") for text in texts(drawing))
    assert "nothing happened for 2 d" not in titles(timeline_drawing(tape, tape.moment(), by="entry"))


def test_many_siblings_are_a_band_and_the_loud_and_slow_have_lanes() -> None:
    """Of two hundred, the failed and the slowest are drawn one by one, the rest as how many were at work at once."""
    log = fan_out(200, done=190, failed=3)
    drawing = drawn(log)
    shown = texts(drawing)
    assert {"Worker(190)", "Worker(191)", "Worker(192)"} <= set(shown)
    assert "Worker(5)" not in shown
    [band] = [text for text in shown if TIMES in text]
    assert band == f"195 {TIMES} Worker"
    assert "188 done, 7 running" in shown
    [most] = [text for text in shown if text.endswith(" at once") and text[0].isdigit()]
    assert int(most.split()[0]) <= 195


def test_a_band_counts_agents_not_changes() -> None:
    """However often each changes within a pixel, no more are at work at once than there are."""
    log = EntryLog()
    top = target(log.work(log.root, "Top()"))
    calls = [log.work(top, f"Worker({i})") for i in range(60)]
    for call in calls:
        for _ in range(20):
            timer = log.put(target(call), e.TimerSet(0))
            log.put(target(call), e.TimerFired(timer.index))
    tape = tape_of(log.entries)
    moment = tape.moment()
    known = spans(tape, moment)
    drawing = timeline_drawing(tape, moment)
    [most] = [text for text in texts(drawing) if text.endswith(" at once") and text[0].isdigit()]
    band = next(lane for lane in lanes(tape, moment, by_slot(known, moment.agents)) if lane.members)
    assert int(most.split()[0]) == len(band.members)


@pytest.mark.parametrize("shape", ["wide", "tree", "chain", "families"])
def test_ten_thousand_agents_stay_a_page(shape: str) -> None:
    """Whatever the tree, the lanes are bounded, everybody is in one of them or counted, and the picture is small."""
    log = EntryLog()
    agents = [log.root]
    for i in range(10_000):
        parent = {"wide": min(1, i), "tree": i // 8, "chain": i, "families": 0 if i < 100 else i % 100 + 1}[shape]
        agents.append(log.agent(f"Node({i})", by=agents[parent]))
        if i % 10 == 0:
            log.start(log.call(agents[parent], agents[-1]))
    tape = tape_of(log.entries)
    moment = tape.moment()
    found = lanes(tape, moment, by_slot(spans(tape, moment), moment.agents))
    assert sum(not lane.members for lane in found) <= MOST_LANES + 1
    assert sum(bool(lane.members) for lane in found) <= MOST_BANDS
    seen = [slot for lane in found for slot in lane.members or (lane.slot,)]
    assert len(seen) == len(set(seen))
    assert len(seen) + sum(lane.more for lane in found if not lane.members) == 10_001
    assert_tidy(timeline_drawing(tape, moment))


def test_a_long_life_is_bounded() -> None:
    """An agent with thousands of changes is drawn as fine as a page shows, not finer."""
    log = EntryLog()
    worker = target(log.work(log.root, "Worker(1)"))
    for _ in range(5000):
        step = log.put(worker, e.StepStarted("fetch"))
        log.put(worker, e.StepFinished(step.index, ok=True, value=b""))
    assert_tidy(drawn(log), most=300_000)


def test_a_critical_path_is_lit() -> None:
    """Its segments lie behind the bars of whose they are, at their times, joined from lane to lane."""
    log = fan_out(2, done=2)

    def segment(agent: str, begin: int, end: int) -> PathSegment:
        times = BEGAN + begin * MILLISECOND, BEGAN + end * MILLISECOND
        return PathSegment(agent, "process", "running", "", *times, (), "")

    path = [segment("Coordinator()", 3, 7), segment("Worker(1)", 7, 12), segment("Coordinator()", 12, 14)]
    for by in ("time", "entry"):
        drawing = drawn(log, critical=path, by=by)
        lit = [mark for mark in flat(drawing.marks) if isinstance(mark, Rect) and mark.fill == LIT]
        joints = [mark for mark in flat(drawing.marks) if isinstance(mark, Path) and mark.stroke == LIT_LINE]
        assert len(lit) == 3 + 1  # and one in the legend
        assert len(joints) == 2
        first, second, third = lit[:3]
        assert first.y == third.y < second.y
        assert first.x + first.width == pytest.approx(second.x + 2, abs=1)
        assert "critical path" in texts(drawing)


def test_who_is_on_the_path_is_not_folded() -> None:
    """A critical agent among hundreds has a lane of its own."""
    log = fan_out(200)
    on_path = PathSegment("Worker(77)", "process", "running", "", BEGAN, BEGAN + MILLISECOND, (), "")
    assert "Worker(77)" not in texts(drawn(log))
    assert "Worker(77)" in texts(drawn(log, critical=[on_path]))


def test_hostile_names_break_nothing() -> None:
    """Markup, controls, other directions and very long names are text of one line within their column."""
    assert_tidy(drawn(hostile()))
    log = EntryLog()
    for name in ("</text><script>alert(1)</script>", "\u202egnirts", "x" * 512, "日本語" * 30, "a\nb", "W" * 80):
        call = log.work(log.root, name)
        log.put(log.root, e.Logged("stdout", ""))
        log.finish(call)
    drawing = drawn(log)
    assert "</text><script>alert(1)</script>" in texts(drawing)


def test_nothing_and_almost_nothing() -> None:
    """Before the first entry, and when all happens in one instant, there is a picture too."""
    empty = tape_of([])
    assert "nothing has happened yet" in texts(timeline_drawing(empty, empty.moment()))
    assert_tidy(timeline_drawing(empty, empty.moment(), by="entry"))
    log = fan_out(3, done=3)
    log.entries = [replace(entry, wall=BEGAN) for entry in log.entries]
    drawing = drawn(log)
    xs = {round(shape.x) for shape in shapes(drawing) if shape.x > 200}
    assert len(xs) >= 3  # told apart by the order of the entries
    assert levels(Scale(0, 10, (), (), (), "time"), []) == [0] * 11
