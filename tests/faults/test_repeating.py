"""A failure prints one line, and the line repeats it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.testing import repeat
from workbench.testing.repeating import Fault, the_fault, the_seed

ROOT = Path(__file__).parents[2]


OWN_TEST = """
from tests.faults.planted_session import lost_wal
from tests.faults.bug_checks import draws
from workbench.testing import WRITES, crash_sweep

def test_draws():
    assert crash_sweep(draws, only=WRITES, before=lost_wal).problems == []
"""
"""As somebody writes it who uses the kit."""


def pytest_says(*arguments: str, folder: Path = ROOT) -> str:
    """What a run of pytest prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-vv", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("test", ["test_crashes", "test_orders"])
def test_the_printed_line_repeats_the_failure(test: str) -> None:
    """Run as it was printed, the line tries the one fault, and finds the same.

    The last line, because the bug shows at all late faults: how many entries a commit holds is a matter of two threads'
    pace, so the n-th commit may be an earlier or later one.
    """
    said = pytest_says(f"tests/faults/planted_session.py::{test}")
    found = re.findall(r"""pytest "[^"]*" --seed 17 --fault [\w.+]+@[\d.+]*: [^'\n]{20,60}""", said)
    assert found, said
    command, _, problem = found[-1].partition(": ")
    program, *arguments = shlex.split(command)
    assert program == "pytest"
    again = pytest_says(*arguments)
    assert f"{command}: {problem}" in again
    assert len(set(re.findall(r"--fault ([\w.+]+@[\d.+]*):", again))) == 1


@pytest.mark.slow
def test_the_line_repeats_in_a_project_of_ones_own(tmp_path: Path) -> None:
    """Where nobody told pytest of the two options, the printed line does."""
    (tmp_path / "test_own.py").write_text(OWN_TEST, "utf-8")
    said = pytest_says("test_own.py", folder=tmp_path)
    found = re.findall(r"pytest (-p [\w.]+ \"[^\"]*\" --seed 0 --fault [\w.]+@\d+): (the recovery)", said)
    assert found, said
    arguments, problem = found[-1]
    assert f"{arguments}: {problem}" in pytest_says(*shlex.split(arguments), folder=tmp_path).replace("pytest ", "")


def test_faults_are_counted_over_processes(tmp_path: Path) -> None:
    """The number that is told at the end is of all processes that pytest-xdist spread the tests over."""
    for name in ("one", "other"):
        counting = f"from workbench.testing.tally import tried\n\ndef test_{name}():\n    tried['kills'] += 1_000\n"
        (tmp_path / f"test_{name}.py").write_text(counting, "utf-8")
    said = pytest_says("-p", "workbench.testing.plugin", "-n", "2", folder=tmp_path)
    assert "2 passed" in said
    assert "faults tried: 2,000 kills" in said


def test_a_fault_is_read_as_it_is_written() -> None:
    """All forms of a fault survive being written and read; what is no fault is refused with an example."""
    try:
        for fault in (Fault("append.commit.after", "37"), Fault("release", "3", 5), Fault("kill", "12.345")):
            repeat(4, str(fault))
            assert the_fault() == fault
            assert the_seed(1) == 4
        repeat(None, "order@0.2.10")
        chosen = the_fault()
        assert chosen is not None
        assert chosen.picks == [0, 2, 10]
        with pytest.raises(ValueError, match=r"append\.commit\.after@37"):
            repeat(None, "somewhere")
    finally:
        repeat()
