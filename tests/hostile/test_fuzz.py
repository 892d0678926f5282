"""The fuzz targets, driven by Hypothesis: any bytes are answered or refused in words, and nothing in them runs.

`python -m tests.hostile.fuzz NAME` drives the same targets by coverage.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import targets

LENGTH: Final = 256
EXAMPLES: Final = {
    "codec": 1000,
    "records": 1000,
    "ids": 1000,
    "search": 300,
    "from-elsewhere": 300,
    "lines": 300,
    "commands": 100,
    "page": 200,
    "file": 40,
    "rows": 40,
    "log": 20,
    "start": 20,
    "checkpoint": 20,
}
"""Inputs of each target in each run of the tests: two or three seconds of them."""
MORE: Final = 30
"""Times as many with `soak`."""


def mutated(seed: bytes, begin: int, end: int, instead: bytes) -> bytes:
    """A seed with a piece exchanged."""
    begin, end = sorted((begin % (len(seed) + 1), end % (len(seed) + 1)))
    return seed[:begin] + instead + seed[end:]


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """Any bytes, and what a target reads to the end with a piece exchanged."""
    place = st.integers(0, LENGTH)
    near = st.builds(mutated, st.sampled_from(targets.seeds(name)), place, place, st.binary(max_size=8))
    return st.binary(max_size=LENGTH) | near


def drive(name: str, examples: int) -> None:
    """Try so many inputs of a target, the same ones each time."""
    quiet = settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    quiet(given(inputs(name))(lambda data: targets.run(name, data)))()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", list(targets.TARGETS))
def test_any_bytes_are_answered_or_refused(name: str) -> None:
    """No input breaks a promise of its target."""
    drive(name, EXAMPLES[name])


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", list(targets.TARGETS))
def test_many_more_bytes_are_answered_or_refused(name: str) -> None:
    """Nor do thirty times as many."""
    drive(name, MORE * EXAMPLES[name])


def test_the_driver_lists_its_targets() -> None:
    """A target that is not there is refused with the names of those that are."""
    command = [sys.executable, "-m", "tests.hostile.fuzz", "nothing", "--input", "00"]
    told = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert all(name in told.stderr for name in targets.TARGETS)
