"""What a child of a fan-out costs against their number, as a picture; loaded when one is asked for."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from workbench.bench.fan_outs import SHARE
from workbench.bench.goals import Result

LINES: Final = {
    "ours": ("workbench: durable agents", "#0072B2", "o"),
    "A": ("floor A: asyncio mailboxes, nothing kept", "#7A7A7A", "^"),
    "D": ("floor D: the same rows in SQLite, by hand", "#D55E00", "s"),
}
"""Label, colour and mark of each side; colours that most colour-blind people tell apart."""
_SETTINGS: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "workbench", "pdf.fonttype": 42}


def draw(result: Result, path: Path) -> None:
    """Draw the workload `fan-out` into a file, whose suffix says of which kind."""
    with mpl.rc_context(_SETTINGS):
        growth(result).savefig(path, dpi=200)


def growth(result: Result) -> Figure:
    """Microseconds a child against the number of children, the median and the range of the rounds."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    sizes = sorted({int(name.split()[1]) for name in result.medians})
    for side, (label, colour, marker) in LINES.items():
        rounds = [[1e6 / figures[f"{side} {size}"] for figures in result.rounds] for size in sizes]
        least, most = [min(costs) for costs in rounds], [max(costs) for costs in rounds]
        axes.fill_between(sizes, least, most, color=colour, alpha=0.15, lw=0)
        axes.plot(sizes, _medians(result, side, sizes), color=colour, marker=marker, lw=2, label=label)
    goal = [cost / SHARE for cost in _medians(result, "D", sizes)]
    axes.plot(sizes, goal, color=LINES["D"][1], ls=(0, (4, 3)), lw=1.2, label=f"goal: floor D divided by {SHARE:g}")
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.set_xticks(sizes, minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(plain)
    axes.yaxis.set_major_formatter(plain)
    axes.set_xlabel("children of one fan-out")
    axes.set_ylabel("µs a child")
    axes.set_title("What a child costs in a fan-out", loc="left", pad=20)
    count = len(result.rounds)
    of = f"median of {count} rounds, band from the fastest to the slowest" if count > 1 else "one round"
    axes.text(0, 1.02, f"Log scales; {of}", transform=axes.transAxes, color="#555555", fontsize="small", va="bottom")
    axes.grid(visible=True, which="major", color="#D9D9D9", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize="small")
    return figure


def _medians(result: Result, side: str, sizes: list[int]) -> list[float]:
    return [1e6 / result.medians[f"{side} {size}"] for size in sizes]
