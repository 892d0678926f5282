"""Workloads of fresh processes: what an import costs, and how soon the first durable result is there."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import workbench.bench
from workbench.bench.goals import GROSS, Compare, Figures, Goal, Run, Workload

KNOWN_IMPORT: Final = 10.0
"""Measured: times the start of an interpreter."""
KNOWN_FIRST: Final = 3.0
"""Measured: times the first row by hand."""
_SOURCE: Final = str(Path(workbench.bench.__file__).parents[2])

FIRST: Final = """
import sys, workbench as wb
@wb.agent
class First:
    async def result(self) -> str:
        return "durable"
wb.start(sys.argv[1])
print(wb.run(First.get().result()), flush=True)
wb.session().close()
"""
"""What a first cell does."""

BY_HAND: Final = """
import asyncio, sqlite3, sys
async def result() -> str:
    return "durable"
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TABLE rows (seq INTEGER PRIMARY KEY, payload BLOB)")
answer = asyncio.run(result())
db.execute("INSERT INTO rows (payload) VALUES (?)", (answer.encode(),))
print(answer, flush=True)
"""
"""The same by hand: floor D."""


def python(folder: Path, *args: str) -> list[str]:
    """The command line of this interpreter, with this package to import wherever it is started.

    Compiled modules are kept beside the folder, so that only a first process compiles, whatever the environment says.
    """
    path = f"{_SOURCE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    cache = folder.parent / "bytecode"
    return [
        "env",
        "PYTHONDONTWRITEBYTECODE=",
        f"PYTHONPYCACHEPREFIX={cache}",
        f"PYTHONPATH={path}",
        sys.executable,
        *args,
    ]


def python_json(folder: Path, *args: str) -> Figures:
    """Run Python, and read the JSON it prints."""
    command = python(folder, *args)
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE)  # noqa: S603 - a list of arguments
    found: Figures = json.loads(done.stdout)
    return found


def _millis(folder: Path, *args: str) -> float:
    began = time.perf_counter()
    subprocess.run(python(folder, *args), cwd=folder, check=True)  # noqa: S603 - a list of arguments
    return (time.perf_counter() - began) * 1e3


def importing() -> Workload:
    """`import workbench` in a fresh process, against a process that imports nothing."""
    runs = [
        lambda folder: {"ours": min(_millis(folder, "-c", "import workbench") for _ in range(3))},
        lambda folder: {"python": min(_millis(folder, "-c", "pass") for _ in range(3))},
    ]
    goals = [Goal("import", "ms", "ours", Compare.BEYOND, 80, "python", gross=KNOWN_IMPORT * GROSS)]
    return Workload("import", "import workbench in a fresh process, best of three", runs, goals)


def first_result() -> Workload:
    """The first durable result of a fresh process, from its start to the line it prints."""

    def measure(program: str, label: str) -> Run:
        def first(folder: Path) -> Figures:
            began = time.perf_counter()
            with subprocess.Popen(  # noqa: S603 - a list of arguments
                python(folder, "-c", program, str(folder / "first.db")), cwd=folder, stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"durable\n"
                took = time.perf_counter() - began
            return {label: took * 1e3}

        return first

    goals = [Goal("first result", "ms", "ours", Compare.AT_MOST, 300, "D", gross=KNOWN_FIRST * GROSS)]
    return Workload(
        "first", "process start to first durable result", [measure(FIRST, "ours"), measure(BY_HAND, "D")], goals
    )
