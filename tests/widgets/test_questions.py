# mypy: disable-error-code="attr-defined"
"""What a page asks and has done: every kind on a session that did something of everything, and what is refused."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.widgets.conftest import Show
from tests.widgets.front_end import FrontEnd
from workbench.exports.answers import Answers
from workbench.model import entries as e
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock
from workbench.views.tape import PromiseEvent, Row, Tape
from workbench.widgets.acts import Acts
from workbench.widgets.dashboard import Dashboard

EVIL = "</script><img src=x onerror=alert(1)>"


def _clerk() -> Any:
    @wb.agent
    class Clerk:
        """Does one thing of each kind."""

        def __init__(self, name: str) -> None:
            self.name = name

        async def file(self, item: str) -> str:
            if item == "torn":
                raise ValueError(f"{item}: {EVIL}")
            await asyncio.sleep(2)
            shouted: str = await wb.step(str.upper, item)
            return shouted

        async def wait(self, promise: wb.PromiseId) -> str:
            payload: bytes = await wb.await_promise(promise)
            return payload.decode()

        async def part(self) -> str:
            return type(wb.fork()).__name__

        async def ask(self, other: str, promise: wb.PromiseId) -> str:
            heard: str = await Clerk.get(other).wait(promise)
            return heard

    return Clerk


class Office:
    """A session in which clerks filed, failed, forked, and one still waits for another that waits for a promise."""

    def __init__(self, path: str = ":memory:") -> None:
        self.session = wb.start(path, clock=SimulatedClock())
        self.clerk = _clerk().get
        wb.run(self.clerk("filer").file(EVIL))
        with pytest.raises(ValueError, match="torn"):
            wb.run(self.clerk("failer").file("torn"))
        wb.run(self.clerk("parter").part())
        self.promise = wb.create_promise()
        self.clerk("asker").ask.trigger("waiter", self.promise)
        self.rest()

    def rest(self) -> None:
        """Until nothing goes on by itself."""
        wb.run(self.session.at_rest())

    def tape(self) -> Tape:
        """The tape of all that is committed."""
        tape = Tape()
        tape.apply(self.session.feed.read(0))
        return tape

    def slot(self, name: str) -> int:
        """Where an agent stands in any view."""
        node = self.tape().view.find(f'Clerk("{name}")')
        assert node is not None
        return node.slot

    def fork(self) -> int:
        """Where the fork stands."""
        tape = self.tape()
        return tape.slot[next(tape.rows(Row.FORK))]

    def seq(self, kind: type[e.Body], last: bool = False) -> int:  # noqa: FBT001, FBT002
        """The first or the last entry of a kind."""
        found = [entry.seq for entry in self.session.feed.read(0) if isinstance(entry.body, kind)]
        return found[-1 if last else 0]


@pytest.fixture
def office(no_classes: None) -> Iterator[Office]:
    """An office that is closed at the end."""
    made = Office()
    yield made
    made.session.close()


Desk = tuple[Dashboard, Office, FrontEnd]


@pytest.fixture
def desk(front_end: FrontEnd, office: Office, show: Show) -> Desk:
    """A dashboard on the office, whose page has all rows."""
    widget = show(office.session)
    widget.settle()
    return widget, office, front_end


# ---- questions


def test_details_say_what_an_agent_waits_for_and_why_it_failed(desk: Desk) -> None:
    """By slot, with errors in words."""
    widget, office, page = desk
    asker = page.ask(widget, "details", slot=office.slot("asker"))["value"]
    assert (asker["status"], asker["waits"][0]["on"]) == ("waiting", 'Clerk("waiter")')
    failer = page.ask(widget, "details", slot=office.slot("failer"))["value"]
    assert (failer["status"], failer["error"]) == ("failed", f"ValueError: torn: {EVIL}")


def test_a_bar_tells_the_invocation_at_an_entry(desk: Desk) -> None:
    """Its method, arguments, source line, and how it ended; while it runs it has no end."""
    widget, office, page = desk
    begun = office.seq(e.InvocationStarted)
    bar = page.ask(widget, "bar", slot=office.slot("filer"), seq=begun)["value"]
    assert (bar["agent"], bar["method"], bar["error"]) == ('Clerk("filer")', "file", None)
    assert EVIL in bar["args"]
    assert EVIL.upper() in bar["result"]
    assert bar["finished"] == office.seq(e.InvocationFinished)
    failed = page.ask(widget, "bar", slot=office.slot("failer"), seq=_own(office, "failer", e.InvocationStarted))[
        "value"
    ]
    assert (failed["result"], "torn" in failed["error"]) == (None, True)
    waiting = page.ask(widget, "bar", slot=office.slot("waiter"), seq=_own(office, "waiter", e.InvocationStarted))[
        "value"
    ]
    assert (waiting["method"], waiting["result"], waiting["error"], "finished" in waiting) == (
        "wait",
        None,
        None,
        False,
    )


def _own(office: Office, name: str, kind: type[e.Body]) -> int:
    tape = office.tape()
    uid = tape.view.nodes[office.slot(name)].uid
    return next(x.seq for x in office.session.feed.read(0) if x.agent == uid and isinstance(x.body, kind))


def test_an_entry_is_opened_with_all_it_holds(desk: Desk) -> None:
    """Its text, its value as a tree, its causes and effects, the line of code."""
    widget, office, page = desk
    ended = office.seq(e.StepFinished)
    opened = page.ask(widget, "entry", seq=ended)["value"]
    assert (opened["seq"], opened["kind"], opened["agent"]) == (ended, "StepFinished", 'Clerk("filer")')
    fields = {field["name"]: field for field in opened["payload"]["children"]}
    assert EVIL.upper() in fields["value"]["text"]
    assert opened["slot"] == office.slot("filer")
    call = page.ask(widget, "entry", seq=office.seq(e.CallMade))["value"]
    assert call["effects"]
    assert "ask(" in page.ask(widget, "entry", seq=office.seq(e.CallMade, last=True))["value"]["source"] or call["line"]


def test_an_oplog_comes_in_pages_and_can_be_searched(desk: Desk) -> None:
    """`total` says how many there are; a search that cannot be read says why and where."""
    widget, office, page = desk
    slot = office.slot("filer")
    first = page.ask(widget, "oplog", slot=slot, count=3)["value"]
    rest = page.ask(widget, "oplog", slot=slot, after=3, count=500)["value"]
    assert (len(first["rows"]), first["total"]) == (3, 3 + len(rest["rows"]))
    told = [row["index"] for row in first["rows"] + rest["rows"]]
    assert told == [entry.index for entry in office.session.oplog('Clerk("filer")')]
    found = page.ask(widget, "oplog", slot=slot, search="kind:StepFinished")["value"]
    expected = office.session.oplog('Clerk("filer")', "kind:StepFinished")
    assert [row["seq"] for row in found["rows"]] == [entry.seq for entry in expected]
    assert found["total"] == 1
    bad = page.ask(widget, "oplog", slot=slot, search="(kind:")["value"]
    assert bad["error"]
    assert bad["rows"] == []


def test_why_is_answered_with_links_to_places(desk: Desk) -> None:
    """The sentences are the session's; each agent in a link is a slot of the view."""
    widget, office, page = desk
    why = page.ask(widget, "why", slot=office.slot("asker"))["value"]
    told = office.session.why('Clerk("asker")')
    assert why["sentences"] == told.sentences
    assert why["roots"] == told.roots
    assert [link["slot"] for link in why["links"]][:2] == [office.slot("asker"), office.slot("waiter")]
    assert office.slot("waiter") in why["links"][0]["toSlots"]


def test_the_critical_path_of_an_agent_and_of_the_newest_call_of_a_cell(desk: Desk) -> None:
    """In milliseconds, each part with the slot of its agent; asked at the notebook it is that of its newest call."""
    widget, office, page = desk
    path = page.ask(widget, "path", slot=office.slot("filer"))["value"]
    told = office.session.critical_path('Clerk("filer")')
    assert path["sentences"] == told.sentences
    assert path["end"] - path["begin"] == pytest.approx(told.total * 1000)
    assert {part["slot"] for part in path["segments"]} <= {office.slot("filer"), 0}
    newest = page.ask(widget, "path", slot=0)["value"]
    assert newest["agent"] == 'Clerk("asker")'
    assert not newest["ended"]


def test_forks_are_compared_and_told(desk: Desk) -> None:
    """Sentences on how they differ, and what each of them returned."""
    widget, office, page = desk
    slots = [office.slot("parter"), office.fork()]
    ids = [office.tape().view.nodes[slot].agent_id for slot in slots]
    assert page.ask(widget, "compare", slots=slots)["value"]["sentences"] == office.session.compare(*ids).sentences
    results = page.ask(widget, "forks", slots=[*slots, office.slot("failer"), office.slot("waiter")])["value"][
        "results"
    ]
    assert [results[str(slot)]["ok"] for slot in slots] == [True, True]
    assert ["Original" in results[str(slots[0])]["text"], "Forked" in results[str(slots[1])]["text"]] == [True, True]
    assert results[str(office.slot("failer"))] == {"text": f"ValueError: torn: {EVIL}", "ok": False}
    assert results[str(office.slot("waiter"))] == {"text": "", "ok": None}


def test_a_promise_tells_who_waits_and_what_it_was_completed_with(desk: Desk) -> None:
    """As the session tells it; the value once there is one."""
    widget, office, page = desk
    pending = page.ask(widget, "promise", number=0)["value"]
    assert (pending["state"], pending["waiters"], pending["value"]) == ("pending", ['Clerk("waiter")'], None)
    wb.complete_promise_json(office.promise, {"ok": EVIL})
    office.rest()
    widget.settle()
    done = page.ask(widget, "promise", number=0)["value"]
    assert (done["state"], done["waiters"]) == ("completed", [])
    assert EVIL in done["value"]
    assert done["id"] == str(office.promise)


BAD: list[tuple[Any, dict[str, Any]]] = [
    ("nonsense", {}),
    (None, {}),
    (["x"], {}),
    ("_why", {"slot": 1}),
    ("details", {}),
    ("details", {"slot": 99}),
    ("details", {"slot": -1}),
    ("details", {"slot": "1"}),
    ("details", {"slot": None}),
    ("details", {"slot": 1, "more": 2}),
    ("details", {"slot": 1, "self": 2}),
    ("bar", {"slot": 1, "seq": 10**30}),
    ("bar", {"slot": 1, "seq": "7"}),
    ("bar", {"slot": 1, "seq": 0}),
    ("entry", {"seq": -1}),
    ("entry", {"seq": 1.5}),
    ("entry", {"seq": [1]}),
    ("oplog", {"slot": 1, "search": 5}),
    ("oplog", {"slot": 1, "after": "x"}),
    ("oplog", {"slot": 1, "after": 10**30}),
    ("oplog", {"slot": 1, "count": None}),
    ("oplog", {"slot": 1, "count": float("inf")}),
    ("why", {"slot": 99}),
    ("path", {"slot": {}}),
    ("compare", {"slots": 5}),
    ("compare", {"slots": []}),
    ("compare", {"slots": [1]}),
    ("compare", {"slots": ["x", "y"]}),
    ("promise", {"number": 99}),
    ("promise", {"number": "0"}),
    ("promise", {}),
    ("forks", {"slots": None}),
    ("forks", {"slots": [99]}),
    ("complete", {"number": 99, "text": "1"}),
    ("complete", {"number": 0, "text": "{"}),
    ("complete", {"number": 0}),
    ("plan", {"slot": 99, "index": 1}),
    ("plan", {"slot": 1, "index": "1"}),
    ("plan", {"slot": 1, "index": True}),
    ("fork", {"slot": 1}),
    ("fork", {"slot": None, "index": 1}),
    ("fork", {"slot": 1, "index": 10**30}),
    ("revert", {"slot": 1, "index": None}),
    ("revert", {"slot": 0, "index": 1}),
]


@pytest.mark.parametrize(("kind", "args"), BAD, ids=str)
def test_a_bad_question_is_answered_with_words(
    kind: object, args: dict[str, Any], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a page asks is trusted: it gets an error text, nothing is written, and nothing is reported."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda hooked: reported.append(hooked.exc_value))
    widget, office, page = desk
    before = office.session.feed.committed
    answer = page.ask(widget, kind, **args)
    assert len(answer["error"]) > 10
    assert json.dumps(answer)
    assert office.session.feed.committed == before
    assert reported == []


def test_an_answer_that_fails_unexpectedly_is_given_and_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page never waits in vain, and the fault is shown where uncaught ones are."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda hooked: reported.append(hooked.exc_type))
    widget, _, page = desk

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(Answers._KINDS, "broken", broken)
    assert page.ask(widget, "broken")["error"] == "ZeroDivisionError: oh"
    assert page.ask(widget, "details", slot=1)["value"]["id"]
    assert reported == [ZeroDivisionError]


def test_notes_answer_what_a_page_without_a_kernel_asks(office: Office) -> None:
    """They are the same answers as the live ones, by kind and key, in JSON; those that cannot be given are left out."""
    answers = Answers(office.session, office.tape())
    notes = json.loads(json.dumps(answers.notes()))
    asker = office.slot("asker")
    assert notes[f"why:{asker}"]["sentences"] == answers.answer("why", {"slot": asker})["sentences"]
    assert notes[f"details:{asker}"]["id"] == 'Clerk("asker")'
    assert notes["promise:0"]["state"] == "pending"
    assert set(notes["forks:all"]["results"]) == {str(office.slot("parter")), str(office.fork())}
    assert notes["path:0"]["agent"] == 'Clerk("asker")'
    with wb.start(":memory:", clock=SimulatedClock()) as empty:
        tape = Tape()
        tape.apply(empty.feed.read(0))
        assert set(Answers(empty, tape).notes()) == {"details:0", "forks:all"}


# ---- acts


def test_a_promise_is_completed_by_hand(desk: Desk) -> None:
    """The first completion stands and wakes who waits; a later one is told that it came too late."""
    widget, office, page = desk
    assert page.ask(widget, "complete", number=0, text='{"ok": true}')["value"] == {"first": True}
    assert page.ask(widget, "complete", number=0, text="2")["value"] == {"first": False}
    office.rest()
    assert json.loads(wb.run(office.session.result('Clerk("waiter")'))) == {"ok": True}
    tape = office.tape()
    events = [tape.b[row] for row in tape.rows(Row.PROMISE)]
    assert events.count(PromiseEvent.COMPLETED) == events.count(PromiseEvent.IGNORED) == 1


def test_what_is_no_json_completes_nothing(desk: Desk) -> None:
    """The refusal says what is wrong with the text and shows how to write it."""
    widget, office, page = desk
    for text in ("{", "", "NaN", "'x'", "\ud800"):
        assert "no JSON" in page.ask(widget, "complete", number=0, text=text)["error"]
    assert wb.promise_state(office.promise) == "pending"


def test_a_plan_says_what_a_fork_and_a_revert_will_do(desk: Desk) -> None:
    """Before anything is done its reader is told what it means, or why it will be refused."""
    widget, office, page = desk
    slot = office.slot("filer")
    newest = office.session.oplog('Clerk("filer")')[-1].index
    fork = page.ask(widget, "plan", slot=slot, index=2, verb="fork")["value"]
    back = page.ask(widget, "plan", slot=slot, index=2, verb="revert")["value"]
    assert fork["ok"]
    assert "Makes a new agent" in fork["text"]
    assert back["ok"]
    assert f"{newest - 2} entries up to index {newest}" in back["text"]
    last = page.ask(widget, "plan", slot=slot, index=newest - 1)["value"]
    assert "1 entry up to" in last["text"]
    assert "Nothing came after" in page.ask(widget, "plan", slot=slot, index=newest)["value"]["text"]
    refused = page.ask(widget, "plan", slot=slot, index=0)["value"]
    assert not refused["ok"]
    assert "cannot go back to index 0" in refused["text"]


def test_an_agent_is_forked_and_taken_back(desk: Desk) -> None:
    """As the methods of its client do it; what is refused is told in the same words."""
    widget, office, page = desk
    slot = office.slot("filer")
    newest = office.session.oplog('Clerk("filer")')[-1].index
    forked = page.ask(widget, "fork", slot=slot, index=newest)["value"]["agent"]
    assert forked in [agent.agent_id for agent in office.session.agents() if agent.forked_from == 'Clerk("filer")']
    assert page.ask(widget, "revert", slot=slot, index=1)["value"] == {"done": True}
    office.rest()
    assert wb.run(office.clerk("filer").status()) == "idle"
    assert [type(x.body) for x in office.session.oplog('Clerk("filer")')] == [e.AgentCreated]
    assert "index" in page.ask(widget, "fork", slot=slot, index=newest + 50)["error"]


def test_who_was_deleted_is_told_apart_from_its_next_life(desk: Desk) -> None:
    """Questions about an agent that is no more are answered in words, its oplog is still shown; acts are refused."""
    widget, office, page = desk
    slot = office.slot("filer")
    wb.run(office.clerk("filer").delete())
    wb.run(office.clerk("filer").file("again"))
    widget.settle()
    assert "was deleted" in page.ask(widget, "why", slot=slot)["error"]
    assert page.ask(widget, "details", slot=slot)["value"]["deleted"]
    assert page.ask(widget, "oplog", slot=slot)["value"]["total"] >= 0
    before = office.session.feed.committed
    for kind in ("plan", "fork", "revert"):
        assert "was deleted" in page.ask(widget, kind, slot=slot, index=2)["error"]
    assert office.session.feed.committed == before


def test_a_session_that_only_reads_answers_and_refuses_acts(
    front_end: FrontEnd, show: Show, no_classes: None, tmp_path: Path
) -> None:
    """All questions have their answers; whatever would write is refused in words."""
    path = tmp_path / "office.db"
    office = Office(str(path))
    slot = office.slot("asker")
    office.session.close()
    registry._types.pop("Clerk")
    with wb.start(path, read_only=True) as reader:
        widget = show(reader)
        widget.settle()
        assert front_end.ask(widget, "why", slot=slot)["value"]["sentences"]
        assert front_end.ask(widget, "oplog", slot=slot, search="kind:CallMade")["value"]["total"] == 1
        for kind, args in (
            ("complete", {"number": 0, "text": "1"}),
            ("plan", {"slot": slot, "index": 2, "verb": "fork"}),
            ("fork", {"slot": slot, "index": 2}),
            ("revert", {"slot": slot, "index": 2}),
        ):
            assert "read only" in front_end.ask(widget, kind, **args)["error"]
        widget.close()


def test_every_kind_of_question_and_act_has_a_test() -> None:
    """A kind that is added here without a claim is found."""
    source = Path(__file__).read_text("utf-8")
    for kind in (*Answers._KINDS, *Acts._KINDS):
        assert f'page.ask(widget, "{kind}", ' in source, kind
