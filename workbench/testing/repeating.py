"""One line that repeats a failure: `pytest "<test>" --seed 17 --fault append.commit.after@37`.

A sweep names its faults: `append.commit.after@37` is the 37th of the fault points that count, `...@37+5` the same with
the recovery killed at its fifth; `kill@12.345` a kill from outside after so many milliseconds; `order@0.2.1` an order
of completion, by what was picked of each choice. Under `repeat`, which the options of pytest call, a sweep tries that
one only.
"""

import os
import re
from typing import Final, NamedTuple

PLUGIN: Final = "workbench.testing.plugin"
"""Gives pytest the two options."""

_FORM: Final = re.compile(r"(?P<point>[\w.]+)@(?P<place>[\d.]*)(?:\+(?P<again>\d+))?")

OTHERS: Final = frozenset({"kill", "order"})
"""Names of faults that are no fault point."""


class Fault(NamedTuple):
    """One fault of a sweep."""

    point: str
    place: str
    again: int = 0

    def __str__(self) -> str:
        return f"{self.point}@{self.place}{f'+{self.again}' if self.again else ''}"

    @property
    def picks(self) -> list[int]:
        """Of an order: what was picked."""
        return [int(part) for part in self.place.split(".") if part]


class _Chosen:
    seed: int | None = None
    fault: Fault | None = None
    command = f"pytest -p {PLUGIN}"


_chosen = _Chosen()


def repeat(seed: int | None = None, fault: str = "") -> None:
    """From now on sweeps in this process use this seed, and try this fault only; by default all, as they choose.

    Raises:
        ValueError: the fault has another form than `point@number`.
    """
    form = _FORM.fullmatch(fault)
    if fault and form is None:
        raise ValueError(f"{fault!r} names no fault: write it as a failure prints it, `append.commit.after@37`")
    _chosen.seed = seed
    _chosen.fault = form and Fault(form["point"], form["place"], int(form["again"] or 0))


def options_known() -> None:
    """Pytest knows the options here, so a line need not name the plugin."""
    _chosen.command = "pytest"


def the_seed(given: int) -> int:
    """The seed to use where `given` is the default."""
    return given if _chosen.seed is None else _chosen.seed


def the_fault() -> Fault | None:
    """The one fault to try, if there is one."""
    return _chosen.fault


def line(program: str, fault: Fault, seed: int) -> str:
    """How to repeat a fault: a command in a test, else the program with what to pass to `repeat`."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    what = f'{_chosen.command} "{test}"' if test else program
    return f"{what} --seed {seed} --fault {fault}"
