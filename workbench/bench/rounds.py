"""Interleaved rounds: ours, floor, ours, floor. What else the machine does then falls on both."""

import gc
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from workbench.bench.goals import Figures, Result, Workload


def measure(workload: Workload, rounds: int, folder: Path, tell: Callable[[str], None]) -> Result:
    """Run a workload.

    Args:
        workload: what to run.
        rounds: how often each side is run.
        folder: where stores are made; each run has a folder of its own in it, which is removed.
        tell: takes progress lines.
    """
    measured: list[Figures] = []
    for number in range(rounds):
        figures: dict[str, float] = {}
        for run in workload.runs:
            place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
            gc.collect()
            try:
                figures.update(run(place))
            finally:
                shutil.rmtree(place, ignore_errors=True)
        measured.append(figures)
        shown = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
        tell(f"{workload.name} {number + 1}/{rounds}: {shown}")
    medians = {name: statistics.median(figures[name] for figures in measured) for name in measured[0]}
    return Result(workload, medians, measured)
