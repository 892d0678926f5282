# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Launchers and finished stores, shared by the laws: each program of the corpus runs once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.replay import children
from workbench.testing import Launcher

MODULES = [
    "tests.replay.corpus",
    "tests.replay.children",
    "tests.replay.nondeterministic",
    "tests.replay.test_other_processes",
]


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children with `PYTHONHASHSEED=1`."""
    with Launcher(MODULES, tmp_path_factory.mktemp("output") / "first", hash_seed=1) as launcher:
        yield launcher


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """The same with `PYTHONHASHSEED=2`: sets of text are ordered differently in its children."""
    with Launcher(MODULES, tmp_path_factory.mktemp("output") / "second", hash_seed=2) as launcher:
        yield launcher


class Finished:
    """A program's store after its run: where, what it came to, the attributes of its agents, all batch ends."""

    def __init__(self, store: Path, report: dict[str, Any]) -> None:
        self.store = store
        self.result: Any = report["result"]
        self.objects: dict[str, Any] = report["objects"]
        self.ends: list[int] = report["ends"]


class Finisher:
    """Runs each program of the corpus once, when it is first asked for."""

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self._launcher, self._folder = launcher, folder
        self._finished: dict[str, Finished] = {}

    def __call__(self, name: str) -> Finished:
        found = self._finished.get(name)
        if found is None:
            store = self._folder / f"{name}.db"
            report = self._launcher.run(children.finish, program=name, store=str(store), seed="1")
            assert not report.error, report.error
            assert not report.hung, name
            found = self._finished[name] = Finished(store, report.result)
        return found


@pytest.fixture(scope="session")
def finished(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Finisher:
    """`finished(name)`: the store that a program of the corpus left."""
    return Finisher(launcher, tmp_path_factory.mktemp("finished"))
