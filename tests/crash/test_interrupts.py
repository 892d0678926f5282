# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""An interrupt, wherever it lands, detaches the cell and leaves session, store and agents unharmed."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import interrupts
from workbench.runtime.answer import Answer
from workbench.testing import Launcher, read_log, violations


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks; each child has one main thread to interrupt."""
    with Launcher([interrupts.__name__], tmp_path_factory.mktemp("interrupts") / "output") as launcher:
        yield launcher


@pytest.mark.parametrize("name", [function.__name__ for function in interrupts.CALLS])
def test_interrupted_at_each_opcode(name: str, launcher: Launcher, tmp_path: Path) -> None:
    """An interrupt at each opcode of a public call where Python would notice one.

    The session answers, no transaction is open, all agents rest.
    """
    report = launcher.run(interrupts.interrupt_each, name=name, store=str(tmp_path / "s.db"))
    assert not report.hung, f"hangs after an interrupt at {report.told.get('at')}"
    assert not report.error, f"{report.error} after {report.told.get('at')}"
    assert report.result["problem"] == ""
    assert report.result["n"] >= 20
    assert report.result["odd"] == []
    assert violations(read_log(tmp_path / "s.db")) == []


@pytest.mark.slow
def test_start_and_close_interrupted_at_each_opcode(launcher: Launcher, tmp_path: Path) -> None:
    """An interrupt at each opcode of `wb.start` and of `close`: starting again works, and the store is sound."""
    report = launcher.run(interrupts.interrupt_start_and_close, store=str(tmp_path / "s.db"))
    assert not report.hung, f"hangs after an interrupt at {report.told.get('at')}"
    assert not report.error, f"{report.error} after {report.told.get('at')}"
    assert report.result["problem"] == ""
    assert violations(read_log(tmp_path / "s.db")) == []


@pytest.mark.parametrize("how", ["blocking", "coroutine", "join"])
def test_an_interrupt_ends_a_wait(how: str, launcher: Launcher, tmp_path: Path) -> None:
    """A cell that waits for what never comes is back within half a second of a real SIGINT, and the session works."""
    launcher.start(interrupts.wait_for_ever, store=str(tmp_path / "s.db"), how=how)
    launcher.await_told("waiting")
    begun = time.perf_counter()
    os.kill(launcher.child_pid, signal.SIGINT)
    report = launcher.finish()
    assert time.perf_counter() - begun < 2  # and the checks of the session in it
    assert not report.error, report.error
    assert report.result["problem"] == ""
    assert violations(read_log(tmp_path / "s.db")) == []


def test_an_interrupt_that_wakes_nobody_ends_a_wait() -> None:
    """An interrupt that is noted without waking the thread that waits, as one right before it blocks, ends the wait."""
    answer: Answer[None] = Answer()
    cell = threading.get_ident()

    def interrupt() -> None:
        looks = 0
        while looks < 1000:  # in a row at the blocked cell
            frame = sys._current_frames()[cell]
            looks = looks + 1 if frame.f_code is Answer._wait.__code__ else 0
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            answer.result(timeout=30)
    finally:
        thread.join()
    assert not answer.done()
