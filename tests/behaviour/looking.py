"""What the behaviour tests ask a session behind its face: how much was written, and of which kinds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import workbench as wb
from workbench.core.state import State
from workbench.model.entries import Body, Entry
from workbench.testing import dump, rebuild_all, violations

PATIENCE = 20.0
"""Seconds after which a wait counts as hung. No test that passes waits for it."""


def log_of(session: wb.Session) -> list[Entry]:
    """All committed entries, in order."""
    return list(session._log.read())


def written(session: wb.Session) -> int:
    """How many entries stand in the store."""
    session.agents()  # answered once all that came before is committed
    return len(log_of(session))


@contextmanager
def writes_nothing(session: wb.Session) -> Iterator[None]:
    """Assert that the block leaves no entry."""
    before = written(session)
    yield
    assert written(session) == before


def kinds(session: wb.Session, agent: object) -> list[str]:
    """Names of the kinds of an agent's entries, in order."""
    return [entry.kind for entry in session.oplog(str(agent))]


def bodies(session: wb.Session, agent: object, kind: type[Body]) -> list[Body]:
    """The bodies of one kind in an agent's oplog."""
    return [entry.body for entry in session.oplog(str(agent)) if isinstance(entry.body, kind)]


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    import threading

    waker = threading.Event()
    for _ in range(int(PATIENCE * 500)):
        if condition():
            return
        waker.wait(0.002)
    message = "the condition never came true"
    raise AssertionError(message)


def assert_lawful(session: wb.Session) -> None:
    """Assert what holds for every store: a sound log, one fold, and a crash that every agent is rebuilt from."""
    wb.run(session.at_rest(), PATIENCE)
    session.agents()
    entries = log_of(session)
    assert violations(entries, at_rest=False) == []
    assert dump(State().fold(entries)) == dump(session.thread.state)
    session.simulate_crash()
    assert rebuild_all(session) == {}
