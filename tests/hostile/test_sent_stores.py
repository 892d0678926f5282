"""A store that somebody sent: its log may name things as no code could, and runs nothing and misleads nobody either."""

from __future__ import annotations

from pathlib import Path

import pytest

import workbench as wb
from tests.exports.test_mermaid import GRAPH_LINES, SEQUENCE_LINES
from tests.hostile.payloads import PAYLOADS, without_halves
from tests.hostile.reading import Element, drawn, terminal
from tests.hostile.world import renamed, world
from workbench import cli
from workbench.model.entries import Entry
from workbench.store.log import SqliteLog
from workbench.views import tables


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """The log of a world of no harm."""
    with world("x", tmp_path_factory.mktemp("harmless")) as made:
        return list(made.session.entries())


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_store_that_somebody_sent_is_text_too(
    entries: list[Entry], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store whose classes, methods and lines have names that no code could have is read as any other."""
    text = without_halves(PAYLOADS[name])[:150]
    path = tmp_path / "sent.db"
    log = SqliteLog(path, "salt")
    log.append([renamed(entry, {"Named": text, ".work": f".{text}", "<x>": text}) for entry in entries])
    log.close()
    with wb.start(path, read_only=True) as session:
        for kind in ("graph", "timeline"):
            drawn(session.snapshot(kind)._repr_mimebundle_()["image/svg+xml"])
        for table in (tables.agents_table(session.agents()), tables.forks_table(session.fork_tree())):
            Element(table._repr_html_())
            terminal(repr(table))
        for agent in session.agents()[:6]:
            terminal(repr(session.why(agent.agent_id)))
        page = session.to_html(tmp_path / "page.html").read_text("utf-8")
        assert Element(page).elements[-1] == ("script", {"type": "module"})
        for kind, forms in (("graph", GRAPH_LINES), ("sequence", SEQUENCE_LINES)):
            for line in session.to_mermaid(kind).splitlines():
                assert any(form.fullmatch(line) for form in forms), line
        terminal(session.to_shiviz(tmp_path / "run.log").read_text("utf-8"))
    for command in ("agents", "promises", "forks"):
        assert cli.main([command, str(path)]) == 0
    terminal(capsys.readouterr().out)
