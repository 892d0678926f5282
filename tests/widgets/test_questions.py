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

        async def alone(self) -> None:
            await wb.await_promise(wb.create_promise())

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


class Visit:
    """A dashboard on an office, with a page that asks."""

    def __init__(self, widget: Dashboard, office: Office, page: FrontEnd) -> None:
        self.widget, self.office, self._page = widget, office, page

    def asked(self, kind: Any, **args: Any) -> Any:
        """The answer to a question."""
        answer = self._page.ask(self.widget, kind, **args)
        assert "error" not in answer, answer
        return answer["value"]

    def refused(self, kind: Any, **args: Any) -> str:
        """The words with which a question is refused."""
        answer = self._page.ask(self.widget, kind, **args)
        assert "value" not in answer, answer
        words: str = answer["error"]
        return words


@pytest.fixture
def visit(front_end: FrontEnd, office: Office, show: Show) -> Iterator[Visit]:
    """A page that has all rows of the office."""
    made = Visit(show(office.session), office, front_end)
    made.widget.settle()
    yield made
    vars(made).clear()  # so that nothing keeps the dashboard


# ---- questions


def test_details_say_what_an_agent_waits_for_and_why_it_failed(visit: Visit) -> None:
    """By slot, with errors in words."""
    office = visit.office
    asker = visit.asked("details", slot=office.slot("asker"))
    assert (asker["status"], asker["waits"][0]["on"]) == ("waiting", 'Clerk("waiter")')
    failer = visit.asked("details", slot=office.slot("failer"))
    assert (failer["status"], failer["error"]) == ("failed", f"ValueError: torn: {EVIL}")


def test_a_bar_tells_the_invocation_at_an_entry(visit: Visit) -> None:
    """Its method, arguments, source line, and how it ended; while it runs it has no end."""
    office = visit.office
    begun = office.seq(e.InvocationStarted)
    bar = visit.asked("bar", slot=office.slot("filer"), seq=begun)
    assert (bar["agent"], bar["method"], bar["error"]) == ('Clerk("filer")', "file", None)
    assert EVIL in bar["args"]
    assert EVIL.upper() in bar["result"]
    assert bar["finished"] == office.seq(e.InvocationFinished)
    failed = visit.asked("bar", slot=office.slot("failer"), seq=_own(office, "failer", e.InvocationStarted))
    assert (failed["result"], "torn" in failed["error"]) == (None, True)
    waiting = visit.asked("bar", slot=office.slot("waiter"), seq=_own(office, "waiter", e.InvocationStarted))
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


def test_an_entry_is_opened_with_all_it_holds(visit: Visit) -> None:
    """Its text, its value as a tree, its causes and effects, the line of code."""
    office = visit.office
    ended = office.seq(e.StepFinished)
    opened = visit.asked("entry", seq=ended)
    assert (opened["seq"], opened["kind"], opened["agent"]) == (ended, "StepFinished", 'Clerk("filer")')
    fields = {field["name"]: field for field in opened["payload"]["children"]}
    assert EVIL.upper() in fields["value"]["text"]
    assert opened["slot"] == office.slot("filer")
    call = visit.asked("entry", seq=office.seq(e.CallMade))
    assert call["effects"]
    assert "ask(" in visit.asked("entry", seq=office.seq(e.CallMade, last=True))["source"] or call["line"]


def test_an_oplog_comes_in_pages_and_can_be_searched(visit: Visit) -> None:
    """`total` says how many there are; a search that cannot be read says why and where."""
    office = visit.office
    slot = office.slot("filer")
    first = visit.asked("oplog", slot=slot, count=3)
    rest = visit.asked("oplog", slot=slot, after=3, count=500)
    assert (len(first["rows"]), first["total"]) == (3, 3 + len(rest["rows"]))
    told = [row["index"] for row in first["rows"] + rest["rows"]]
    assert told == [entry.index for entry in office.session.oplog('Clerk("filer")')]
    found = visit.asked("oplog", slot=slot, search="kind:StepFinished")
    expected = office.session.oplog('Clerk("filer")', "kind:StepFinished")
    assert [row["seq"] for row in found["rows"]] == [entry.seq for entry in expected]
    assert found["total"] == 1
    bad = visit.asked("oplog", slot=slot, search="(kind:")
    assert bad["error"]
    assert bad["rows"] == []


def test_why_is_answered_with_links_to_places(visit: Visit) -> None:
    """The sentences are the session's; each agent in a link is a slot of the view."""
    office = visit.office
    why = visit.asked("why", slot=office.slot("asker"))
    told = office.session.why('Clerk("asker")')
    assert why["sentences"] == told.sentences
    assert why["roots"] == told.roots
    assert [link["slot"] for link in why["links"]][:2] == [office.slot("asker"), office.slot("waiter")]
    assert office.slot("waiter") in why["links"][0]["toSlots"]


def test_the_critical_path_of_an_agent_and_of_the_newest_call_of_a_cell(visit: Visit) -> None:
    """In milliseconds, each part with the slot of its agent; asked at the notebook it is that of its newest call."""
    office = visit.office
    path = visit.asked("path", slot=office.slot("filer"))
    told = office.session.critical_path('Clerk("filer")')
    assert path["sentences"] == told.sentences
    assert path["end"] - path["begin"] == pytest.approx(told.total * 1000)
    assert {part["slot"] for part in path["segments"]} <= {office.slot("filer"), 0}
    newest = visit.asked("path", slot=0)
    assert newest["agent"] == 'Clerk("asker")'
    assert not newest["ended"]


def test_forks_are_compared_and_told(visit: Visit) -> None:
    """Sentences on how they differ, and what each of them returned."""
    office = visit.office
    slots = [office.slot("parter"), office.fork()]
    ids = [office.tape().view.nodes[slot].agent_id for slot in slots]
    assert visit.asked("compare", slots=slots)["sentences"] == office.session.compare(*ids).sentences
    results = visit.asked("forks", slots=[*slots, office.slot("failer"), office.slot("waiter")])["results"]
    assert [results[str(slot)]["ok"] for slot in slots] == [True, True]
    assert ["Original" in results[str(slots[0])]["text"], "Forked" in results[str(slots[1])]["text"]] == [True, True]
    assert results[str(office.slot("failer"))] == {"text": f"ValueError: torn: {EVIL}", "ok": False}
    assert results[str(office.slot("waiter"))] == {"text": "", "ok": None}


def test_a_promise_tells_who_waits_and_what_it_was_completed_with(visit: Visit) -> None:
    """As the session tells it; the value once there is one."""
    office = visit.office
    pending = visit.asked("promise", number=0)
    assert (pending["state"], pending["waiters"], pending["value"]) == ("pending", ['Clerk("waiter")'], None)
    wb.complete_promise_json(office.promise, {"ok": EVIL})
    office.rest()
    visit.widget.settle()
    done = visit.asked("promise", number=0)
    assert (done["state"], done["waiters"]) == ("completed", [])
    assert EVIL in done["value"]
    assert done["id"] == str(office.promise)


def test_a_promise_that_nobody_alive_could_complete_is_an_orphan(visit: Visit) -> None:
    """By its number; no other promise is."""
    office = visit.office
    assert visit.asked("orphans") == {"numbers": []}
    office.clerk("lonely").alone.trigger()
    office.rest()
    visit.widget.settle()
    visit.widget._answers._looked = 0.0  # as after a long time
    assert visit.asked("orphans") == {"numbers": [1]}
    assert [promise.orphan for promise in office.session.promises()] == [False, True]


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
    ("bar", {"slot": 1, "seq": 10**30}),
    ("bar", {"slot": 1, "seq": "7"}),
    ("bar", {"slot": 1, "seq": 0}),
    ("entry", {"seq": -1}),
    ("entry", {"seq": 1.5}),
    ("entry", {"seq": [1]}),
    ("oplog", {"slot": 1, "after": []}),
    ("oplog", {"slot": 1, "after": "x"}),
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
    ("orphans", {"slot": 1}),
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
    kind: object, args: dict[str, Any], visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a page asks is trusted: it gets an error text, nothing is written, and nothing is reported."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda hooked: reported.append(hooked.exc_value))
    office = visit.office
    before = office.session.feed.committed
    words = visit.refused(kind, **args)
    assert len(words) > 10
    assert "Error" not in words
    assert office.session.feed.committed == before
    assert reported == []


def test_an_answer_that_fails_unexpectedly_is_given_and_reported(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page never waits in vain, and the fault is shown where uncaught ones are."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda hooked: reported.append(hooked.exc_type))

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(Answers._KINDS, "broken", broken)
    assert visit.refused("broken") == "ZeroDivisionError: oh"
    assert visit.asked("details", slot=1)["id"]
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
        assert set(Answers(empty, tape).notes()) == {"details:0", "forks:all", "orphans:all"}


# ---- acts


def test_a_promise_is_completed_by_hand(visit: Visit) -> None:
    """The first completion stands and wakes who waits; a later one is told that it came too late."""
    office = visit.office
    assert visit.asked("complete", number=0, text='{"ok": true}') == {"first": True}
    assert visit.asked("complete", number=0, text="2") == {"first": False}
    office.rest()
    assert json.loads(wb.run(office.session.result('Clerk("waiter")'))) == {"ok": True}
    tape = office.tape()
    events = [tape.b[row] for row in tape.rows(Row.PROMISE)]
    assert events.count(PromiseEvent.COMPLETED) == events.count(PromiseEvent.IGNORED) == 1


def test_what_is_no_json_completes_nothing(visit: Visit) -> None:
    """The refusal says what is wrong with the text and shows how to write it."""
    office = visit.office
    for text in ("{", "", "NaN", "'x'", "\ud800"):
        assert "no JSON" in visit.refused("complete", number=0, text=text)
    assert wb.promise_state(office.promise) == "pending"


def test_a_plan_says_what_a_fork_and_a_revert_will_do(visit: Visit) -> None:
    """Before anything is done its reader is told what it means, or why it will be refused."""
    office = visit.office
    slot = office.slot("filer")
    newest = office.session.oplog('Clerk("filer")')[-1].index
    fork = visit.asked("plan", slot=slot, index=2, verb="fork")
    back = visit.asked("plan", slot=slot, index=2, verb="revert")
    assert fork["ok"]
    assert "Makes a new agent" in fork["text"]
    assert back["ok"]
    assert f"{newest - 2} entries up to index {newest}" in back["text"]
    last = visit.asked("plan", slot=slot, index=newest - 1)
    assert "1 entry up to" in last["text"]
    assert "Nothing came after" in visit.asked("plan", slot=slot, index=newest)["text"]
    refused = visit.asked("plan", slot=slot, index=0)
    assert not refused["ok"]
    assert "cannot go back to index 0" in refused["text"]


def test_an_agent_is_forked_and_taken_back(visit: Visit) -> None:
    """As the methods of its client do it; what is refused is told in the same words."""
    office = visit.office
    slot = office.slot("filer")
    newest = office.session.oplog('Clerk("filer")')[-1].index
    forked = visit.asked("fork", slot=slot, index=newest)["agent"]
    assert forked in [agent.agent_id for agent in office.session.agents() if agent.forked_from == 'Clerk("filer")']
    assert visit.asked("revert", slot=slot, index=2) == {"done": True}
    office.rest()
    assert wb.run(office.clerk("filer").status()) == "idle"
    tape = office.tape()
    assert [(tape.slot[row], tape.a[row]) for row in tape.rows(Row.REVERT)] == [(slot, 2)]
    assert "index" in visit.refused("fork", slot=slot, index=newest + 50)


def test_who_was_deleted_is_told_apart_from_its_next_life(visit: Visit) -> None:
    """Questions about an agent that is no more are answered in words, its oplog is still shown; acts are refused."""
    office = visit.office
    slot = office.slot("filer")
    wb.run(office.clerk("filer").delete())
    wb.run(office.clerk("filer").file("again"))
    visit.widget.settle()
    assert "was deleted" in visit.refused("why", slot=slot)
    assert visit.asked("details", slot=slot)["deleted"]
    assert visit.asked("oplog", slot=slot)["total"] >= 0
    before = office.session.feed.committed
    for kind in ("plan", "fork", "revert"):
        assert "was deleted" in visit.refused(kind, slot=slot, index=2)
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
        assert f'visit.asked("{kind}"' in source, kind
