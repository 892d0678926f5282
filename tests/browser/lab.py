"""A real JupyterLab server for tests.

It knows nothing of the user's own Jupyter: settings, kernels, workspaces and runtime files are in a scratch folder, and
the kernel `python3` is the interpreter that runs the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil

START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1

# Lab as a test wants it: every cell in the document, nothing fetched, nothing saved or asked behind its back.
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "apputils-extension/notification": {"checkForUpdates": False, "doNotDisturbMode": True, "fetchNews": "false"},
    "apputils-extension/themes": {"adaptive-theme": False, "theme": "JupyterLab Light"},
    "docmanager-extension/plugin": {"autosave": False},
    "extensionmanager-extension/plugin": {"enabled": False},
    "notebook-extension/tracker": {"kernelShutdown": False, "windowingMode": "none"},
}


@dataclass
class Lab:
    """A running JupyterLab server."""

    root: Path
    """The folder it serves; notebooks are written and opened below it."""
    process: subprocess.Popen[bytes]
    url: str
    """Its address, with a slash at the end."""
    token: str
    log: Path
    """All that the server and its kernels wrote."""

    def log_text(self) -> str:
        """Return the server's log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def write_notebook(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook of code cells, and return its path below the root."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return name

    def request(self, path: str, method: str = "GET") -> Any:
        """Ask the server's REST interface, and return the decoded answer; None when it has no body."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:  # noqa: S310
            body = answer.read()
        return json.loads(body) if body else None

    def kernel_id(self, path: str) -> str:
        """Return the id of the kernel of an open notebook."""
        for session in self.request("api/sessions"):
            if session["path"] == path:
                return str(session["kernel"]["id"])
        raise LookupError(f"no kernel runs for {path}")

    def kernel_pid(self, path: str) -> int:
        """Return the process id of the kernel of an open notebook."""
        kernel = self.kernel_id(path)
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if any(kernel in word for word in child.cmdline()):
                return int(child.pid)
        raise LookupError(f"kernel {kernel} of {path} has no process")

    def kill_kernel(self, path: str) -> int:
        """Kill the kernel of an open notebook as a crash would (SIGKILL), wait for its death, and return its pid.

        The server starts a new one by itself: see `LabPage.accept_restart`.
        """
        victim = psutil.Process(self.kernel_pid(path))
        victim.kill()
        victim.wait(STOP_SECONDS)
        return int(victim.pid)

    def shut_down_kernels(self) -> None:
        """End every session, and so every kernel, in order."""
        for session in self.request("api/sessions"):
            self.request(f"api/sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        """End the server and all it started, gently where it lets us."""
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)
        # Kernels lead process groups of their own.
        for survivor in psutil.wait_procs(children, timeout=STOP_SECONDS)[1]:
            survivor.kill()


@contextmanager
def running_lab(root: Path, scratch: Path, environment: Mapping[str, str] | None = None) -> Iterator[Lab]:
    """Run a JupyterLab server on `root`, in a process group of its own.

    Args:
        root: the folder to serve.
        scratch: an empty folder for all that Jupyter keeps.
        environment: variables for the server and its kernels, over those of this process.

    Raises:
        RuntimeError: the server did not start; the message holds its log.
    """
    _write_settings(scratch / "settings")
    _write_kernel(scratch / "path")
    log = scratch / "lab.log"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_"))}
    places = {
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_PATH": "path",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={root}"),
        "--LabApp.extension_manager=readonly",
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**own, **{name: str(scratch / place) for name, place in places.items()}, **(environment or {})},
            start_new_session=True,
        )
    lab = Lab(root, process, url="", token="", log=log)
    try:
        _wait_until_it_answers(lab, scratch / "runtime" / f"jpserver-{process.pid}.json")
        yield lab
    finally:
        lab.stop()


def _write_settings(folder: Path) -> None:
    for name, values in SETTINGS.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")


def _write_kernel(data: Path) -> None:
    """Make `python3` this interpreter, whatever kernels the machine has: `JUPYTER_PATH` is searched first."""
    folder = data / "kernels" / "python3"
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python", "metadata": {"debugger": False}}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def _wait_until_it_answers(lab: Lab, about: Path) -> None:
    """Read what the server writes about itself, which it does a moment before it listens, and wait for an answer."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            server = json.loads(about.read_text(encoding="utf-8"))
            lab.url, lab.token = server["url"], server["token"]
            lab.request("api")
        except (FileNotFoundError, json.JSONDecodeError, urllib.error.URLError):
            pass
        else:
            return
        try:
            lab.process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"JupyterLab did not start (status {lab.process.poll()}):\n{lab.log_text()[-4000:]}")
