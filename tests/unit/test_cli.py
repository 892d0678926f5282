"""The command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import IO

import pytest

from workbench import cli

LESSON = cli.FIRST_NOTEBOOK


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the notebooks of a made-up checkout from which the package is run; the current folder is another one."""
    notebooks = tmp_path / "checkout" / "notebooks"
    notebooks.mkdir(parents=True)
    (notebooks / LESSON).write_text("{}")
    (notebooks.parent / "pyproject.toml").touch()
    monkeypatch.setattr(cli, "__file__", str(notebooks.parent / "workbench" / "cli.py"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return notebooks


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder of somebody who installed a wheel, next to which another package's files lie."""
    packages = tmp_path / "site-packages"
    (packages / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(cli, "__file__", str(packages / "workbench" / "cli.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["lap"], "invalid choice: 'lap'"),
        (["lab", "--port", "http"], "invalid port value: 'http'"),
        (["lab", "--port", "0"], "invalid port value: '0'"),
        (["lab", "--port", "65536"], "invalid port value: '65536'"),
        (["lab", "one.ipynb", "two.ipynb"], "unrecognized arguments: two.ipynb"),
    ],
)
def test_wrong_arguments(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments end with status 2 and a line that says which."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_first_lesson_by_default(checkout: Path) -> None:
    """Without a name, a checkout opens its first lesson, in the folder of the lessons."""
    assert cli.find_target(None) == cli.Target(checkout, LESSON)


@pytest.mark.parametrize("name", [LESSON, LESSON.removesuffix(".ipynb")])
def test_lesson_by_name(checkout: Path, name: str) -> None:
    """A lesson may be named from any folder, with or without its suffix."""
    assert cli.find_target(name) == cli.Target(checkout, LESSON)


def test_own_notebook_by_path(checkout: Path) -> None:
    """A path from the current folder opens that notebook, in its own folder."""
    mine = Path.cwd() / "sub" / "mine.ipynb"
    mine.parent.mkdir()
    mine.touch()
    assert cli.find_target("sub/mine.ipynb") == cli.Target(mine.parent, "mine.ipynb")


def test_unknown_notebook(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook that does not exist ends with status 1, what was asked for, and the names that would do."""
    assert cli.main(["lab", "nope"]) == 1
    complaint = capsys.readouterr().err
    assert "'nope'" in complaint
    assert LESSON in complaint


def test_wheel_opens_current_folder(installed: Path) -> None:
    """Installed without notebooks, the current folder is opened, and never a `notebooks` folder of another package."""
    assert cli.find_target(None) == cli.Target(installed, None)


def test_wheel_says_that_lessons_are_absent(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed without notebooks, `lab` says so and names the folder it opens."""
    monkeypatch.setattr(cli, "_serve", lambda _command, _url_of: 0)
    assert cli.main(["lab"]) == 0
    printed = capsys.readouterr().out
    assert "No lessons here" in printed
    assert str(installed) in printed


def test_command_uses_this_interpreter(tmp_path: Path) -> None:
    """JupyterLab runs with the interpreter of the workbench; what was not asked for is left to Jupyter."""
    target = cli.Target(tmp_path, LESSON)
    assert cli.lab_command(target, browser=True, port=None, ip=cli.LOOPBACK, root=False) == [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={tmp_path}",
        str(tmp_path / LESSON),
    ]


def test_command_with_all_options(tmp_path: Path) -> None:
    """A port that was asked for is never swapped for the next free one; root is allowed only when it is root."""
    command = cli.lab_command(cli.Target(tmp_path, None), browser=False, port=9999, ip="0.0.0.0", root=True)  # noqa: S104
    assert set(command[3:]) == {
        "--ServerApp.ip=0.0.0.0",
        "--ServerApp.port=9999",
        "--ServerApp.port_retries=0",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.root_dir={tmp_path}",
    }


def test_only_loopback_unless_told() -> None:
    """Without `--ip`, nobody on the network can reach the server."""
    assert cli.parser().parse_args(["lab"]).ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("server", "notebook", "url"),
    [
        ({"url": "http://h:1/", "token": "t+"}, "a b.ipynb", "http://h:1/lab/tree/a%20b.ipynb?token=t%2B"),
        ({"url": "http://h:1/base/", "token": ""}, None, "http://h:1/base/lab"),
    ],
)
def test_url(server: dict[str, object], notebook: str | None, url: str) -> None:
    """The address names the notebook, quoted, and carries the token when the server has one."""
    assert cli.lab_url(server, notebook) == url


def test_without_jupyterlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without JupyterLab, `lab` ends with status 1 and the line to paste."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert cli.main(["lab"]) == 1
    assert 'pip install "workbench[lab]"' in capsys.readouterr().err


def test_import_needs_no_jupyter() -> None:
    """The command line is usable, and quick, where no Jupyter package can be imported."""
    program = (
        "import sys\n"
        "for name in ('IPython', 'anywidget', 'ipykernel', 'ipywidgets', 'jupyter_core', 'jupyterlab', 'traitlets'):\n"
        "    sys.modules[name] = None\n"
        "import workbench.cli\n"
        "workbench.cli.parser()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def _line_with(stream: IO[str], text: str) -> str:
    """Read until a line holds `text`."""
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return line.strip()
    raise AssertionError(f"ended before a line with {text!r}: {''.join(seen)}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lab_starts_answers_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    """The printed address answers over HTTP with its token; an interrupt ends server and command, with status 0."""
    (tmp_path / "mine.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from workbench.cli import main; sys.exit(main())",
            "lab",
            "--no-browser",
            "mine.ipynb",
        ],
        cwd=tmp_path,
        env={**os.environ, **folders},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with command:
        try:
            assert command.stdout is not None
            url = _line_with(command.stdout, "http")
            assert "/lab/tree/mine.ipynb?token=" in url
            with urllib.request.urlopen(url) as answer:  # noqa: S310
                assert answer.status == 200
                assert "JupyterLab" in answer.read().decode()
            servers = list((tmp_path / "runtime").glob("jpserver-*.json"))
            assert len(servers) == 1
        finally:
            command.send_signal(number)
    assert command.returncode == 0
    assert not list((tmp_path / "runtime").glob("jpserver-*.json"))
