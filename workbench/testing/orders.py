"""Every order of completion: a program is run once for each order in which what it waits for may come.

See `ordering.Search` for how they are found. Each runs on a store of its own; a second process, with another hash seed,
reads that store, folds it and rebuilds every agent.
"""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from workbench.testing.launching import Launcher, reference
from workbench.testing.ordering import judge_orders, run_orders
from workbench.testing.repeating import Fault, line, the_fault, the_seed
from workbench.testing.sweep import Before, Program, memory_folder
from workbench.testing.tally import tried

AT_A_TIME: Final = 40
"""Orders that one child runs, while another looks at the stores of those before."""


class Orders:
    """What trying the orders of a program found.

    Attributes:
        seed: of the simulated clock, and of a sample.
        orders: how many were tried.
        complete: whether these were all that there are.
        results: how often the program came to which result, as JSON.
        problems: one line for each thing that went wrong; the line says how to repeat it.
    """

    def __init__(self, program: str, seed: int) -> None:
        self.program, self.seed = program, the_seed(seed)
        self.orders = 0
        self.complete = False
        self.results: Counter[str] = Counter()
        self.problems: list[str] = []

    def __repr__(self) -> str:
        all_of = "all " if self.complete else ""
        return f"<{all_of}{self.orders} orders of {self.program}: {len(self.problems)} problems>"


def orders(
    program: Program,
    path: Path | None = None,
    *,
    sample: int = 0,
    most: int = 100_000,
    seed: int = 0,
    before: Before | None = None,
) -> Orders:
    """Run a program in every order in which calls, steps, timers and promises may complete, and hold each to the laws.

    In each order the program comes to rest, its log breaks no law (`violations`), folds to the state that the session
    had, and rebuilds every agent as it was, in a fresh process, with no new entry and no effect. Whether the results
    may differ from order to order, or an error be one, is the program's business: see `Orders.results`.

    Orders that differ only in how agents interleave that have nothing to do with each other count as one.

    The cell asks for one thing at a time and waits for it: what two threads do at once is in no order.

    Args:
        program: a function at the top of a module; see `workbench.testing`.
        path: folder for the stores; by default a temporary one. Stores that showed a problem stay there when it was
            named.
        sample: try so many orders, picked by chance; 0 for all.
        most: orders after which the search is given up; `complete` is false then.
        seed: of the simulated clock, and of the sample.
        before: called first in each process; a bug may be planted there, to see that it is found.
    """
    found = Orders(reference(program), seed)
    folder = Path(tempfile.mkdtemp(prefix="workbench-orders-", dir=memory_folder())) if path is None else path
    modules = [found.program.partition(":")[0]]
    plant = "" if before is None else reference(before)
    which: dict[str, Any] = {"most": sample or most, "sampled": bool(sample)}
    if (fault := the_fault()) is not None:
        which = {"most": int(fault.point == "order"), "picks": fault.picks}
    with (
        Launcher(modules, folder / "output", hash_seed=1) as runner,
        Launcher(modules, folder / "output", hash_seed=2) as judge,
    ):
        runner.start(run_orders, program=found.program, folder=str(folder), seed=found.seed, before=plant, **which)
        waiting: list[dict[str, Any]] = []
        at = 0
        try:
            for message in runner.messages():
                if message[0] == "tell":
                    at = message[2]
                elif message[0] == "run":
                    found.orders += 1
                    waiting.append(message[1])
                    if len(waiting) == AT_A_TIME:
                        _judge(found, judge, waiting, plant)
                        waiting = []
        except TimeoutError:
            runner.kill()
            runner.finish()
        report = runner.report
        if report.error or report.status:
            why = report.error or f"ended with status {report.status}"
            found.problems.append(f"{found.program} --seed {found.seed}, its order {at}: {why}")
        _judge(found, judge, waiting, plant)
        found.complete = report.result is True
    if path is None:
        shutil.rmtree(folder, ignore_errors=True)
    tried["orders of completion"] += found.orders
    return found


def _judge(found: Orders, judge: Launcher, runs: list[dict[str, Any]], plant: str) -> None:
    if not runs:
        return
    report = judge.run(judge_orders, runs=runs, before=plant)
    if report.error or report.status:
        found.problems.append(f"{found.program}: the judge {'hung' if report.hung else report.error or 'died'}")
        return
    for each, wrong in zip(runs, report.result, strict=True):
        picks: list[int] = each["picks"]
        while picks and not picks[-1]:  # the first is picked by itself
            picks.pop()
        name = line(found.program, Fault("order", ".".join(map(str, picks))), found.seed)
        found.problems += [f"{name}: {what}" for what in wrong]
        found.results[json.dumps(each["result"])] += 1
        if not wrong:
            for file in Path(each["store"]).parent.glob(f"{Path(each['store']).name}*"):
                file.unlink()
