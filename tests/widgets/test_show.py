# mypy: disable-error-code="attr-defined"
"""Dashboards of real sessions: how one is asked for, what it knows when it begins, and what outlives the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.widgets.conftest import Show
from tests.widgets.front_end import FrontEnd
from workbench.errors import AgentIdError, SearchError, UnknownAgentError
from workbench.exports.page import PANES
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock
from workbench.widgets import dashboard as dashboards
from workbench.widgets.channel import Channel
from workbench.widgets.show import Still, dashboard, dashboard_from_now, display_dashboard


def _waiter() -> Any:
    @wb.agent
    class Waiter:
        async def wait(self, promise: wb.PromiseId) -> bytes:
            data: bytes = await wb.await_promise(promise)
            return data

    return Waiter.get()


def test_each_view_is_a_dashboard_of_its_own(front_end: FrontEnd, show: Show) -> None:
    """`session.dashboard()` has all views, the others one; the graph comes first unless another is asked for."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        made = {
            "dashboard": session.dashboard(),
            "timed": session.dashboard(tab="timeline"),
            "graph": session.agent_graph(),
            "timeline": session.timeline(),
            "promises": session.promise_board(),
            "forks": session.fork_tree_view(),
            "oplog": session.oplog_view(),
            "whole": wb.agent_graph(),
        }
        shown = {name: show(widget) for name, widget in made.items()}
    assert [
        shown[name].panes for name in ("dashboard", "graph", "timeline", "promises", "forks", "oplog", "whole")
    ] == [
        list(PANES),
        *([name] for name in ("graph", "timeline", "promises", "forks", "oplog", "graph")),
    ]
    assert [shown[name].tab for name in ("dashboard", "timed", "oplog")] == ["graph", "timeline", "oplog"]


def test_there_are_no_other_views(front_end: FrontEnd, no_classes: None) -> None:
    """A name that is none is refused with one that is meant, before anything is made."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        for options in ({"panes": ("graph", "time line")}, {"tab": "timelin"}):
            with pytest.raises(SearchError, match="timeline"):
                dashboard(session, **options)
    assert front_end.comms == []


def test_an_oplog_view_begins_with_an_agent(front_end: FrontEnd, show: Show, no_classes: None) -> None:
    """The agent is selected in it; one that there is not is refused."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        client = _waiter()
        client.wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
        assert show(session.oplog_view(client)).selection == ["Waiter()"]
        assert show(session.oplog_view("Waiter( )")).selection == ["Waiter()"]


def test_selected_gives_clients(front_end: FrontEnd, show: Show, no_classes: None) -> None:
    """What is picked in the page can be called; the class of an agent that is not defined here is asked for."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        client = _waiter()
        client.wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
        widget = show(session.agent_graph())
        widget.select(client)
        [picked] = widget.selected
        assert (picked.agent_id, wb.run(picked.status())) == (client.agent_id, "suspended")
        registry._types.pop("Waiter")
        with pytest.raises(UnknownAgentError, match="Waiter"):
            _ = widget.selected
        front_end.change(widget, selection=["no id"])
        with pytest.raises(AgentIdError):
            _ = widget.selected


def test_the_notebook_itself_is_nobodys_client(front_end: FrontEnd, show: Show, no_classes: None) -> None:
    """It can be picked as its agents can, and is no agent that one could call."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        client = _waiter()
        client.wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
        widget = show(session.agent_graph())
        widget.select("Session()", client)
        assert [picked.agent_id for picked in widget.selected] == [client.agent_id]


def test_agents_without_a_class_are_undefined_until_it_is_there(
    front_end: FrontEnd, show: Show, no_classes: None, tmp_path: Path
) -> None:
    """After a restart the views say which agents wait for their class, and what they do once its cell has run."""
    with wb.start(tmp_path / "lesson.db") as session:
        _waiter().wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
    registry._types.pop("Waiter")
    with wb.start(tmp_path / "lesson.db") as session:
        widget = show(session.dashboard())
        assert widget.still()["text/plain"] == "1 agent: 1 undefined"
        client = _waiter()
        assert widget.still()["text/plain"] == "1 agent: 1 suspended"
        assert wb.run(client.status()) == "suspended"
        front_end.until(lambda: widget._channel.tape.status(widget._channel.tape.moment(), 1).word == "suspended")
    assert not [look for look in registry.listeners if look.__name__ == "look"]


def test_a_trace_knows_what_is_so_when_it_begins(front_end: FrontEnd, show: Show, no_classes: None) -> None:
    """An agent that was interrupted before a trace, and goes on in it, is shown as it is from then on."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        client, promise = _waiter(), wb.create_promise()
        client.wait.trigger(promise)
        wb.run(session.at_rest())
        wb.run(client.interrupt())
        widget = show(dashboard_from_now(session))
        assert widget.still()["text/plain"] == "0 agents"
        client.wait.trigger(promise)
        wb.complete_promise(promise, b"")
        wb.run(session.at_rest())
        assert widget.still()["text/plain"] == "1 agent: 1 done"


def test_the_picture_of_a_long_log_is_made_from_the_state(
    front_end: FrontEnd, show: Show, no_classes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a hundred thousand entries to see how things stand: what is told is the same."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        _waiter().wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
        widget = show(session.agent_graph(), hello=False)
        folded = widget.still()
        monkeypatch.setattr(dashboards, "_LONG", -1)
        monkeypatch.setattr(Channel, "catch_up", lambda _: pytest.fail("it was folded"))
        assert widget.still()["text/plain"] == folded["text/plain"] == "1 agent: 1 suspended"
        assert widget.still()["image/svg+xml"].startswith("<svg")
        monkeypatch.undo()
        widget.close()


def test_a_dashboard_outlives_its_session(front_end: FrontEnd, show: Show, no_classes: None) -> None:
    """Once the session is closed the views show what was, a page that loads again gets it, and nothing is reported."""
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        _waiter().wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
        widget = show(session.dashboard())
        widget.settle()
    rows = len(widget._channel.tape)
    front_end.hello(widget)
    front_end.until(lambda: sum(packet.head["rows"] for packet in front_end.packets(widget)) >= rows)
    assert len(widget.at(None)) == 2
    assert "suspended" in widget.still()["text/plain"]
    assert "closed" in front_end.ask(widget, "why", slot=1)["error"]


def test_what_is_displayed_leaves_a_picture_without_a_widget(
    front_end: FrontEnd, show: Show, no_classes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the live views stands a still one, brought up to date with what is saved; its texts are no markup."""
    shown: list[Any] = []

    class Handle:
        def update(self, still: Still) -> None:
            shown.append(still._repr_mimebundle_())

    def display(what: Any, display_id: bool = False) -> Handle | None:  # noqa: FBT001, FBT002
        shown.append(what._repr_mimebundle_())
        return Handle() if display_id else None

    monkeypatch.setattr("workbench.widgets.show.display", display)
    with wb.start(":memory:", clock=SimulatedClock()) as session:
        widget = show(dashboard(session), hello=False)
        display_dashboard(widget)
        _waiter().wait.trigger(wb.create_promise())
        wb.run(session.at_rest())
        widget.finish()
    (live, _), still, *updates = shown
    assert "application/vnd.jupyter.widget-view+json" in live
    assert still["text/html"].startswith('<img class="wb-still" alt="0 agents" src="data:image/svg+xml;base64,')
    assert updates[-1]["text/plain"] == "1 agent: 1 suspended"
