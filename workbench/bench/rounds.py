"""Interleaved rounds: ours, floor, ours, floor. What else the machine does then falls on both."""

import contextlib
import gc
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.bench.goals import Figures, Result, Tell, Workload


def measure(workload: Workload, rounds: int, folder: Path, tell: Tell, before: Sequence[Figures] = ()) -> Result:
    """Run a workload.

    Args:
        workload: what to run.
        rounds: how often each side is run.
        folder: where stores are made; each run has a folder of its own in it, which is removed.
        tell: takes progress lines.
        before: rounds that were measured already, and count too.
    """
    measured = list(before)
    last = len(measured) + rounds
    with workload.ready(folder, tell) if workload.ready else contextlib.nullcontext():
        while len(measured) < last:
            measured.append(_round(workload, folder))
            shown = "  ".join(f"{name} {value:,.4g}" for name, value in measured[-1].items())
            tell(f"{workload.name} {len(measured)}/{last}: {shown}")
    medians = {name: statistics.median(figures[name] for figures in measured) for name in measured[0]}
    return Result(workload, medians, measured)


def _round(workload: Workload, folder: Path) -> Figures:
    figures: dict[str, float] = {}
    for run in workload.runs:
        place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
        gc.collect()
        try:
            figures.update(run(place))
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return figures
