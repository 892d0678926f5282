"""What may be asked of the bench, and that nothing is measured when it cannot be done."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench import cli
from workbench.bench import bench
from workbench.bench.__main__ import main
from workbench.bench.goals import Compare, Figures, Goal, Workload
from workbench.bench.options import add_options


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be measured."""
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("measured"))


@pytest.mark.parametrize(
    ("words", "what", "do"),
    [
        (["--only", "fan-in"], "cannot measure 'fan-in'", "name one of fan-out, steps, calls,"),
        (["--json", "{folder}/none/a.json"], "there is no folder", "make it first"),
        (["--json", "{folder}"], "it is a folder", "name a file in it"),
        (["--figure", "{folder}/none/a.png"], "there is no folder", "make it first"),
        (["--figure", "{folder}/a.bmp"], "its suffix names no kind of picture", "end it with one of .png, .svg, .pdf"),
        (["--figure", "{folder}/a.png", "--only", "calls"], "it shows the workload fan-out", "add --only fan-out"),
        (["--dir", "{folder}/none"], "there is no such folder", "make it first"),
        (["--dir", "{folder}/file"], "there is no such folder", "make it first"),
    ],
)
@pytest.mark.parametrize("quick", [["--quick"], []])
def test_what_cannot_be_done(
    words: list[str],
    what: str,
    do: str,
    quick: list[str],
    unmeasured: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong name, place or suffix ends with status 1, what and why and what to do, before anything is measured."""
    (tmp_path / "file").touch()
    filled = [word.replace("{folder}", str(tmp_path)) for word in words]
    assert main([*quick, *filled]) == 1
    alone = capsys.readouterr()
    assert alone.out == ""
    assert alone.err.startswith("python -m workbench.bench: cannot ")
    assert what in alone.err
    assert f"Do: {do}" in alone.err
    assert cli.main(["bench", *quick, *filled]) == 1
    assert capsys.readouterr().err.removeprefix("workbench: ") == alone.err.removeprefix("python -m workbench.bench: ")


def test_no_room(unmeasured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A disk that is nearly full is told before anything is measured, and not by what fails on it."""
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert main(["--dir", str(tmp_path)]) == 1
    assert "1,000 MB may be needed, 0 MB are free. Do: " in capsys.readouterr().err


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_rounds_are_counted(rounds: str, unmeasured: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of rounds that measures nothing is a wrong argument."""
    with pytest.raises(SystemExit) as ended:
        main([f"--rounds={rounds}"])
    assert ended.value.code == 2
    assert f"'{rounds}' is no number of rounds: take 1 or more" in capsys.readouterr().err


def _options(parser: argparse.ArgumentParser) -> dict[Sequence[str] | str, str | None]:
    return {tuple(action.option_strings): action.help for action in parser._actions}


def test_one_set_of_options() -> None:
    """`workbench bench` and `python -m workbench.bench` take the same options."""
    plain = argparse.ArgumentParser()
    add_options(plain)
    (commands,) = (a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert _options(commands.choices["bench"]) == _options(plain)


def test_the_command_line_loads_no_workload() -> None:
    """Other commands pay nothing for the bench: its agents, floors and pictures load when it is asked for."""
    program = "import sys, workbench.cli; workbench.cli.parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert {name for name in loaded if name.startswith("workbench.bench.")} == {"workbench.bench.options"}
    assert "matplotlib" not in loaded


def test_what_was_measured_is_told_also_when_it_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupt in a later workload loses nothing of the ones before it."""
    goal = Goal("g", "u", "ours", Compare.AT_MOST, 2)

    def interrupt(_folder: Path) -> Figures:
        raise KeyboardInterrupt

    listed = [
        Workload("one", "about", [lambda _: {"ours": 1.0}], [goal]),
        Workload("two", "about", [interrupt], [goal]),
    ]
    monkeypatch.setattr(bench, "workloads", lambda **_: listed)
    with contextlib.suppress(KeyboardInterrupt):
        main(["--dir", str(tmp_path), "--json", str(tmp_path / "a.json")])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["one", "g", "u", "1", "1", "<=", "2", "met"]
    assert list(json.loads((tmp_path / "a.json").read_text("utf-8"))["workloads"]) == ["one"]
