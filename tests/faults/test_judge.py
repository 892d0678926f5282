"""What a sweep holds a recovered run to."""

from __future__ import annotations

import pytest

from workbench.model import entries as e
from workbench.model.entries import Body, Entry
from workbench.testing import sweep
from workbench.testing.launching import Report

BEGUN = e.StepStarted("act")


def log(*bodies: Body) -> list[Entry]:
    """One agent's oplog."""
    return [Entry(n, 2, n, 0, 0, 0, 0, "", body) for n, body in enumerate(bodies, 1)]


def judged() -> sweep._Judgement:
    """What is said of runs of a program with two effects, of which the undisturbed run had each once."""
    undisturbed = Report()
    undisturbed.result = {"result": 1}
    return sweep._Judgement(undisturbed, ["one", "other"], 0)


@pytest.mark.parametrize(
    ("last", "problems"),
    [
        (e.WaitDropped(2), []),
        (e.StepFinished(2, ok=True, value=b""), ["effect other happened 0 times, undisturbed 1"]),
        (e.WaitDropped(9), ["effect other happened 0 times, undisturbed 1"]),
    ],
    ids=["given up", "awaited", "another wait"],
)
def test_what_was_given_up_need_not_have_happened(last: Body, problems: list[str]) -> None:
    """A step that lost a race may have been killed before it did anything; one that was awaited happens."""
    assert judged()._effects(["one"], log(BEGUN, BEGUN, last)) == problems


def test_two_that_are_missing_for_one_given_up() -> None:
    """Each step that was given up excuses one effect."""
    found = judged()._effects([], log(BEGUN, BEGUN, e.WaitDropped(2)))
    assert found == [f"effect {name} happened 0 times, undisturbed 1" for name in ("one", "other")]
