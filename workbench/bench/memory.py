"""Workload of memory, each figure of a process of its own; as a program, such a process.

What counts is what the system has given to the process (`VmRSS`, and `VmHWM` for the most it ever had), as that is what
a machine runs out of. It is more than what is in use: Python and the C library keep some of what was given back, to
use it again. So a closed session need not leave a process as small as it found it, but another one must not make it
larger.
"""

import gc
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from workbench.bench.agents import BenchParent
from workbench.bench.goals import GROSS, Compare, Figures, Goal, Run, Workload
from workbench.bench.processes import python_json
from workbench.runtime.opening import start
from workbench.runtime.promises import create_promise
from workbench.runtime.running import run

STATUS: Final = Path("/proc/self/status")
"""Where Linux tells how much memory a process has; elsewhere this workload is left out."""
SESSIONS: Final = 6
"""That are opened and closed, one after the other."""
WARM_UP: Final = 50


def memory(suspended: int, closed: int, agents: int = 0) -> Workload:
    """What agents take, those that wait and those of closed sessions among them.

    Args:
        suspended: agents that wait for a promise.
        closed: agents of each session that is closed.
        agents: of the largest fan-out; 0 leaves it out.
    """
    runs: list[Run] = [_in_processes(("suspended", "reopened"), suspended), _in_processes(("closed",), closed)]
    goals = [
        Goal(f"{suspended:,} suspended agents", "MB", "suspended", Compare.AT_MOST, 300, besides=("awake", "reopened")),
        Goal(f"kept of a session of {closed:,}", "MB", "kept", Compare.TIMES, 0.5, "taken"),
        Goal("more for each further one", "MB", "more", Compare.TIMES, 0.05, "taken", gross=0.05 * GROSS),
    ]
    if agents:
        runs.append(_in_processes(("agents",), agents))
        goals.append(Goal(f"{agents:,} agents at most", "MB", "agents", Compare.AT_MOST, 1500))
    return Workload("memory", "what the system has given to a process", runs, goals)


def _in_processes(kinds: Sequence[str], count: int) -> Run:
    """Processes of these kinds, one after the other, in one folder."""

    def measure(folder: Path) -> Figures:
        figures: dict[str, float] = {}
        for kind in kinds:
            figures |= python_json(folder, "-m", "workbench.bench.memory", kind, str(count))
        return figures

    return measure


def megabytes(name: str = "VmRSS") -> float:
    """What this process has now; with `VmHWM`, the most it ever had."""
    for line in STATUS.read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1000
    raise AssertionError(name)


def _settled() -> float:
    gc.collect()
    return megabytes()


def suspended_agents(count: int) -> Figures:
    """Agents that wait for one promise, with their instances and without."""
    with start("suspended.db") as session:
        promise = create_promise()
        run(BenchParent.get(1).waits(count, promise))  # type: ignore[attr-defined]
        run(session.at_rest())
        awake = _settled()
        thread = session.thread
        thread.ask(lambda: thread.engine.put_away_suspended(1 << 62)).result()  # as happens by itself after a while
        return {"awake": awake, "suspended": _settled()}


def reopened_agents(count: int) -> Figures:
    """The same agents in the next process."""
    with start("suspended.db") as session:
        reopened = _settled()
        assert len(session.agents(status="suspended")) == count
        return {"reopened": reopened}


def closed_sessions(count: int) -> Figures:
    """Sessions with a fan-out each, in stores of their own, one after the other."""
    _fan_out("warm.db", WARM_UP)
    before = _settled()
    after = []
    for number in range(SESSIONS):
        _fan_out(f"{number}.db", count)
        after.append(_settled())
    # The first two are not compared: the second one's pieces lie where the first has left holes.
    return {
        "taken": megabytes("VmHWM") - before,
        "kept": after[0] - before,
        "more": max(0.0, after[-1] - after[1]) / (SESSIONS - 2),
    }


def largest(count: int) -> Figures:
    """One fan-out to very many."""
    _fan_out("large.db", count)
    return {"agents": megabytes("VmHWM")}


def _fan_out(store: str, count: int) -> None:
    with start(store):
        assert run(BenchParent.get(1).fan_out(count)) == count  # type: ignore[attr-defined]


KINDS: Final[Mapping[str, Callable[[int], Figures]]] = {
    "suspended": suspended_agents,
    "reopened": reopened_agents,
    "closed": closed_sessions,
    "agents": largest,
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](int(sys.argv[2]))))
