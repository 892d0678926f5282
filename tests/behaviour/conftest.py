"""Sessions for the behaviour tests. Each is closed; most are held to the laws of every store when the test is over."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

import workbench as wb
from tests.behaviour.looking import assert_lawful
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Importing these modules leaves no agent classes behind for the tests of other folders."""
    before = dict(registry._types)
    try:
        return (yield)
    finally:
        registry._types.clear()
        registry._types.update(before)


@pytest.fixture(autouse=True)
def own_classes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Classes of other test modules may have the same names: the ones of this module count, and only for this test."""
    before = dict(registry._types)
    for value in vars(request.module).values():
        if isinstance(value, type) and "__agent_type__" in vars(value):
            registry.add(vars(value)["__agent_type__"])
    yield
    registry._types.clear()
    registry._types.update(before)


Opener = Callable[..., wb.Session]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """`wb.start`, with whatever it opened closed in the end; no laws are checked."""
    sessions: list[wb.Session] = []

    def start(*args: object, **options: object) -> wb.Session:
        session = wb.start(*args, **options)  # type: ignore[arg-type]
        sessions.append(session)
        return session

    yield start
    for session in reversed(sessions):
        session.close()


@pytest.fixture
def session(opened: Opener) -> Iterator[wb.Session]:
    """A session that keeps nothing, in simulated time; held to the laws when the test is over."""
    found = opened(":memory:", clock=SimulatedClock())
    yield found
    if not found.closed:
        assert_lawful(found)


@pytest.fixture(params=["memory", "file"])
def either(request: pytest.FixtureRequest, opened: Opener, tmp_path: Path) -> Iterator[wb.Session]:
    """The same on both stores, for what is at the core."""
    path = ":memory:" if request.param == "memory" else str(tmp_path / "store.db")
    found = opened(path, clock=SimulatedClock())
    yield found
    if not found.closed:
        assert_lawful(found)
