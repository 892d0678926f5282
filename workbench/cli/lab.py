# ruff: noqa: S603, T201 - it starts a server, with this interpreter and never through a shell, and prints its address
"""`workbench lab`: JupyterLab on the lessons.

Nothing here imports Jupyter: it is started as a program of its own, with the interpreter that runs this one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from workbench.cli.command import CommandError

FIRST_NOTEBOOK = "01_fan_out.ipynb"
LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.1


class Target(NamedTuple):
    """What JupyterLab is to open."""

    folder: Path
    """The server's root: the folder that the file browser shows."""
    notebook: str | None
    """A path inside the folder, with forward slashes; None opens the launcher."""


def notebooks_folder() -> Path | None:
    """Return the notebooks of the checkout this package is run from, or of the one we stand in; None without any."""
    for checkout in (Path(__file__).resolve().parents[2], Path.cwd()):
        folder = checkout / "notebooks"
        if (checkout / "pyproject.toml").is_file() and (folder / FIRST_NOTEBOOK).is_file():
            return folder
    return None


def find_target(notebook: str | None) -> Target:
    """Decide what to open.

    Args:
        notebook: a path to a notebook, or the name (with or without `.ipynb`) of one of the lessons. None stands for
            the first lesson or, where there are no lessons, for the current folder.

    Raises:
        CommandError: there is no such notebook.
    """
    lessons = notebooks_folder()
    if notebook is None:
        if lessons is None:
            return Target(Path.cwd(), None)
        return Target(lessons, FIRST_NOTEBOOK if (lessons / FIRST_NOTEBOOK).is_file() else None)
    for folder in (Path.cwd(), lessons):
        for name in (notebook, f"{notebook}.ipynb"):
            if folder is not None and _is_file(folder / name):
                return _target_of((folder / name).resolve(), lessons)
    known = sorted(path.name for path in lessons.glob("*.ipynb")) if lessons else []
    advice = f"name one of {', '.join(known)}, or give a path" if known else "give the path of a notebook"
    raise CommandError(f"cannot open {notebook!r}: there is no such file here or among the lessons. Do: {advice}.")


def _is_file(path: Path) -> bool:
    """Whether there is such a file; no is the answer for what no file can be called."""
    try:
        return path.is_file()
    except OSError:
        return False


def _target_of(path: Path, lessons: Path | None) -> Target:
    folder = lessons if lessons is not None and path.is_relative_to(lessons) else path.parent
    return Target(folder, path.relative_to(folder).as_posix())


def lab_command(target: Target, *, browser: bool, port: int | None, ip: str, root: bool) -> list[str]:
    """Compose the command that starts JupyterLab on `target` with this interpreter.

    Args:
        target: what to open.
        browser: open a browser window on it.
        port: listen there and nowhere else; None takes Jupyter's own choice, the next free port from 8888.
        ip: the address to listen on.
        root: the user is root, whom Jupyter refuses unless told otherwise.
    """
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.ip={ip}"]
    if port is not None:
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        command.append("--no-browser")
    if root:
        command.append("--allow-root")
    command.append(f"--ServerApp.root_dir={target.folder}")
    if target.notebook is not None:
        command.append(str(target.folder / target.notebook))
    return command


def lab_url(server: dict[str, object], notebook: str | None) -> str:
    """Return the address to paste into a browser.

    Args:
        server: what a Jupyter server writes about itself (`jpserver-<pid>.json`): `url`, and `token` when it has one.
        notebook: a path inside the server's root, or None.
    """
    url = f"{server['url']}lab"
    if notebook is not None:
        url += f"/tree/{quote(notebook)}"
    token = server.get("token")
    return f"{url}?{urlencode({'token': token})}" if token else url


def run_lab(arguments: argparse.Namespace) -> int:
    """Run JupyterLab until it ends, and return its exit status.

    An interrupt (Ctrl-C), a SIGTERM or a SIGHUP is passed on as one request to end, so kernels are shut down in order;
    a second one kills the server.

    Raises:
        CommandError: JupyterLab is not installed, or there is no such notebook.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise CommandError(
            f"cannot start JupyterLab: the package jupyterlab is not installed for {sys.executable}, because it is an "
            'optional part of the workbench. Do: pip install "workbench[lab]".'
        )
    target = find_target(arguments.notebook)
    if target.notebook is None:
        print(f"No lessons here: they come with the source. Opening {target.folder}.", flush=True)
    command = lab_command(
        target,
        browser=not arguments.no_browser,
        port=arguments.port,
        ip=arguments.ip,
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
    )
    return _serve(command, lambda server: lab_url(server, target.notebook))


def _serve(command: list[str], url_of: Callable[[dict[str, object]], str]) -> int:
    """Start a Jupyter server, print its address as soon as it listens, and wait for its end."""
    runtime = Path(
        subprocess.run(
            [sys.executable, "-m", "jupyter", "--runtime-dir"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    # A process group of its own: a terminal's Ctrl-C reaches this process only, which then asks the server once.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    asked = False

    def end(_signal: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            server.kill()
        else:
            asked = True
            server.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    about = runtime / f"jpserver-{server.pid}.json"
    while (status := _status_within(server, POLL_SECONDS)) is None:
        # The file is written a moment before the server listens.
        if (known := _read_json(about)) is not None and _listens(str(known["url"])):
            print(url_of(known), flush=True)
            status = server.wait()
            break
    # A server that was killed has a negative status; a shell says 128 + the signal's number.
    return status if status >= 0 else 128 - status


def _status_within(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return the exit status of a process, or None if it still runs after that many seconds."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _listens(url: str) -> bool:
    """Tell whether somebody accepts connections at an address."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1).close()
    except OSError:
        return False
    return True


def _read_json(path: Path) -> dict[str, object] | None:
    """Return the object in a file; None while the file is absent or half written."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 1 << 16:
        raise ValueError(text)
    return number


_port.__name__ = "port"  # argparse names the type in its message: "invalid port value: '0'"


def add_lab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `lab`."""
    parser = commands.add_parser("lab", help="open JupyterLab on the lessons", description="Open JupyterLab.")
    parser.add_argument(
        "notebook", nargs="?", metavar="NOTEBOOK", help=f"a lesson or a path (default {FIRST_NOTEBOOK})"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address, for servers")
    parser.add_argument("--port", type=_port, metavar="N", help="listen on this port (default: a free one from 8888)")
    parser.add_argument(
        "--ip", default=LOOPBACK, help=f"listen on this address (default {LOOPBACK}: this machine only)"
    )
    parser.set_defaults(run=run_lab)
