"""Axes: true time between breaks, order where no time passes, ticks that can be read."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.exports.lessons import every_verb, tape_of
from tests.views.entry_log import BEGAN, MILLISECOND, EntryLog
from workbench.views.axis import Scale, entry_scale, time_scale
from workbench.views.lettering import text_width
from workbench.views.spans import Stretch, idle_stretches, point
from workbench.views.tape import Row, Tape


def timed(*walls: float) -> Tape:
    """Agents that appear at these milliseconds."""
    log = EntryLog()
    for i in range(len(walls) - 1):
        log.agent(f"Worker({i})")
    log.entries = [
        replace(entry, wall=BEGAN + int(wall * MILLISECOND)) for entry, wall in zip(log.entries, walls, strict=True)
    ]
    return tape_of(log.entries)


def scale_of(tape: Tape, *idle: tuple[float, float]) -> Scale:
    """Its time scale, from 100 to 900, with these milliseconds folded."""
    first = tape.wall[0] if len(tape) else 0
    return time_scale(tape, tape.moment(), 100, 900, [Stretch(first + a, first + b) for a, b in idle])


def test_time_is_to_scale() -> None:
    """Equal times are equally wide, from the first entry to the last."""
    tape = timed(0, 250, 500, 1000)
    scale = scale_of(tape)
    assert [round(scale.x(point(tape, row))) for row in tape.rows(Row.AGENT)] == [100, 300, 500, 900]


def test_a_break_takes_the_idle_time_out() -> None:
    """What lies on its two sides keeps one scale; the break is as wide as its text needs."""
    tape = timed(0, 100, 3_600_100, 3_600_300)
    scale = scale_of(tape, (100, 3_600_100))
    xs = [scale.x(point(tape, row)) for row in tape.rows(Row.AGENT)]
    [gap] = scale.breaks
    assert gap.text == "1 h"
    assert xs[2] - xs[1] == pytest.approx(gap.width)
    assert xs[3] - xs[2] == pytest.approx(2 * (xs[1] - xs[0]), rel=0.01)
    assert [xs[0], xs[3]] == pytest.approx([100, 900])
    assert scale.at_wall(tape.wall[0] + 1_000_000) == pytest.approx(xs[1])


@pytest.mark.parametrize(
    ("length", "some"),
    [
        (0.004, "0.002 ms"),
        (8, "4 ms"),
        (900, "400 ms"),
        (2_500, "1.5 s"),
        (50_000, "20 s"),
        (200_000, "2:30"),
        (7_200_000, "1:00:00"),
        (5 * 86_400_000, "3 d 0:00:00"),
        (1e12, "2000 d 0:00:00"),
    ],
)
def test_ticks_have_round_numbers(length: float, some: str) -> None:
    """Between three and a dozen, none into the next, in units for people."""
    ticks = scale_of(timed(0, length)).ticks
    assert 3 <= len(ticks) <= 12
    assert some in [tick.text for tick in ticks]
    assert all(b.x - a.x > (text_width(a.text, 10.5) + text_width(b.text, 10.5)) / 2 for a, b in pairwise(ticks))


def test_an_instant_is_spread_in_order() -> None:
    """Where no time passes, a later entry lies further right."""
    tape = timed(0, 0, 0, 0)
    xs = [scale_of(tape).x(point(tape, row)) for row in tape.rows(Row.AGENT)]
    assert xs == sorted(set(xs))
    tape = timed(0, 0, 0, 5000, 5000, 5000)
    scale = scale_of(tape, (0, 5000))
    xs = [scale.x(point(tape, row)) for row in tape.rows(Row.AGENT)]
    assert xs == sorted(set(xs))


def test_entries_are_equally_far_apart() -> None:
    """By entry, places are those of the numbers, and the axis counts them."""
    tape = timed(0, 0, 1, 900)
    scale = entry_scale(tape, tape.moment(), 100, 400)
    assert [scale.x(point(tape, row)) for row in tape.rows(Row.AGENT)] == [100, 200, 300, 400]
    assert [tick.text for tick in scale.ticks] == ["1", "2", "3", "4"]


def test_places_follow_the_log() -> None:
    """In a real session no row lies left of one before it, at any moment, on either axis."""
    tape = tape_of(every_verb())
    for seq in (1, 2, 40, 130, 170, tape.last_seq):
        moment = tape.moment(seq)
        for scale in (
            time_scale(tape, moment, 100, 900, idle_stretches(tape, moment)),
            entry_scale(tape, moment, 100, 900),
        ):
            xs = [scale.x(point(tape, row)) for row in range(moment.row)]
            assert all(a <= b + 1e-6 for a, b in pairwise(xs))
            assert min(xs) > 99.99
            assert max(xs) < 900.01
