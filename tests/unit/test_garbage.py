"""Sessions slow the garbage collector down, and give its pace back."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

import workbench as wb
from workbench.runtime import garbage
from workbench.runtime.garbage import PACE


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int, int]]:
    """Python's pace, whatever a test does to it, and no session open, whatever other tests have left."""
    before = gc.get_threshold()
    monkeypatch.setattr(garbage, "_sessions", 0)
    monkeypatch.setattr(garbage, "_before", None)
    gc.set_threshold(700, *before[1:])
    yield gc.get_threshold()
    gc.set_threshold(*before)


def test_the_last_session_gives_the_pace_back(pace: tuple[int, int, int]) -> None:
    """The collector is slow from the first session's start to the last one's end."""
    first, second = wb.start(":memory:"), wb.start(":memory:")
    assert gc.get_threshold() == (PACE, *pace[1:])
    first.close()
    assert gc.get_threshold()[0] == PACE
    second.close()
    assert gc.get_threshold() == pace


@pytest.mark.parametrize("chosen", [0, 50_000])
def test_a_chosen_pace_stays(chosen: int) -> None:
    """A collector that was turned off, or is slower already, is left alone."""
    gc.set_threshold(chosen)
    with wb.start(":memory:"):
        assert gc.get_threshold()[0] == chosen
    assert gc.get_threshold()[0] == chosen


def test_a_pace_that_was_set_meanwhile_stays() -> None:
    """Who sets a pace while a session is open keeps it."""
    with wb.start(":memory:"):
        gc.set_threshold(1234)
    assert gc.get_threshold()[0] == 1234
