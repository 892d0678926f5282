"""The bench runs, its table and its JSON have their shape, and no result is grossly off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.bench.__main__ import main, workloads
from workbench.bench.goals import Compare, Goal, Result, Workload
from workbench.bench.report import table


@pytest.mark.slow
def test_quick_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One small round of everything prints a line per goal, writes all figures, and misses no target by far."""
    written = tmp_path / "bench.json"
    status = main(["--quick", "--rounds", "1", "--dir", str(tmp_path), "--json", str(written)])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    found = json.loads(written.read_text("utf-8"))["workloads"]
    assert list(found) == [w.name for w in workloads(quick=True)]
    rows = printed.out.splitlines()[2:]
    goals = [goal for workload in found.values() for goal in workload["goals"]]
    assert len(rows) == len(goals)
    assert all(row.endswith(("met", "missed")) for row in rows)
    assert all(figure >= 0 for workload in found.values() for figure in workload["medians"].values())
    assert found["crash"]["medians"]["lost"] == found["crash"]["medians"]["doubled"] == 0
    assert "fan-out 1/1:" in printed.err


def test_only_known_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is refused, with the names that there are."""
    with pytest.raises(SystemExit):
        main(["--only", "fan-in"])
    assert "there are fan-out, calls," in capsys.readouterr().err


def _result(goal: Goal, **figures: float) -> Result:
    return Result(Workload("w", "about", (), (goal,)), figures, (figures,))


@pytest.mark.parametrize(
    ("goal", "figures", "shown"),
    [
        (Goal("g", "u", "ours", Compare.SHARE, 0.6, "D"), {"ours": 30.0, "D": 100.0}, "0.30  >= 0.60 of D  missed"),
        (Goal("g", "u", "ours", Compare.TIMES, 4, "A"), {"ours": 20.0, "A": 10.0}, "2  <= 4 x A  met"),
        (
            Goal("g", "u", "ours", Compare.BEYOND, 100, "commit"),
            {"ours": 500.0, "commit": 450.0},
            "50  <= commit + 100  met",
        ),
        (Goal("g", "u", "ours", Compare.AT_MOST, 0), {"ours": 1.0}, "1  <= 0    missed"),
        (Goal("g", "u", "ours", Compare.AT_LEAST, 1000), {"ours": 2000.0}, "2,000  >= 1,000  met"),
    ],
)
def test_lines_say_what_is_compared(goal: Goal, figures: dict[str, float], shown: str) -> None:
    """Each way to compare shows its value, its target and the verdict."""
    line = table([_result(goal, **figures)]).splitlines()[-1]
    assert " ".join(line.split()).endswith(" ".join(shown.split()))


def test_broken_is_far_below_missed() -> None:
    """A goal that is missed is no failure; one that is missed grossly is."""
    goal = Goal("g", "u", "ours", Compare.SHARE, 0.6, "D", gross=0.1)
    assert _result(goal, ours=20.0, D=100.0).broken() == []
    assert _result(goal, ours=5.0, D=100.0).broken() == ["w, g: 0.05, far beyond 0.1"]
