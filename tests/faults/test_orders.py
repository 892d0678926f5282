"""Every order in which calls, steps, timers and promises may complete: the log of each holds, and replays equal."""

from __future__ import annotations

import math

import pytest

from tests.crash import programs
from tests.faults import order_programs
from tests.faults.order_programs import NAMES, SIZES
from tests.replay.corpus import PROGRAMS as CORPUS
from workbench.testing import orders

MANY = {"timeout", "promises"}
"""Where chance has a say at each moment: ten times as many orders for each child more."""
DIFFERENT = {
    "race": lambda n: {str(10 * k + 4) for k in range(n)},
    "race_ok": lambda n: {str(10 * k + 5) for k in range(1, n)},
    "try_join": lambda n: {f'"{k}"' for k in range(1, n, 2)},
}
"""Programs whose result is who came first, with all results that there are."""
LARGE = [("timeout", 4), ("timeout", 5), ("timeout", 6), ("promises", 4), ("promises", 5), ("promises", 6)]
LARGE += [("forks", 5), ("forks", 6), ("mixed", 5), ("mixed", 6), ("timers", 6), ("race", 6), ("race_ok", 6)]
"""Programs with more orders than are worth the time: a sample is tried."""


def hold(name: str, size: int, *, sample: int = 0) -> int:
    """Try the orders of a program; how many there were."""
    found = orders(order_programs.PROGRAMS[name, size], sample=sample, seed=1)
    assert found.problems == []
    assert found.complete is not bool(sample)
    if name in DIFFERENT:
        assert set(found.results) == DIFFERENT[name](size)
    elif name != "timeout":
        assert len(found.results) == 1, found.results
    return found.orders


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_order_of_few(name: str) -> None:
    """With two or three children each order comes to rest, breaks no law and replays equal; each winner wins once."""
    hold(name, 2 if name in MANY else 3)


def test_the_orders_of_a_join_are_all_there_are() -> None:
    """Four calls that are joined can come in 24 orders, and exactly these are tried."""
    assert hold("join", 4) == math.factorial(4)


def test_timers_of_an_agent_come_in_their_order() -> None:
    """No order is tried in which a later timer of an agent comes before an earlier one."""
    assert set(orders(programs.limited).results) == {'"slept"'}


def test_a_key_that_was_withdrawn_is_free() -> None:
    """A keyed call that left the queue and is made again breaks no law."""
    found = orders(programs.withdrawn_key, sample=5)
    assert found.problems == []
    assert set(found.results) == {"2"}


def test_orders_with_an_agent_that_stands_still() -> None:
    """What is due to an interrupted agent stays due until it is resumed, and is no choice meanwhile."""
    found = orders(programs.interrupted_join, sample=20)
    assert found.problems == []
    assert found.orders == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fork_in_flight", "cancelled_calls", "deadlock", "step_retried", "interrupted"])
def test_some_orders_of_the_corpus(name: str) -> None:
    """Programs of the replay corpus hold the laws also when completions come in an order picked by chance."""
    found = orders(CORPUS[name], sample=12, seed=1)
    assert found.problems == []
    assert found.orders == 12


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "size"), [(n, s) for n in NAMES for s in SIZES if (n, s) not in LARGE])
def test_every_order_of_two_to_six(name: str, size: int) -> None:
    """The same for two to six children, all orders that there are."""
    hold(name, size)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "size"), LARGE)
def test_a_sample_of_many_orders(name: str, size: int) -> None:
    """Where there are too many orders to try all, five hundred of them by chance."""
    hold(name, size, sample=500)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(CORPUS))
def test_many_orders_of_the_corpus(name: str) -> None:
    """Forty orders of every program of the corpus, by chance."""
    found = orders(CORPUS[name], sample=40, seed=2)
    assert found.problems == []
    assert found.orders == 40
