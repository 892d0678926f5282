# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Saving a session for other tools: of one that runs, of one that only reads, up to an entry, and never over a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import NotInAgentError, SearchError, StoreError
from workbench.exports import mermaid, perfetto, shiviz
from workbench.exports.saving import mermaid_text, save_perfetto, save_shiviz, tape_of
from workbench.model.agent_type import registry
from workbench.testing import SimulatedClock


@pytest.fixture
def session(tmp_path: Path) -> Iterator[wb.Session]:
    """A store in simulated time in which a boss had two children do something."""
    before = dict(registry._types)

    @wb.agent
    class Helper:
        def __init__(self, number: int) -> None:
            self.number = number

        async def work(self, item: str) -> str:
            return item

    @wb.agent
    class Boss:
        async def go(self) -> list[str]:
            return await wb.join([Helper.get(i).work("x") for i in range(2)])

    made = wb.start(str(tmp_path / "store.db"), clock=SimulatedClock())
    wb.run(Boss.get().go())
    wb.run(made.at_rest())
    yield made
    made.close()
    registry._types.clear()
    registry._types.update(before)


def test_entries_are_all_that_is_committed(session: wb.Session) -> None:
    """`entries` gives the whole log in order, or the part of it that is asked for."""
    seqs = [entry.seq for entry in session.entries()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert [entry.seq for entry in session.entries(3, 6)] == [4, 5, 6]
    assert [entry.seq for entry in session.entries(upto=10_000)] == seqs


def test_files_hold_what_the_log_says(session: wb.Session, tmp_path: Path) -> None:
    """A trace, a log and both diagrams are made of all entries, or of those up to one."""
    for at in (None, 7):
        entries, tape = list(session.entries(0, at)), tape_of(session, at)
        trace = save_perfetto(session, tmp_path / f"trace{at}.json", at)
        assert json.loads(trace.read_text("utf-8")) == perfetto.trace(tape, tape.moment())
        log = save_shiviz(session, str(tmp_path / f"run{at}.log"), at)
        assert log == (tmp_path / f"run{at}.log").resolve()
        assert log.read_text("utf-8") == shiviz.log(entries)
        assert mermaid_text(session, at=at) == mermaid.graph(tape, tape.moment())
        assert mermaid_text(session, "sequence", at) == mermaid.sequence(tape, tape.moment())


def test_session_that_only_reads_saves_the_same(session: wb.Session, tmp_path: Path) -> None:
    """A store that somebody else owns is saved as its owner would."""
    with wb.start(session.path, read_only=True) as reader:
        mine, theirs = (save_perfetto(x, tmp_path / f"{i}.json") for i, x in enumerate((session, reader)))
        assert mine.read_text("utf-8") == theirs.read_text("utf-8")
        mine, theirs = (save_shiviz(x, tmp_path / f"{i}.log") for i, x in enumerate((session, reader)))
        assert mine.read_text("utf-8") == theirs.read_text("utf-8")
        assert mermaid_text(session) == mermaid_text(reader)


@pytest.mark.parametrize("save", [save_perfetto, save_shiviz])
def test_file_that_is_there_is_kept(session: wb.Session, tmp_path: Path, save: Callable[..., Path]) -> None:
    """A file is replaced only when that is asked for; nothing else is left beside it."""
    path = tmp_path / "out" / "file"
    path.parent.mkdir()
    path.write_text("mine", "utf-8")
    with pytest.raises(StoreError, match="file exists: nothing is overwritten unasked"):
        save(session, path)
    assert path.read_text("utf-8") == "mine"
    save(session, path, overwrite=True)
    assert path.read_text("utf-8") != "mine"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("side", ["", "-wal", ".lock"])
def test_store_is_never_written_over(session: wb.Session, side: str) -> None:
    """The store's own files are refused, also when files may be replaced."""
    with pytest.raises(StoreError, match="belongs to the store"):
        save_perfetto(session, session.path + side, overwrite=True)
    assert wb.run(session.at_rest()) is None


def test_folder_that_is_not_there_is_told(session: wb.Session, tmp_path: Path) -> None:
    """A path that cannot be written says so, in an error of the workbench."""
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        save_shiviz(session, tmp_path / "nowhere" / "run.log")


def test_log_that_is_too_large_leaves_no_file(
    session: wb.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More clocks than ShiViz can show are refused, with what to do, and nothing is written."""
    monkeypatch.setattr("workbench.exports.saving.MOST_CLOCKS", 300)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(StoreError, match="Name an earlier entry with at="):
        save_shiviz(session, folder / "run.log")
    assert list(folder.iterdir()) == []


def test_unknown_diagram_is_told(session: wb.Session) -> None:
    """A kind of diagram that there is not is an error that names those there are."""
    with pytest.raises(SearchError, match="'graph' or 'sequence'"):
        mermaid_text(session, "pie")  # type: ignore[arg-type]


def test_page_with_unknown_view_is_told(session: wb.Session, tmp_path: Path) -> None:
    """A view that there is not is refused before a file is made, and one by itself need not stand in a row."""
    with pytest.raises(SearchError, match=r"view='nonsense': there is no such view. Name one of graph"):
        session.to_html(tmp_path / "page.html", panes=("graph", "nonsense"))
    assert not list(tmp_path.glob("page*"))
    page = session.to_html(tmp_path / "page.html", panes="why").read_text("utf-8")
    assert '{"panes":["why"],' in page


def test_agents_do_not_save(session: wb.Session, tmp_path: Path) -> None:
    """In an agent saving is refused, as any reading of the session is, and no file is made."""

    @wb.agent
    class Saver:
        async def save(self) -> None:
            save_perfetto(session, tmp_path / "trace.json")

    with pytest.raises(NotInAgentError, match=r"session\.to_perfetto in an agent"):
        wb.run(Saver.get().save())
    assert not (tmp_path / "trace.json").exists()
