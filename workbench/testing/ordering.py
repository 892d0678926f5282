"""What the children of `orders` do: run a program in one order after the other; look at the stores from outside."""

import json
import logging
import traceback
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from workbench.core.state import State
from workbench.errors import StoreError, WorkbenchError
from workbench.runtime.opening import start
from workbench.runtime.running import run
from workbench.testing.arming import finest_turns
from workbench.testing.channel import Channel, resolve
from workbench.testing.clock import SimulatedClock
from workbench.testing.effects import effects_go_to
from workbench.testing.inspecting import dump, objects_of, rebuild_all
from workbench.testing.judge import read_log, violations
from workbench.testing.scheduling import ALL, Choice, Chooser, Scheduler

REST_SECONDS = 30.0
"""After which a program that does not come to rest counts as stuck."""


class Node:
    """A moment of a run: what may come next, what was tried of it, and what need not be.

    Attributes:
        choices: what may come next.
        picked: the place of what comes.
        footprint: which agents that concerned.
        tried: what came before in other runs, with the agents it concerned.
        asleep: what need not come now, as it came earlier in other runs and nothing since concerned the same agents.
    """

    def __init__(self, choices: list[Choice], asleep: dict[Choice, frozenset[str]]) -> None:
        self.choices = choices
        self.picked = 0
        self.footprint: frozenset[str] = frozenset()
        self.tried: dict[Choice, frozenset[str]] = {}
        self.asleep = {choice: concerned for choice, concerned in asleep.items() if choice in choices}

    def pick(self) -> bool:
        """Go on to the next thing that is neither tried nor asleep; False when there is none."""
        for place, choice in enumerate(self.choices):
            if choice not in self.tried and choice not in self.asleep:
                self.picked = place
                return True
        return False

    def asleep_after(self) -> dict[Choice, frozenset[str]]:
        """What sleeps on when that which was picked is done."""
        candidates = {**self.asleep, **self.tried}
        return {choice: concerned for choice, concerned in candidates.items() if apart(concerned, self.footprint)}


def apart(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two doings come to the same in either order."""
    return not (one & other or ALL in one or ALL in other)


class Search:
    """All orders, depth first; two that differ only in how agents that do not concern each other interleave are one.

    The way to leave the second of two such out are *sleep sets* (Godefroid): what was tried at a moment sleeps in the
    runs that begin otherwise there, until something comes that concerns the same agents.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._depth = 0
        self.pruned = False

    def begin(self) -> None:
        """A run begins."""
        self._depth, self.pruned = 0, False

    def choose(self, choices: list[Choice]) -> int | None:
        """As before while the way is known, then the first that is awake; None when all sleep."""
        if self._depth == len(self.nodes):
            node = Node(choices, self.nodes[-1].asleep_after() if self.nodes else {})
            if not node.pick():
                self.pruned = True
                return None
            self.nodes.append(node)
        node = self.nodes[self._depth]
        if node.choices != choices:
            raise RuntimeError(f"two runs of one order part: {node.choices} and {choices}")
        return node.picked

    def did(self, footprint: frozenset[str]) -> None:
        """What was picked is done."""
        self.nodes[self._depth].footprint = footprint
        self._depth += 1

    def advance(self) -> bool:
        """Prepare the next run; False after the last."""
        while self.nodes:
            node = self.nodes[-1]
            node.tried[node.choices[node.picked]] = node.footprint
            if node.pick():
                return True
            self.nodes.pop()
        return False


class Picks:
    """One order: what is given, and from then on the first, or by chance where there is a seed."""

    def __init__(self, picks: Sequence[int], seed: str = "") -> None:
        self._left = list(picks)[::-1]
        self._seed = seed
        self._drawn = 0

    def choose(self, choices: list[Choice]) -> int:
        """The next pick; where there is no choice none is used up."""
        if len(choices) == 1:
            return 0
        if self._left:
            return min(self._left.pop(), len(choices) - 1)
        if not self._seed:
            return 0
        self._drawn += 1
        drawn = blake2b(f"{self._seed}/{self._drawn}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn) % len(choices)

    def did(self, footprint: frozenset[str]) -> None:
        """Nothing to learn from it."""


class Trail:
    """Passes on to a chooser, and notes what was picked where there was a choice."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser, self.did = chooser, chooser.did
        self.picks: list[int] = []

    def choose(self, choices: list[Choice]) -> int | None:
        """What the chooser picks."""
        picked = self._chooser.choose(choices)
        if picked is not None and len(choices) > 1:
            self.picks.append(picked)
        return picked


def digest(state: State) -> str:
    """A short text that two states share exactly when all their facts are equal."""
    return blake2b(repr(dump(state)).encode(), digest_size=16).hexdigest()


def run_orders(
    channel: Channel,
    *,
    program: str,
    folder: str,
    seed: int,
    most: int,
    sampled: bool = False,
    picks: list[int] | None = None,
    before: str = "",
) -> bool:
    """Run a program in its orders, each on a store of its own, and send a `run` message for each.

    Args:
        channel: to whoever started this.
        program: `module:name` of the program.
        folder: for the stores, `order-<number>.db`.
        seed: of the simulated clock, and of the sample.
        most: how many at most.
        sampled: pick by chance.
        picks: try this order only.
        before: `module:name` of a function to call first.

    Returns:
        whether these were all there are.
    """
    finest_turns()
    logging.getLogger("workbench").disabled = True  # a run that is given up says so
    if before:
        resolve(before)()
    search, number = Search(), 0
    alone = picks is not None or sampled
    while number < most:
        store = Path(folder, f"order-{number}.db")
        channel.tell("order", number)
        search.begin()
        trail = Trail(Picks(picks or (), f"{seed}/{number}" if sampled else "") if alone else search)
        found = _run_order(program, store, trail, seed)
        if not search.pruned:
            channel.send("run", {"store": str(store), "picks": trail.picks, **found})
            number += 1
        if picks is not None:
            break
        if not alone and not search.advance():
            return True
    return False


def _run_order(program: str, store: Path, chooser: Chooser, seed: int) -> dict[str, Any]:
    for file in store.parent.glob(f"{store.name}*"):  # of a run that was given up
        file.unlink()
    effects_go_to(Path(f"{store}.effects"))
    session = start(store, clock=SimulatedClock(f"orders/{seed}"))
    Scheduler(session, chooser)
    result, error, state, objects = None, "", "", {}
    try:
        try:
            result = json.loads(json.dumps(resolve(program)(lambda _name, _value: None)))
        except WorkbenchError as raised:
            result = {"raised": type(raised).__name__, "what": raised.what}
        run(session.at_rest(), timeout=REST_SECONDS)
        state = session.thread.ask(lambda: digest(session.thread.state)).result()
        objects = objects_of(session)
    except Exception as raised:  # noqa: BLE001 - whatever a program raises in this order is what was found
        error = "".join(traceback.format_exception_only(raised)).strip()
    session.close()
    return {"result": result, "error": error, "state": state, "objects": objects}


def judge_orders(_channel: Channel, *, runs: list[dict[str, Any]], before: str = "") -> list[list[str]]:
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
