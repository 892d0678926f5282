"""The bench runs, its table and its JSON have their shape, and no result is grossly off."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.bench import bench
from workbench.bench.__main__ import main
from workbench.bench.catalogue import workloads
from workbench.bench.goals import Compare, Figures, Goal, Result, Tell, Workload
from workbench.bench.report import as_json, table
from workbench.bench.rounds import measure


@pytest.mark.slow
def test_quick_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few small rounds of everything print a line per goal, write all figures, and miss no target by far."""
    written, drawn = tmp_path / "bench.json", tmp_path / "bench.svg"
    status = main(["--quick", "--dir", str(tmp_path), "--json", str(written), "--figure", str(drawn)])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    found = json.loads(written.read_text("utf-8"))["workloads"]
    assert list(found) == [w.name for w in workloads(quick=True)]
    rows = printed.out.splitlines()[2:]
    goals = [goal for workload in found.values() for goal in workload["goals"]]
    assert len(rows) == len(goals)
    assert all(row.endswith(("met", "missed")) for row in rows)
    assert all(figure >= 0 for workload in found.values() for figure in workload["medians"].values())
    assert all(len(workload["rounds"]) >= bench.QUICK_ROUNDS for workload in found.values())
    assert all(figures["lost"] == figures["doubled"] == 0 for figures in found["crash"]["rounds"])
    assert "fan-out 1/3:" in printed.err
    assert "1,000" in drawn.read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.svg"}


@pytest.mark.parametrize("size", ["quick", "full", "large"])
def test_what_fails_a_run_is_a_ratio(size: str) -> None:
    """No run counts as broken for a time or a rate of this machine: only ratios to a floor and counts can be gross."""
    for workload in workloads(quick=size == "quick", large=size == "large"):
        for goal in workload.goals:
            assert goal.gross is None or goal.against or goal.figure in {"lost", "doubled", "entries"}, goal
            if goal.compare in (Compare.SHARE, Compare.TIMES):
                gross = goal.gross if goal.gross is not None else goal.limit
                assert goal.within(goal.limit, gross), goal


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
    assert _result(goal, ours=5.0, D=100.0).broken() == ["w, g: 0.05 times D, far beyond 0.1"]


def test_a_rate_is_broken_by_its_ratio() -> None:
    """A goal that is a rate fails a run by its ratio to the floor, so a slow machine fails none."""
    goal = Goal("g", "u", "ours", Compare.AT_LEAST, 1000, "D", gross=0.1)
    assert _result(goal, ours=1.0, D=5.0).broken() == []
    assert _result(goal, ours=2000.0, D=50_000.0).broken() == ["w, g: 0.04 times D, far beyond 0.1"]


def test_what_must_not_happen_once_is_judged_by_its_worst_round() -> None:
    """One lost child in one of three rounds is a loss, though the median is none."""
    goal = Goal("g", "lost", "lost", Compare.AT_MOST, 0, gross=0, worst=True)
    rounds = [{"lost": 0.0}, {"lost": 1.0}, {"lost": 0.0}]
    result = Result(Workload("w", "about", (), (goal,)), {"lost": 0.0}, rounds)
    assert result.broken() == ["w, g: 1, far beyond 0"]
    assert table([result]).endswith("missed")


def _scripted(rates: list[float], goal: Goal) -> Workload:
    """A workload with these figures, round after round."""
    left = iter(rates)

    def once(folder: Path) -> Figures:
        assert folder.is_dir()
        return {"ours": next(left), "D": 100.0}

    return Workload("w", "about", [once], [goal])


@pytest.mark.parametrize(
    ("rates", "rounds", "broken"),
    [([60.0, 60.0], 2, False), ([1.0, 1.0, 60.0, 60.0], 4, False), ([1.0, 1.0, 1.0, 60.0], 4, True)],
)
def test_far_off_is_measured_once_more(rates: list[float], rounds: int, *, broken: bool, tmp_path: Path) -> None:
    """A result that is grossly off is measured again, and all its rounds count; another one is not."""
    goal = Goal("g", "u", "ours", Compare.SHARE, 0.6, "D", gross=0.2)
    result = bench._measured(_scripted(rates, goal), 2, tmp_path)
    assert len(result.rounds) == rounds
    assert bool(result.broken()) == broken


def test_rounds_share_what_was_made_ready(tmp_path: Path) -> None:
    """What a workload needs in all rounds is made once and given up once; each run has a folder of its own."""
    seen: list[str] = []

    @contextlib.contextmanager
    def ready(folder: Path, tell: Tell) -> Iterator[None]:
        seen.append("made")
        tell("made")
        yield
        seen.append("gone")

    def once(folder: Path) -> Figures:
        assert not list(folder.iterdir())
        (folder / "store").touch()
        seen.append("run")
        return {"ours": 1.0}

    told: list[str] = []
    measure(Workload("w", "about", [once], (), ready), 2, tmp_path, told.append)
    assert seen == ["made", "run", "run", "gone"]
    assert told == ["made", "w 1/2: ours 1", "w 2/2: ours 1"]
    assert not list(tmp_path.iterdir())


def test_json_and_markdown() -> None:
    """The JSON holds rounds, medians, ratios, goals and what the machine is; the Markdown table has a row per goal."""
    goal = Goal("1,000 children", "children/s", "ours 1000", Compare.SHARE, 0.6, "D 1000", ("A 1000",), 0.2)
    figures = {"ours 1000": 30.0, "D 1000": 100.0, "A 1000": 200.0}
    result = Result(Workload("w", "about", (), (goal,)), figures, (figures,))
    found = json.loads(as_json([result]))
    assert {"python", "sqlite", "system", "machine", "cores"} < set(found)
    workload = found["workloads"]["w"]
    assert (workload["medians"], workload["rounds"]) == (figures, [figures])
    (told,) = workload["goals"]
    assert (told["ratio"], told["limit"], told["gross"], told["met"]) == (0.3, 0.6, 0.2, False)
    head, _, row = table([result], markdown=True).split("\n")
    assert head.count("|") == row.count("|")
    assert "| 30 | D 100 | A 200 | 0.30 | >= 0.60 of D | missed |" in row
