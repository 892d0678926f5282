"""Every order of completion: a program is run once for each order in which what it waits for may come.

The search is by choices: the first run picks the first of all that may come next, each later one differs from the one
before in the last choice that has another answer, until none has. Each order runs on a store of its own; a second
process, with another hash seed, then reads the store, folds it and rebuilds every agent.
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
    had, and rebuilds every agent as it was, in a fresh process, with no new entry and no effect. Whether the results may
    differ from order to order is the program's business: see `Orders.results`.

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
    module = [found.program.partition(":")[0]]
    picks: list[int] | None = []
    limit = sample or most
    if (fault := the_fault()) is not None:
        limit, sample = int(fault.point == "order"), 0
        picks = fault.picks
    plant = "" if before is None else reference(before)
    with (
        Launcher(module, folder / "output", hash_seed=1) as runner,
        Launcher(module, folder / "output", hash_seed=2) as judge,
    ):
        waiting: list[dict[str, Any]] = []
        while picks is not None and found.orders < limit:
            count = min(AT_A_TIME, limit - found.orders)
            runner.start(
                run_orders,
                program=found.program,
                folder=str(folder),
                first=found.orders,
                count=count,
                picks=picks,
                seed=found.seed,
                sampled=bool(sample),
                before=plant,
            )
            _judge(found, judge, waiting, plant)
            report = runner.finish()
            if report.error or report.status:
                at = report.told.get("order", found.orders)
                why = "hung" if report.hung else report.error or f"ended with status {report.status}"
                found.problems.append(f"{found.program} --seed {found.seed}, its order {at}: {why}")
                waiting = []
                break
            waiting = report.result["runs"]
            found.orders += len(waiting)
            picks = report.result["next"]
        _judge(found, judge, waiting, plant)
    found.complete = picks is None and not sample and fault is None
    if path is None:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _judge(found: Orders, judge: Launcher, runs: list[dict[str, Any]], plant: str) -> None:
    if not runs:
        return
    report = judge.run(judge_orders, runs=runs, before=plant)
    if report.error or report.status:
        found.problems.append(f"{found.program}: the judge {'hung' if report.hung else report.error or 'died'}")
        return
    for each, wrong in zip(runs, report.result, strict=True):
        place = ".".join(map(str, each["picks"])).rstrip(".0")
        name = line(found.program, Fault("order", place), found.seed)
        found.problems += [f"{name}: {what}" for what in wrong]
        found.results[json.dumps(each["result"])] += 1
        if not wrong:
            for file in Path(each["store"]).parent.glob(f"{Path(each['store']).name}*"):
                file.unlink()
