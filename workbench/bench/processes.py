"""Workloads of fresh processes: what an import costs, and how soon the first durable result is there."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import workbench.bench
from workbench.bench.goals import Compare, Figures, Goal, Workload

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


def python(*args: str) -> list[str]:
    """The command line of this interpreter, with this package to import wherever it is started."""
    return ["env", f"PYTHONPATH={_SOURCE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", sys.executable, *args]


def python_json(folder: Path, *args: str) -> Mapping[str, float]:
    """Run Python, and read the JSON it prints."""
    done = subprocess.run(python(*args), cwd=folder, check=True, stdout=subprocess.PIPE)  # noqa: S603 - a list of arguments
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _millis(folder: Path, *args: str) -> float:
    began = time.perf_counter()
    subprocess.run(python(*args), cwd=folder, check=True)  # noqa: S603 - a list of arguments
    return (time.perf_counter() - began) * 1e3


def importing() -> Workload:
    """`import workbench` in a fresh process, against a process that imports nothing."""
    runs = [
        lambda folder: {"ours": min(_millis(folder, "-c", "import workbench") for _ in range(3))},
        lambda folder: {"python": min(_millis(folder, "-c", "pass") for _ in range(3))},
    ]
    return Workload(
        "import", "import workbench, best of three", runs, [Goal("import", "ms", "ours", Compare.BEYOND, 80, "python")]
    )


def first_result() -> Workload:
    """The first durable result of a fresh process, from its start to the line it prints."""

    def measure(folder: Path) -> Figures:
        began = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - a list of arguments
            python("-c", FIRST, str(folder / "first.db")), cwd=folder, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"durable\n"
            took = time.perf_counter() - began
        return {"ours": took * 1e3}

    return Workload(
        "first",
        "process start to first durable result",
        [measure],
        [Goal("first result", "ms", "ours", Compare.AT_MOST, 300)],
    )
