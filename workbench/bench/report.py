"""Results as a table for people and as JSON for machines."""

import json
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
            value = goal.value(result.medians)
            against = f"{goal.against} {number(result.medians[goal.against])}" if goal.against else ""
            besides = ", ".join(f"{b} {number(result.medians[b])}" for b in goal.besides)
            met = "met" if goal.within(value, goal.limit) else "missed"
            ours = number(result.medians[goal.figure])
            rows.append((name, goal.what, goal.unit, ours, against, besides, number(value), target(goal), met))
            name = ""
    return rows


def table(results: Sequence[Result]) -> str:
    """The table as text."""
    rows = [_HEAD, *lines(results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    right = {3, 6}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_json(results: Sequence[Result]) -> str:
    """All figures of all rounds, the medians and the goals."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "workloads": {
            result.workload.name: {
                "about": result.workload.about,
                "medians": dict(result.medians),
                "rounds": [dict(figures) for figures in result.rounds],
                "goals": [
                    {
                        "what": goal.what,
                        "unit": goal.unit,
                        "figure": goal.figure,
                        "against": goal.against,
                        "measured": goal.value(result.medians),
                        "target": target(goal),
                        "met": goal.within(goal.value(result.medians), goal.limit),
                    }
                    for goal in result.workload.goals
                ],
            }
            for result in results
        },
    }
    return json.dumps(found, indent=2)
