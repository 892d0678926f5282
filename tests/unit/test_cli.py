"""The command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import IO, Any

import pytest

import workbench as wb
from workbench import cli
from workbench.cli import lab
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock

LESSON = lab.FIRST_NOTEBOOK


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests read is not cut to the width of the terminal in which somebody runs them."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the notebooks of a made-up checkout from which the package is run; the current folder is another one."""
    notebooks = tmp_path / "checkout" / "notebooks"
    notebooks.mkdir(parents=True)
    (notebooks / LESSON).write_text("{}")
    (notebooks.parent / "pyproject.toml").touch()
    monkeypatch.setattr(lab, "__file__", str(notebooks.parent / "workbench" / "cli" / "lab.py"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return notebooks


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder of somebody who installed a wheel, next to which another package's files lie."""
    packages = tmp_path / "site-packages"
    (packages / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(lab, "__file__", str(packages / "workbench" / "cli" / "lab.py"))
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
        (["bench", "--rounds", "0"], "argument --rounds: '0' is no number of rounds: take 1 or more"),
        (["bench", "--quick", "--large"], "argument --large: not allowed with argument --quick"),
    ],
)
def test_wrong_arguments(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments end with status 2 and a line that says which."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_module_is_the_command() -> None:
    """`python -m workbench` does what the `workbench` command does."""
    told = subprocess.run([sys.executable, "-m", "workbench", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == wb.__version__
    wrong = subprocess.run([sys.executable, "-m", "workbench"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "usage: workbench" in wrong.stderr


def test_first_lesson_by_default(checkout: Path) -> None:
    """Without a name, a checkout opens its first lesson, in the folder of the lessons."""
    assert lab.find_target(None) == lab.Target(checkout, LESSON)


@pytest.mark.parametrize("name", [LESSON, LESSON.removesuffix(".ipynb")])
def test_lesson_by_name(checkout: Path, name: str) -> None:
    """A lesson may be named from any folder, with or without its suffix."""
    assert lab.find_target(name) == lab.Target(checkout, LESSON)


def test_own_notebook_by_path(checkout: Path) -> None:
    """A path from the current folder opens that notebook, in its own folder."""
    mine = Path.cwd() / "sub" / "mine.ipynb"
    mine.parent.mkdir()
    mine.touch()
    assert lab.find_target("sub/mine.ipynb") == lab.Target(mine.parent, "mine.ipynb")


def test_unknown_notebook(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook that does not exist ends with status 1, what was asked for, and the names that would do."""
    assert cli.main(["lab", "nope"]) == 1
    complaint = capsys.readouterr().err
    assert "'nope'" in complaint
    assert LESSON in complaint


def test_wheel_opens_current_folder(installed: Path) -> None:
    """Installed without notebooks, the current folder is opened, and never a `notebooks` folder of another package."""
    assert lab.find_target(None) == lab.Target(installed, None)


def test_wheel_in_a_checkout_opens_its_lessons(installed: Path) -> None:
    """Installed from a checkout, and run there, it opens the first lesson too."""
    (installed / "notebooks").mkdir()
    (installed / "notebooks" / LESSON).touch()
    assert lab.find_target(None) == lab.Target(installed, None)  # of something else: there is no project
    (installed / "pyproject.toml").touch()
    assert lab.find_target(None) == lab.Target(installed / "notebooks", LESSON)


def test_wheel_says_that_lessons_are_absent(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed without notebooks, `lab` says so and names the folder it opens."""
    monkeypatch.setattr(lab, "_serve", lambda _command, _url_of: 0)
    assert cli.main(["lab"]) == 0
    printed = capsys.readouterr().out
    assert "No lessons here" in printed
    assert str(installed) in printed


def test_command_uses_this_interpreter(tmp_path: Path) -> None:
    """JupyterLab runs with the interpreter of the workbench; what was not asked for is left to Jupyter."""
    target = lab.Target(tmp_path, LESSON)
    assert lab.lab_command(target, browser=True, port=None, ip=lab.LOOPBACK, root=False) == [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={tmp_path}",
        str(tmp_path / LESSON),
    ]


def test_command_with_all_options(tmp_path: Path) -> None:
    """A port that was asked for is never swapped for the next free one; root is allowed only when it is root."""
    command = lab.lab_command(lab.Target(tmp_path, None), browser=False, port=9999, ip="0.0.0.0", root=True)  # noqa: S104
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
    assert lab.lab_url(server, notebook) == url


def test_without_jupyterlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without JupyterLab, `lab` ends with status 1 and the line to paste."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert cli.main(["lab"]) == 1
    assert 'pip install "workbench[lab]"' in capsys.readouterr().err


# ---- looking into a store --------------------------------------------------------------------------------------------

EVIL = "\x1b]0;title\x07</td>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store at rest: a worker that was called, one that waits, a fork, and a word that no terminal should see."""
    before = dict(registry._types)

    @wb.agent
    class Worker:
        def __init__(self, name: str) -> None: ...

        def process(self, what: str) -> str:
            return what

        async def wait(self, promise: wb.PromiseId) -> None:
            await wb.await_promise(promise)

        async def split(self) -> str:
            return type(wb.fork()).__name__

    get: Any = Worker.get  # type: ignore[attr-defined] # added by the decorator
    path = tmp_path_factory.mktemp("look") / "a.db"
    with wb.start(path, clock=SimulatedClock()) as session:
        wb.run(get("eu west").process(EVIL))
        get("b").wait.trigger(wb.create_promise())
        wb.run(get("c").split())
        wb.run(session.at_rest())
    registry._types.clear()
    registry._types.update(before)
    return path


def look(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command prints; it must succeed."""
    assert cli.main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_agents(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`agents` lists them, by status, class and id; none is called undefined."""
    everything = look(capsys, "agents", store)
    assert all(f'Worker("{name}")' in everything for name in ("eu west", "b", "c"))
    assert "4 agents" in everything
    assert "undefined" not in everything
    assert look(capsys, "agents", store, "--status", "suspended").split("\n")[1].startswith('Worker("b")')
    assert "1 agent\n" in look(capsys, "agents", store, "--name", "EU", "--type", "Worker")
    assert "0 agents" in look(capsys, "agents", store, "--type", "Nobody")


def test_promises(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`promises` lists them, by state and by agent."""
    assert "Session()#" in look(capsys, "promises", store)
    assert "1 promise\n" in look(capsys, "promises", store, 'Worker("b")', "--state", "pending")
    assert "0 promises" in look(capsys, "promises", store, 'Worker("eu west")')


def test_forks(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`forks` lists forks below their sources."""
    lines = look(capsys, "forks", store).split("\n")
    assert lines[1].startswith('Worker("c")  ')
    assert lines[2].startswith('└ Worker("c")[')


def test_oplog(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`oplog` lists an agent's entries, searched; what agents said reaches the terminal as escapes."""
    text = look(capsys, "oplog", store, 'Worker("eu west")')
    assert "3 entries" in text
    assert r"\x1b]0;title\x07</td>" in text
    assert "\x1b" not in text
    found = look(capsys, "oplog", store, 'Worker("eu west")', "--search", "kind:Invocation not role:operation")
    assert "1 entry\n" in found


def test_why(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`why` tells what an agent waits for."""
    assert 'Worker("b")' in look(capsys, "why", store, 'Worker("b")')


@pytest.mark.parametrize(
    "words", [["agents"], ["promises"], ["forks"], ["oplog", 'Worker("eu west")'], ["why", 'Worker("b")']], ids=str
)
def test_json(store: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """With `--json` each command prints plain values, with the agent's words as they are."""
    command, *rest = words
    text = look(capsys, command, store, *rest, "--json")
    value = json.loads(text)
    assert text.isascii()
    if command == "agents":
        assert [agent["agent_id"] for agent in value][:2] == ['Worker("eu west")', 'Worker("b")']
    if command == "oplog":
        assert [entry["kind"] for entry in value] == ["AgentCreated", "InvocationStarted", "InvocationFinished"]


def test_tables_fit_the_terminal(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are no longer than the terminal is wide; without a terminal nothing is cut."""
    monkeypatch.setenv("COLUMNS", "90")
    for words in (["agents"], ["promises"], ["forks"], ["oplog", 'Worker("b")'], ["why", 'Worker("b")']):
        command, *rest = words
        assert max(map(len, look(capsys, command, store, *rest).split("\n"))) <= 90, command
    monkeypatch.delenv("COLUMNS")
    assert "…" not in look(capsys, "promises", store)


def test_a_terminal_that_knows_few_signs(store: Path) -> None:
    """Where the output can hold only ASCII, the rest is escaped, and nothing fails."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from workbench.cli import main; sys.exit(main())", "forks", str(store)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        text=True,
    )
    assert r"\u2514 Worker" in done.stdout


def test_a_reader_that_has_seen_enough(store: Path) -> None:
    """A pipe that is closed early, as by `head`, ends the command without a complaint."""
    program = "import sys; from workbench.cli import main; sys.stdout.reconfigure(write_through=True); sys.exit(main())"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", program, "agents", str(store)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["agents", "{folder}/absent.db"], "no such file"),
        (["agents", "{folder}"], "no file"),
        (["forks", "{folder}/text.db"], "cannot be read as a store"),
        (["oplog", "{store}", "Worker(404)"], "no agent Worker(404)"),
        (["oplog", "{store}", "\x1b[2J"], r"no agent \x1b[2J"),
        (["oplog", "{store}", 'Worker("b")', "--search", "kind:Nonsense"], "at character 1"),
        (["why", "{store}", "Nobody()"], "no agent Nobody()"),
        (["promises", "{store}", "Worker(404)"], "no agent Worker(404)"),
    ],
)
def test_what_cannot_be_looked_at(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """A missing file, a file that is no store, an unknown agent and a wrong search end with status 1 and the reason."""
    (tmp_path / "text.db").write_text("hello " * 1000)
    assert cli.main([word.replace("{folder}", str(tmp_path)).replace("{store}", str(store)) for word in words]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("workbench: ")
    assert told in complaint
    assert "Traceback" not in complaint


def test_a_store_in_use(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that is open is looked at as it is now, and its owner goes on."""
    with wb.start(tmp_path / "live.db"):
        promise = wb.create_promise()
        assert str(promise) in look(capsys, "promises", tmp_path / "live.db")
        wb.complete_promise(promise, b"")
        assert "completed" in look(capsys, "promises", tmp_path / "live.db")


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
