"""All that may be asked of a session, so that a hostile store is asked all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import workbench as wb
from workbench.exports.answers import Answers
from workbench.views import tables
from workbench.views.tape import Tape

_AGENTS: Final = 4
_SEARCH: Final = 'x or not (method:work "a b") index:2..9'
_NEWER: Final = 1 << 70

Look = Callable[[wb.Session, Path], object]


def _told(shown: Any) -> None:
    """Show something in each way that a notebook or a terminal does."""
    repr(shown)
    for name in ("_repr_html_", "_repr_mimebundle_"):
        if hasattr(shown, name):
            getattr(shown, name)()


def _of_each(ask: Callable[[wb.Session, str], object]) -> Look:
    """Ask about some agents; one whose question is refused does not keep the others from theirs."""

    def look(session: wb.Session, _folder: Path) -> None:
        for agent in session.agents()[:_AGENTS]:
            refusing(lambda: _told(ask(session, agent.agent_id)))  # noqa: B023 - called at once

    return look


def refusing(act: Callable[[], object]) -> None:
    """Do something that may be refused; the error has to say why."""
    try:
        act()
    except wb.WorkbenchError as error:
        clear(error)


def clear(error: wb.WorkbenchError) -> None:
    """Assert that an error says what and why, on few lines."""
    assert error.what, repr(error)
    assert error.why or isinstance(error, wb.InvocationError), repr(error)
    assert len(error.what) < 100_000, error.what[:200]


def _result(session: wb.Session, agent: str) -> object:
    try:
        return wb.run(session.result(agent))
    except LookupError as error:  # of an agent that was never invoked
        return error
    except TimeoutError as error:  # what an agent's code raised, on somebody's word
        assert isinstance(error, wb.InvocationError)  # noqa: PT017
        return error


def _compare(session: wb.Session, _folder: Path) -> None:
    agents = {agent.agent_id: agent for agent in session.agents()}
    for agent in list(agents.values())[:40]:
        if agent.forked_from:
            refusing(lambda: _told(session.compare(agent.agent_id, agent.forked_from)))  # noqa: B023 - at once


def _answers(session: wb.Session, _folder: Path) -> None:
    """What the views of a page ask."""
    tape = Tape()
    tape.apply(session.entries())
    answers = Answers(session, tape)
    answers.notes()
    for slot in range(min(len(tape.view.nodes), _AGENTS)):
        for kind in ("details", "why", "path", "oplog"):
            refusing(lambda: answers.answer(kind, {"slot": slot}))  # noqa: B023 - at once
    for entry in list(session.entries())[:60]:
        refusing(lambda: answers.answer("entry", {"seq": entry.seq}))  # noqa: B023 - at once


def _exports(session: wb.Session, folder: Path) -> None:
    session.to_shiviz(folder / "shiviz.log", overwrite=True)
    session.to_perfetto(folder / "trace.json", overwrite=True)
    for kind in ("graph", "sequence"):
        session.to_mermaid(kind)


def _kinds(act: Callable[[wb.Session, str], object], kinds: Iterable[str]) -> Look:
    def look(session: wb.Session, _folder: Path) -> None:
        for kind in kinds:
            _told(act(session, kind))

    return look


LOOKS: Final[dict[str, Look]] = {
    "agents": lambda session, _: _told(tables.agents_table(session.agents())),
    "promises": lambda session, _: _told(tables.promises_table(session.promises())),
    "forks": lambda session, _: _told(tables.forks_table(session.fork_tree())),
    "records": lambda session, _: (tables.records(session.agents()), tables.records(session.promises())),
    "invocations": lambda session, _: _told(session.invocations()),
    "schedules": lambda session, _: _told(session.schedules()),
    "graph": lambda session, _: session.graph(),
    "a past graph": lambda session, _: session.graph(at=7),
    "entries": lambda session, _: _told(list(session.entries())),
    "sql": lambda session, _: session.sql("SELECT * FROM oplog JOIN log USING (seq) LIMIT 200"),
    "oplog": _of_each(lambda session, agent: tables.oplog_table(session.oplog(agent))),
    "search": _of_each(lambda session, agent: session.oplog(agent, _SEARCH)),
    "cut": _of_each(lambda session, agent: session.cut(agent, 3)),
    "why": _of_each(lambda session, agent: session.why(agent)),
    "why a result": _of_each(lambda session, agent: session.why(value_of=agent)),
    "path": _of_each(lambda session, agent: session.critical_path(agent)),
    "status": _of_each(lambda session, agent: session.status(agent).result()),
    "compare": _compare,
}
"""By name: what takes a millisecond or two."""

DRAWN: Final[dict[str, Look]] = {
    "pictures": _kinds(lambda session, kind: session.snapshot(kind), ("graph", "timeline", "forks", "promises")),
    "answers": _answers,
    "exports": _exports,
    "page": lambda session, folder: session.to_html(folder / "page.html", overwrite=True),
}
"""By name: what takes more."""

RESULTS: Final = _of_each(_result)


def look_at(session: wb.Session, folder: Path, drawn: str, *, results: bool = True) -> None:
    """Ask a session everything; each question is answered, or refused in words.

    Args:
        session: which.
        folder: for exported files.
        drawn: which of `DRAWN`.
        results: read results, too; a session that runs may wait for them for ever.
    """
    for look in (*LOOKS.values(), DRAWN[drawn], *([RESULTS] if results else [])):
        refusing(lambda: look(session, folder))  # noqa: B023 - called at once
