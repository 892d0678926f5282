# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""A cell that defines an agent is edited and run again: which agents get the new code, and which keep the old."""

import itertools
import linecache
import logging
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import bodies, kinds
from workbench.model import entries as e
from workbench.model.agent_type import registry

CELL = dedent('''
    @wb.agent
    class Shop:
        """Sells."""

        def __init__(self, name: str) -> None:
            self.name = name
            self.sold = 0

        async def sell(self, n: int) -> int:
            price = await Price.get().of(n)
            wb.log("sold", n)
            if n > 1000:
                price = price * 2
            self.sold += price
            return self.sold

        async def promise(self) -> wb.PromiseId:
            return wb.create_promise()

        async def wait(self, promise: wb.PromiseId) -> str:
            first = await Price.get().of(1)
            word = (await wb.await_promise(promise)).decode()
            return f"{word} {first}"

        def version(self) -> int:
            return 1
''')

SAME: dict[str, tuple[str, str]] = {
    "a comment": ("self.sold += price", "self.sold += price  # count it"),
    "a docstring": ('"""Sells."""', '"""Sells things."""'),
    "white space": ("return self.sold", "return  self.sold\n"),
}
"""No edit at all: the code is the same."""

FITS: dict[str, tuple[str, str]] = {
    "a variable renamed": ("price", "cost"),
    "a method added": ("    def version", "    def more(self) -> int:\n        return 2\n\n    def version"),
    "a branch that never ran": ("price * 2", "price * 3"),
    "an attribute added": ("self.sold = 0", "self.sold = 0\n        self.extra = 1"),
    "another text to log": ('wb.log("sold", n)', 'wb.log("sold it", n)'),
    "a method changed that never ran": ("return 1\n", "return 2\n"),
}
"""The oplog replays on the new code."""

DIFFERS: dict[str, tuple[str, str]] = {
    "another argument": (".of(n)", ".of(n + 1)"),
    "another method called": (".of(n)", ".again(n)"),
    "another agent called": ("Price.get().of(n)", 'Price.get("two").of(n)'),
    "a call removed": ("price = await Price.get().of(n)", "price = 10 * n"),
    "a call added before": ("price = await", "await Price.get().of(0)\n        price = await"),
    "a call made a trigger": ("await Price.get().of(n)", "Price.get().of.trigger(n) or 10 * n"),
    "another result": ("return self.sold", "return self.sold + 1"),
    "another state that shows": ("self.sold += price", "self.sold += price + 1"),
    "a step around it": ("price = await Price.get().of(n)", "price = await wb.step(ten_times, n)"),
    "a method removed that ran": ("async def sell", "async def vend"),
    "another constructor": ("name: str)", "name: str, place: str)"),
}
"""It does not: the agent keeps the code it has."""

_cells = itertools.count(1)


@wb.agent
class Price:
    """What things cost."""

    def __init__(self, name: str = "one") -> None:
        self.name = name

    def of(self, n: int) -> int:
        return 10 * n

    def again(self, n: int) -> int:
        return 10 * n


def ten_times(n: int) -> int:
    """For a step."""
    return 10 * n


def run_cell(source: str) -> Any:
    """Run a cell as a notebook does, its source at hand under a file name of its own; the class `Shop`."""
    name = f"<cell {next(_cells)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {"wb": wb, "Price": Price, "ten_times": ten_times, "__name__": "__main__"}
    exec(compile(source, name, "exec"), space)  # noqa: S102 - that is what running a cell is
    return space.get("Shop")


def edited(edit: tuple[str, str]) -> str:
    """The cell after an edit."""
    assert edit[0] in CELL
    return CELL.replace(*edit)


def updates(session: wb.Session, agent: str = 'Shop("a")') -> list[bool]:
    """Of each try of new code: whether it fitted."""
    return [body.fits for body in bodies(session, agent, e.AgentUpdated)]


def told_as_pinned(session: wb.Session, agent: str = 'Shop("a")') -> bool:
    """Whether an agent is said to keep its old code, in its row and in what `why` tells."""
    note = next(a.note for a in session.agents() if a.agent_id == agent)
    pinned = [link for link in session.why(agent).links if link.kind == "pinned"]
    assert (note == "keeps its old code") == bool(pinned)
    return bool(pinned)


def forget_shops() -> None:
    """As in a process that never had the class."""
    registry._types.pop("Shop")
    for known in [key for key in registry._earlier if key[0] == "Shop"]:
        del registry._earlier[known]


@pytest.fixture
def shop(session: wb.Session) -> Any:
    """A shop that sold twice, from the first version of the cell."""
    shop = run_cell(CELL).get("a")
    assert [wb.run(shop.sell(1)), wb.run(shop.sell(2))] == [10, 30]
    return shop


def restart(_session: wb.Session) -> None:
    """Nothing."""


def crash(session: wb.Session) -> None:
    """Lose all instances."""
    session.simulate_crash()


each_way = pytest.mark.parametrize("before", [restart, crash], ids=["in memory", "after a crash"])


@each_way
@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_no_edit_at_all(session: wb.Session, shop: Any, edit: tuple[str, str], before: Callable[..., None]) -> None:
    """Comments, docstrings and white space make no new revision."""
    again = run_cell(edited(edit)).get("a")
    before(session)
    assert wb.run(again.sell(3)) == 60
    assert updates(session) == []
    assert len([x for x in session.oplog("Session()") if x.kind == "TypeDefined"]) == 2


@each_way
@pytest.mark.parametrize("edit", FITS.values(), ids=FITS)
def test_an_edit_that_fits(session: wb.Session, shop: Any, edit: tuple[str, str], before: Callable[..., None]) -> None:
    """An agent whose oplog replays on the new code is moved to it, once, and says so in its oplog."""
    again = run_cell(edited(edit)).get("a")
    before(session)
    assert wb.run(again.sell(3)) == 60
    wb.run(again.sell(3))
    assert updates(session) == [True]


@each_way
@pytest.mark.parametrize("edit", DIFFERS.values(), ids=DIFFERS)
def test_an_edit_that_does_not_fit(
    session: wb.Session, shop: Any, edit: tuple[str, str], before: Callable[..., None], caplog: Any
) -> None:
    """The agent keeps the code it has, visibly; new agents have the new code; nothing is silently wrong."""
    new = run_cell(edited(edit))
    before(session)
    with caplog.at_level(logging.WARNING, "workbench"):
        assert wb.run(shop.sell(3)) == 60
    assert updates(session) == [False]
    assert "keeps the code it has" in caplog.text
    assert [a.status for a in session.agents() if a.agent_id == 'Shop("a")'] == ["idle"]
    assert told_as_pinned(session)
    made = new.get("b") if "place" not in edited(edit) else new.get("b", "here")
    assert wb.run(made.version()) == 1
    assert updates(session, str(made.agent_id)) == []


def test_the_old_code_back_again(session: wb.Session, shop: Any) -> None:
    """An edit that is taken back: the agent never left its code, and no more is written."""
    run_cell(edited(DIFFERS["another result"]))
    wb.run(shop.sell(3))
    run_cell(CELL)
    assert not told_as_pinned(session)
    assert wb.run(shop.sell(4)) == 100
    assert updates(session) == [False]
    assert not told_as_pinned(session)


def test_a_client_from_before_an_edit_has_the_new_methods(shop: Any) -> None:
    """A method that an edit adds can be called through a client that a cell made earlier."""
    with pytest.raises(AttributeError, match="no method 'more'; it has promise, sell, version, wait"):
        shop.more()
    run_cell(edited(FITS["a method added"]))
    assert wb.run(shop.more()) == 2
    assert "more" in dir(shop)
    with pytest.raises(AttributeError, match="no method 'less'; it has more, promise"):
        shop.less()


def test_an_agent_that_waits_moves_to_new_code(session: wb.Session) -> None:
    """In the middle of an invocation: the rest of the method is the new one's."""
    old = run_cell(CELL).get("w")
    promise = wb.create_promise()
    waiting = old.wait(promise).submit()
    wb.run(session.at_rest())
    run_cell(CELL.replace('f"{word} {first}"', 'f"{word}, and {first}"'))
    wb.complete_promise(promise, b"new")
    assert waiting.result(10) == "new, and 10"
    assert updates(session, 'Shop("w")') == [True]


def test_an_agent_that_waits_keeps_old_code(session: wb.Session) -> None:
    """If what it did before does not fit, the rest of the method is the old one's too."""
    old = run_cell(CELL).get("w")
    promise = wb.create_promise()
    waiting = old.wait(promise).submit()
    wb.run(session.at_rest())
    run_cell(CELL.replace("of(1)", "of(2)").replace('f"{word} {first}"', '"wrong"'))
    wb.complete_promise(promise, b"old")
    assert waiting.result(10) == "old 10"
    assert updates(session, 'Shop("w")') == [False]


def test_a_misfit_is_tried_once_for_each_edit(session: wb.Session, shop: Any) -> None:
    """The same code is not tried again and again; the next edit is."""
    run_cell(edited(DIFFERS["another result"]))
    for n in (1, 1, 1):
        wb.run(shop.sell(n))
    session.simulate_crash()
    wb.run(shop.sell(1))
    assert updates(session) == [False]
    run_cell(edited(FITS["a method added"]))
    wb.run(shop.sell(1))
    assert updates(session) == [False, True]


def test_the_ways_out(session: wb.Session, shop: Any) -> None:
    """Fork with the new code, revert, delete: each gives the new code to what fits it."""
    run_cell(edited(("self.sold += price", "self.sold += price + (n == 2)")))
    wb.run(shop.sell(3))
    assert updates(session) == [False]
    ends = [x.index for x in session.oplog('Shop("a")') if x.kind == "InvocationFinished"]
    fork = wb.run(shop.fork(at=ends[0]))
    assert wb.run(fork.sell(2)) == 31
    wb.run(shop.revert(to=ends[0]))
    assert wb.run(shop.sell(2)) == 31
    wb.run(shop.delete())
    assert wb.run(shop.sell(2)) == 21


def test_in_another_process_there_is_no_old_code(opened: Opener, tmp_path: Path, caplog: Any) -> None:
    """The stored source is never run: an agent that does not fit stops, and only it, with what to do.

    Nothing says that it keeps code which is not there.
    """
    first = opened(tmp_path / "s.db")
    shop = run_cell(CELL)
    for name in ("a", "b"):
        assert wb.run(shop.get(name).sell(1)) == 10
    wb.run(shop.get("c").version())
    first.close()
    forget_shops()
    session = opened(tmp_path / "s.db")
    new = run_cell(edited(DIFFERS["another argument"]))
    with pytest.raises(wb.DivergenceError, match="index") as caught:
        wb.run(new.get("a").sell(1))
    assert updates(session) == [False]
    assert [a.status for a in session.agents() if a.agent_id == 'Shop("a")'] == ["failed"]
    assert not told_as_pinned(session)
    assert [link.kind for link in session.why('Shop("a")').links] == ["diverged"]
    assert "keeps the code" not in caplog.text
    assert caught.value.agent == 'Shop("a")'
    assert "revert" in caught.value.do
    assert wb.run(new.get("c").version()) == 1
    assert wb.run(new.get("new").sell(1)) == 20


@pytest.mark.parametrize("again", ["in the same process", "in the next one"])
def test_a_change_that_is_undone(opened: Opener, tmp_path: Path, caplog: Any, again: str) -> None:
    """An agent that diverged goes on where it was when its class is as it was: what it waited for is not lost."""
    path = tmp_path / "s.db"
    with opened(path) as session:
        shop = run_cell(CELL)
        promise = wb.create_promise()
        shop.get("w").wait.trigger(promise)
        assert wb.run(shop.get("a").sell(1)) == 10
        wb.run(session.at_rest())
    forget_shops()
    session = opened(path)
    new = run_cell(CELL.replace("of(1)", "of(2)").replace(".of(n)", ".of(n + 1)"))
    wb.complete_promise(promise, b"kept")
    for failing in (session.result('Shop("w")'), new.get("a").sell(1)):
        with pytest.raises(wb.DivergenceError, match="Undo the change"):
            wb.run(failing)
    assert {a.status for a in session.agents() if a.type == "Shop"} == {"failed"}
    if again == "in the next one":
        session.close()
        forget_shops()
        session = opened(path)
        wb.run(session.at_rest())
    run_cell(edited(FITS["a branch that never ran"]))
    wb.run(session.at_rest())
    assert {a.status for a in session.agents() if a.type == "Shop"} == {"idle"}
    assert wb.run(session.result('Shop("w")')) == "kept 10"
    assert wb.run(shop.get("a").sell(2)) == 30
    assert "goes on: its code fits its oplog again" in caplog.text
    session.simulate_crash()
    assert wb.run(shop.get("a").sell(1)) == 40


def test_code_is_kept_as_long_as_the_process(opened: Opener, tmp_path: Path) -> None:
    """An agent that kept its code is told so by a reader too, not by a later process, and never once it has failed."""
    path = tmp_path / "s.db"
    with opened(path) as session:
        shop = run_cell(CELL).get("a")
        wb.run(shop.sell(1))
        run_cell(edited(DIFFERS["another argument"]))
        wb.run(shop.sell(1))
        assert told_as_pinned(session)
    with opened(path, read_only=True) as reader:
        assert told_as_pinned(reader)
    forget_shops()
    with opened(path) as session:
        new = run_cell(edited(DIFFERS["another argument"]))
        assert not told_as_pinned(session)
        with pytest.raises(wb.DivergenceError):
            wb.run(new.get("a").sell(1))
        assert not told_as_pinned(session)
    with opened(path, read_only=True) as reader:
        assert not told_as_pinned(reader)


def test_the_source_is_kept(session: wb.Session, shop: Any) -> None:
    """The store holds the text of each revision, for people."""
    run_cell(edited(FITS["a method added"])).get("x")
    wb.run(shop.sell(1))
    told = [x.body for x in session.oplog("Session()") if isinstance(x.body, e.TypeDefined)]
    assert [body.name for body in told] == ["Shop", "Price", "Shop"]
    assert "def more" not in told[0].source
    assert "def more" in told[2].source


def test_rehearsals_have_no_effect(session: wb.Session, shop: Any) -> None:
    """Trying new code writes nothing but its verdict."""
    before = kinds(session, 'Shop("a")')
    run_cell(edited(FITS["another text to log"]))
    wb.run(shop.version())
    after = kinds(session, 'Shop("a")')[len(before) :]
    assert after == ["AgentUpdated", "InvocationStarted", "InvocationFinished"]


# ---- names that later cells define -----------------------------------------------------------------------------------

NAMES = dedent("""
    @wb.agent
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = title(name)

        async def run(self, promise: wb.PromiseId, then: wb.PromiseId) -> str:
            what = early(await wb.await_promise(promise))
            last = await wb.await_promise(then)
            return f"{self.name} {what} {late(last)}"

        async def wrong(self) -> None:
            nowhere()
""")
HELPERS = {
    "title": "def title(name: str) -> str: return name.title()",
    "early": "def early(value: bytes) -> str: return value.decode()",
    "late": "late = bytes.decode",
}


def ran(space: dict[str, Any], *cells: str) -> None:
    """Run cells in a notebook whose names are these, and have each end as the extension tells of it."""
    for cell in cells:
        exec(cell, space)  # noqa: S102
        for listener in tuple(registry.cell_listeners):
            listener()


def notebook(*cells: str) -> dict[str, Any]:
    """The names of a notebook of which these cells have run."""
    names: dict[str, Any] = {"wb": wb, "__name__": "__main__"}
    ran(names, *cells)
    return names


def begun(session: wb.Session) -> tuple[dict[str, Any], wb.PromiseId, wb.PromiseId]:
    """A notebook whose shop waits for two promises, one after the other."""
    names = notebook(*HELPERS.values(), NAMES)
    first, then = wb.create_promise(), wb.create_promise()
    names["Shop"].get("a").run.trigger(first, then)
    wb.run(session.at_rest())
    return names, first, then


@pytest.mark.parametrize("missing", HELPERS)
def test_names_of_later_cells_are_waited_for(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, missing: str
) -> None:
    """A kernel is restarted and its cells are run one by one: an agent whose code asks for more waits, and says so."""
    monkeypatch.setattr(registry, "cells_seen", True)
    with opened(tmp_path / "s.db") as session:
        _, first, then = begun(session)
        wb.complete_promise(first, b"one")
        wb.run(session.at_rest())
    forget_shops()
    session = opened(tmp_path / "s.db")
    wb.complete_promise(then, b"two")
    names = notebook()
    for cell in (NAMES, *(cell for name, cell in HELPERS.items() if name != missing)):
        ran(names, cell)
        wb.run(session.at_rest())
        (row,) = (a for a in session.agents() if a.type == "Shop")
        assert row.status == "undefined"
    assert f"asks for {missing}, which no cell has defined" in caplog.text
    assert f"asks for {missing}: run the cell that defines {missing}" in session.why('Shop("a")').sentences[0]
    session.simulate_crash()
    wb.run(session.at_rest())
    ran(names, HELPERS[missing])
    assert wb.run(session.result('Shop("a")')) == "A one two"
    assert [x.kind for x in session.oplog('Shop("a")')].count("AgentFailed") == 0


def test_a_name_that_is_nowhere_is_an_error(session: wb.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process began fails with `NameError` as ever, also after a crash: its cells have run."""
    monkeypatch.setattr(registry, "cells_seen", True)
    names = notebook(*HELPERS.values(), NAMES)
    for _ in range(2):
        with pytest.raises(wb.InvocationError, match="nowhere"):
            wb.run(names["Shop"].get("a").wrong())
        session.simulate_crash()


def test_a_script_has_no_later_cells(opened: Opener, tmp_path: Path) -> None:
    """Outside notebooks a missing name is an error, also in what an earlier process began."""
    with opened(tmp_path / "s.db") as session:
        names, first, _ = begun(session)
    forget_shops()
    session = opened(tmp_path / "s.db")
    del names["early"]
    ran(names, NAMES)
    wb.complete_promise(first, b"one")
    with pytest.raises(wb.DivergenceError, match="the end of the invocation, with NameError: name 'early' is not"):
        wb.run(session.result('Shop("a")'))
