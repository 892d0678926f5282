"""What the children of `orders` do: run a program in one order after the other; look at the stores from outside."""

import json
import random
import traceback
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from workbench.core.state import State
from workbench.errors import StoreError
from workbench.runtime.opening import start
from workbench.runtime.running import run
from workbench.testing.arming import finest_turns
from workbench.testing.channel import Channel, resolve
from workbench.testing.clock import SimulatedClock
from workbench.testing.effects import effects_go_to
from workbench.testing.inspecting import dump, objects_of, rebuild_all
from workbench.testing.judge import read_log, violations
from workbench.testing.scheduling import Chooser, Scheduler

REST_SECONDS = 30.0
"""After which a program that does not come to rest counts as stuck."""


def next_order(trail: Sequence[tuple[int, int]]) -> list[int] | None:
    """What to pick in the run after the one that picked this, so that each order comes once; None after the last."""
    for at in range(len(trail) - 1, -1, -1):
        picked, of = trail[at]
        if picked + 1 < of:
            return [*(before for before, _ in trail[:at]), picked + 1]
    return None


def digest(state: State) -> str:
    """A short text that two states share exactly when all their facts are equal."""
    return blake2b(repr(dump(state)).encode(), digest_size=16).hexdigest()


def _chooser(picks: Sequence[int], chance: random.Random | None) -> Chooser:
    """Pick what is given, and from then on the first, or by chance."""
    left = list(picks)[::-1]

    def choose(count: int) -> int:
        if left:
            return min(left.pop(), count - 1)
        return 0 if chance is None else chance.randrange(count)

    return choose


def run_orders(
    channel: Channel,
    *,
    program: str,
    folder: str,
    first: int,
    count: int,
    picks: list[int],
    seed: int,
    sampled: bool,
    before: str = "",
) -> dict[str, Any]:
    """Run a program in some orders, each on a store of its own.

    Args:
        channel: to whoever started this.
        program: `module:name` of the program.
        folder: for the stores, `order-<number>.db`.
        first: number of the first.
        count: how many at most.
        picks: of the first; those after it follow from it, unless they are sampled.
        seed: of the simulated clock, and of the sample.
        sampled: pick by chance.
        before: `module:name` of a function to call first.

    Returns:
        `runs`, and in `next` what to pick in the order after the last; None when that was all.
    """
    finest_turns()
    if before:
        resolve(before)()
    runs = []
    following: list[int] | None = picks
    for number in range(first, first + count):
        if following is None:
            break
        store = Path(folder, f"order-{number}.db")
        channel.tell("order", number)
        chance = random.Random(f"{seed}/{number}") if sampled else None  # noqa: S311 - to be repeated
        found = _run_order(program, store, _chooser(following, chance), seed)
        trail = found.pop("trail")
        runs.append({"number": number, "store": str(store), "picks": [picked for picked, _ in trail], **found})
        following = [] if sampled else next_order(trail)
    return {"runs": runs, "next": following}


def _run_order(program: str, store: Path, choose: Chooser, seed: int) -> dict[str, Any]:
    effects_go_to(Path(f"{store}.effects"))
    session = start(store, clock=SimulatedClock(f"orders/{seed}"))
    scheduler = Scheduler(session, choose)
    result = error = None
    state, objects = "", {}
    try:
        result = json.loads(json.dumps(resolve(program)(lambda _name, _value: None)))
        run(session.at_rest(), timeout=REST_SECONDS)
        state = session.thread.ask(lambda: digest(session.thread.state)).result()
        objects = objects_of(session)
    except Exception as raised:  # noqa: BLE001 - whatever a program raises in this order is what was found
        error = "".join(traceback.format_exception_only(raised)).strip()
    session.close()
    return {"result": result, "error": error, "state": state, "objects": objects, "trail": scheduler.trail}


def judge_orders(channel: Channel, *, runs: list[dict[str, Any]], before: str = "") -> list[list[str]]:
    """What is wrong with the store of each run, in a process that ran none of them."""
    if before:
        resolve(before)()
    return [_judge_order(Path(each["store"]), each) for each in runs]


def _judge_order(store: Path, found: dict[str, Any]) -> list[str]:
    if found["error"]:
        return [found["error"]]
    try:
        entries = read_log(store)
    except StoreError as error:
        return [str(error)]
    wrong = violations(entries)
    if digest(State().fold(entries)) != found["state"]:
        wrong.append("the log folds to another state than the session had")
    effects = Path(f"{store}.effects.replayed")
    effects_go_to(effects)
    session = start(store, clock=SimulatedClock("judge"))
    run(session.at_rest(), timeout=REST_SECONDS)
    before = session.feed.committed
    failed = rebuild_all(session)
    run(session.at_rest(), timeout=REST_SECONDS)
    wrong += [f"{agent} cannot be rebuilt: {error}" for agent, error in failed.items()]
    wrong += [f"replay added {entry.kind} to agent {entry.agent}" for entry in session.feed.read(before)]
    objects = objects_of(session)
    wrong += [
        f"replay rebuilt {agent} as {objects.get(agent)}, it was {was}"
        for agent, was in found["objects"].items()
        if agent not in failed and objects.get(agent) != was
    ]
    session.close()
    if effects.exists():
        wrong.append(f"replay had effects: {effects.read_text().split()}")
    return wrong
