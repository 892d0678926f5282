"""The five questions, asked of twenty runs: each answer is exactly what the run was prepared to have."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.behaviour import runs20
from tests.behaviour.conftest import Opener
from tests.behaviour.runs20 import RUNS, Stage, gate, prepared
from workbench.model.agent_type import registry


@pytest.fixture(autouse=True)
def classes_of_the_runs() -> None:
    """The classes of the runs count."""
    for value in vars(runs20).values():
        if isinstance(value, type) and "__agent_type__" in vars(value):
            registry.add(vars(value)["__agent_type__"])


@pytest.fixture
def stage(opened: Opener, tmp_path: Path) -> Iterator[Stage]:
    """Where a run is prepared; no step stands at the gate when it is over."""
    yield Stage(opened, tmp_path)
    gate.set()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_five_questions(stage: Stage, run: Callable[[Stage], None]) -> None:
    """Agents, kinds of links, roots, segments and differences are told as they were prepared."""
    found = prepared(run, stage)
    assert found.answers
    assert [(answer.question, answer.got) for answer in found.answers] == [
        (answer.question, answer.wanted) for answer in found.answers
    ]


def test_there_are_twenty_runs() -> None:
    """The runs are twenty, each under a name of its own."""
    assert len({run.__name__ for run in RUNS}) == 20
