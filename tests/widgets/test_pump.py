"""The pump: it sleeps when there is nothing, ends when nobody is served, and leaves a busy runtime its time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.widgets.front_end import SECONDS
from workbench.views.tape import Tape
from workbench.widgets import channel, pump
from workbench.widgets.channel import Channel
from workbench.widgets.pump import SHARE, Pump


class Waits(threading.Event):
    """An event that tells how long its waiters were ready to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float | None] = []
        self.news = threading.Condition()

    def wait(self, timeout: float | None = None) -> bool:
        with self.news:
            self.begun.append(timeout)
            self.news.notify_all()
        return super().wait(timeout)


class Paces(threading.Event):
    """An event that nobody waits for: the time that they would have waited passes on a clock."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock[0] += timeout or 0.0
        return self.is_set()


def source(advance: Callable[[], bool] = lambda: False, **more: Any) -> Any:
    """Something to drive."""
    quiet: dict[str, Any] = {"rest": lambda: None, "fail": lambda _: None, "pressed": lambda: False}
    return SimpleNamespace(advance=advance, **{**quiet, **more})


def test_an_idle_pump_sleeps_without_a_timeout() -> None:
    """When things have come to rest the thread waits for news only: no wake-ups."""
    runs = Pump(rate=1000, rest=0.001)
    waits = runs._wake = Waits()
    calls: list[str] = []

    def advance() -> bool:
        calls.append("advance")
        return len(calls) == 1

    undo = runs.follow(source(advance, rest=lambda: calls.append("rest")))
    with waits.news:
        assert waits.news.wait_for(lambda: "rest" in calls and waits.begun[-1] is None, SECONDS)
    assert calls == ["advance", "rest"]
    runs.wake()
    with waits.news:
        assert waits.news.wait_for(lambda: len(calls) == 3 and waits.begun[-1] is None, SECONDS)
    undo()
    assert runs.join(SECONDS)


def test_the_pump_ends_with_its_last_source_and_starts_again() -> None:
    """Nobody to serve, no thread; the next one to serve gets a new one."""
    runs = Pump(rate=1000)
    for _ in range(3):
        undo = runs.follow(source())
        assert runs.running
        assert runs.flush()
        undo()
        undo()
        assert runs.join(SECONDS)


def test_jobs_run_in_order_and_one_that_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is posted runs on the pump's thread, in order, whatever became of the job before it."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    runs = Pump(rate=1000)
    ran: list[Any] = []
    for number in range(5):
        runs.post(lambda number=number: ran.append((number, 1 // (number - 2), runs.here)))  # type: ignore[misc]
    assert runs.flush()
    assert ran == [(0, -1, True), (1, -1, True), (3, 1, True), (4, 0, True)]
    assert reported == [ZeroDivisionError]
    assert not runs.here
    assert runs.join(SECONDS)


def pause(took: float, pressed: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> float:
    """How long the pump lets pass between two turns, each of which takes so long."""
    clock, began = [0.0], []
    monkeypatch.setattr(pump, "perf_counter", lambda: clock[0])
    runs = Pump(rate=20)
    runs._pace = Paces(clock)
    twice = threading.Event()

    def advance() -> bool:
        began.append(clock[0])
        clock[0] += took
        if len(began) < 2:
            runs.wake()  # there is more to do at once
        else:
            twice.set()
        return True

    undo = runs.follow(source(advance, pressed=pressed))
    assert twice.wait(SECONDS)
    undo()
    assert runs.join(SECONDS)
    return began[1] - began[0] - took


@pytest.mark.parametrize("took", [0.002, 0.04, 0.5])
def test_between_two_turns_the_pump_pauses_to_its_rate(took: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty turns a second, or as many as there can be."""
    assert pause(took, lambda: False, monkeypatch) == pytest.approx(max(1 / 20 - took, 0))


@pytest.mark.parametrize("took", [0.002, 0.04, 0.5])
def test_under_pressure_the_pump_takes_a_twentieth(took: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the runtime is hard at work, it pauses nineteen times as long as the turn took."""
    found = pause(took, lambda: True, monkeypatch)
    assert max(1 / 20 - took, SHARE * took) <= found * (1 + 1e-9)
    assert found <= SHARE * took + 1 / 20 + 1e-9


def test_the_pump_goes_on_once_the_pressure_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at it again and again while it pauses: what was done last is shown soon."""
    answers = iter([True] * 4)
    assert pause(0.5, lambda: next(answers, False), monkeypatch) == pytest.approx(4 / 20)


def test_one_source_under_pressure_is_enough_and_all_are_asked() -> None:
    """Each measures by being asked, so none is skipped."""
    runs = Pump(rate=1000)
    asked: list[str] = []
    both = threading.Event()

    def pressed(name: str) -> bool:
        asked.append(name)
        if asked[-2:] == ["heavy", "light"]:
            both.set()
        return name == "heavy"

    undo = [runs.follow(source(pressed=lambda name=name: pressed(name))) for name in ("heavy", "light")]
    runs.wake()
    assert both.wait(SECONDS)
    for each in undo:
        each()
    assert runs.join(SECONDS)


def test_a_source_that_fails_when_asked_is_dropped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of it raises, its own pages hear of it, and the others go on."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    runs = Pump(rate=1000)
    failed: list[BaseException] = []
    turns = threading.Semaphore(0)
    runs.follow(source(pressed=lambda: 1 // 0, fail=failed.append))

    def advance() -> bool:
        turns.release()
        return False

    undo = runs.follow(source(advance))
    for _ in range(3):
        runs.wake()
        assert turns.acquire(timeout=SECONDS)
    undo()
    assert runs.join(SECONDS)
    assert [type(error) for error in failed] == reported == [ZeroDivisionError]


def test_a_channel_is_pressed_while_thousands_are_committed_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at how many entries came since it was asked last, and how long ago that was."""
    clock, feed = [100.0], SimpleNamespace(committed=0)
    monkeypatch.setattr(channel, "perf_counter", lambda: clock[0])
    asked = Channel(feed, Tape())
    asked.pressed()
    for seconds, entries, hard in (
        (1, 2900, False),
        (1, 3100, True),
        (0.001, 2, False),
        (0.1, 400, True),
        (1, 0, False),
    ):
        clock[0] += seconds
        feed.committed += entries
        assert asked.pressed() == hard, entries
