"""Results as a table for people and as JSON for machines."""

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from typing import Any

from workbench.bench.goals import Compare, Goal, Result

_HEAD = ("workload", "what", "unit", "ours", "against", "besides", "measured", "target", "")


def number(value: float) -> str:
    """A figure with three or four digits that matter."""
    if abs(value) >= 100 or value == int(value):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004


def short(name: str, goal: Goal) -> str:
    """A figure's name, without the size that the goal names already: `D 1000` is `D` beside `ours 1000`."""
    size = goal.figure.rpartition(" ")[2]
    return name.removesuffix(f" {size}") if size.isdigit() else name


def target(goal: Goal) -> str:
    """A goal in words, as `>= 0.60 of D`."""
    limit, against = number(goal.limit), goal.against.partition(" ")[0]
    match goal.compare:
        case Compare.SHARE:
            return f">= {limit} of {against}"
        case Compare.TIMES:
            return f"<= {limit} x {against}"
        case Compare.BEYOND:
            return f"<= {against} + {limit}"
        case Compare.AT_LEAST:
            return f">= {limit}"
    return f"<= {limit}"


def lines(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """The cells of the table, a line per goal."""
    rows: list[tuple[str, ...]] = []
    for result in results:
        name = result.workload.name
        for goal in result.workload.goals:
            figures = result.of(goal)
            against = f"{short(goal.against, goal)} {number(figures[goal.against])}" if goal.against else ""
            besides = ", ".join(f"{short(b, goal)} {number(figures[b])}" for b in goal.besides)
            ours, value = number(figures[goal.figure]), number(goal.value(figures))
            met = "met" if result.met(goal) else "missed"
            rows.append((name, goal.what, goal.unit, ours, against, besides, value, target(goal), met))
            name = ""
    return rows


def table(results: Sequence[Result], *, markdown: bool = False) -> str:
    """The table as text; aligned for a terminal, or as Markdown for a page."""
    rows = [_HEAD, *lines(results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    right = {3, 6}
    if markdown:
        rows.insert(1, tuple("---:" if i in right else "---" for i in range(len(_HEAD))))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_json(results: Sequence[Result]) -> str:
    """All figures of all rounds, the medians and the goals; and what they were measured with."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "workloads": {result.workload.name: _workload(result) for result in results},
    }
    return json.dumps(found, indent=2)


def _workload(result: Result) -> dict[str, Any]:
    return {
        "about": result.workload.about,
        "medians": dict(result.medians),
        "rounds": [dict(figures) for figures in result.rounds],
        "goals": [
            {
                "what": goal.what,
                "unit": goal.unit,
                "figure": goal.figure,
                "against": goal.against,
                "ratio": goal.ratio(result.of(goal)) if goal.against else None,
                "measured": goal.value(result.of(goal)),
                "target": target(goal),
                "limit": goal.limit,
                "gross": goal.gross,
                "met": result.met(goal),
            }
            for goal in result.workload.goals
        ],
    }
