"""Tables: they fit, they line up, and nothing an agent says gets out of its cell."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ids import PromiseId
from workbench.model import entries as e
from workbench.model.codec import encode
from workbench.model.entries import Entry
from workbench.questions.invocations import InvocationInfo
from workbench.questions.rows import AgentInfo, PromiseInfo
from workbench.signs import printable
from workbench.views import tables
from workbench.views.tables import Table, fitted, width_of

THEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
AGENT = AgentInfo(
    "Worker(7)", "running", 1, 2, 1, 30, 1, "Session()", "", "Worker", THEN, "process", "step fetch", THEN,
    ephemeral=False, error="", note="",
)  # fmt: skip
PROMISE = PromiseInfo(
    PromiseId("Worker(7)", "salt-4", 5), "pending", "Worker(7)", ("Session()",), (), "", 0, 61.0, THEN, None,
    "/a/b.py:3", orphan=False,
)  # fmt: skip
INVOCATION = InvocationInfo(
    4, "Worker(7)", "process", "failed", "k", None, "Session()", "b.py:3", THEN, THEN, THEN, "call", "ValueError: no",
    reverted=True, deleted=True,
)  # fmt: skip


def test_a_table_lines_up() -> None:
    """Columns are as wide as their widest cell; wide signs count twice; nothing stands at the end of a line."""
    table = Table(("name", "n"), [("a", 1), ("漢字", 1234), ("", None)], "3 rows")
    assert repr(table) == "name  n\na     1\n漢字  1,234\n\n3 rows"


def test_cells_of_all_kinds() -> None:
    """Times, numbers, rows of names, yes and nothing are shown as people write them."""
    table = Table(("x",), [(THEN,), (("a", "b"),), (True,), (False,), (None,), (12345,)])
    assert repr(table).split("\n")[1:] == ["2024-01-02 03:04:05", "a, b", "yes", "", "", "12,345"]


EVIL = "\x1b[2J\x1b]0;title\x07\r\n\t\x00\u202egnp.exe\u2028\ud800\x9b31m"


def test_what_agents_say_stays_in_its_cell() -> None:
    """Control signs, marks of direction, line ends and halves of pairs are shown as escapes, in text and in HTML."""
    table = Table(("x", "y"), [(EVIL, "</td><script>alert(1)</script>")], EVIL)
    text, html = repr(table), table._repr_html_()
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    assert text.count("\n") == 2
    assert r"\x1b[2J" in text
    assert r"\u202e" in text
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    (text + html).encode()


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80), st.integers()), max_size=6), st.integers(40, 200))
def test_a_table_fits(rows: list[tuple[str, str, int]], width: int) -> None:
    """Whatever is in it, each line takes at most the columns of the terminal, and is one line."""
    table = Table(("first", "second", "third"), rows)
    lines = table.text(width).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(width_of(line) <= width for line in lines)


@given(st.text(max_size=60), st.integers(1, 30))
def test_cut_texts(text: str, width: int) -> None:
    """A text that is too long keeps both its ends; one that fits is left as it is."""
    cut = fitted(text, width)
    assert width_of(cut) <= width
    assert (cut == text) == (width_of(text) <= width)
    if cut != text:
        head, _, tail = cut.partition("…") if "…" not in text else (cut[:0], "", cut[:0])
        assert text.startswith(head)
        assert text.endswith(tail)


@given(st.text())
def test_printable_texts(text: str) -> None:
    """What is printable is left as it is; the rest can be printed anywhere."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_a_narrow_terminal_takes_from_the_long_columns_first() -> None:
    """Short columns keep all of their signs while long ones have any to give."""
    table = Table(("kind", "long"), [("InvocationStarted", "x" * 300)])
    assert "InvocationStarted  x" in table.text(60)
    assert max(map(len, table.text(60).split("\n"))) == 60


def test_agents() -> None:
    """An agent's row says where it stands, what it runs and waits for, or why it stopped."""
    failed = AGENT._replace(status="failed", error="ValueError: a\nb", method="", waits_for="")
    old = AGENT._replace(method="", waits_for="", note="keeps its old code")
    text = repr(tables.agents_table([AGENT, failed, old]))
    for part in ("process waits for step fetch", "ValueError: a b", "keeps its old code", "3 agents"):
        assert part in text
    many = tables.agents_table([AGENT] * 300)
    assert (len(many.rows), many.note) == (200, "300 agents, the first 200 shown")


def test_promises() -> None:
    """A promise's row has its id to copy, its age in words, and says when it is an orphan."""
    text = repr(tables.promises_table([PROMISE, PROMISE._replace(orphan=True, state="pending")]))
    for part in ("Worker(7)#salt-4/5", "1 min 1 s", "pending, orphan", "b.py:3", "2 promises"):
        assert part in text
    assert "/a/" not in text


def test_invocations() -> None:
    """An invocation's row says what came of it, and what was taken back."""
    text = repr(tables.invocations_table([INVOCATION, INVOCATION._replace(ended=None)]))
    for part in ("failed, reverted, agent deleted", "0 s", "ValueError: no", "2 invocations"):
        assert part in text


def test_entries() -> None:
    """An entry's row says its kind, what it is about and what it holds; the newest are shown of many."""
    made = e.CallMade(1, "Worker(7)", "process", encode(["eu\nwest"]), awaited=True)
    entries = [Entry(n + 10, 4, n, 0, 0, n, n, "/a/b.py:3", made) for n in range(1, 302)]
    table = tables.oplog_table(entries)
    assert table.rows[0][:5] == (102, 112, "CallMade", "call Worker(7).process", r"['eu\nwest']")
    assert table.note == "301 entries, the last 200 shown"
    assert tables.oplog_table(entries[:1]).note == "1 entry"


def test_forks() -> None:
    """Forks stand below what they were forked from, however deep."""
    tree = nx.DiGraph()
    for name in ("A()", "A()[1]", "A()[2]", "B()", "A()[1.1]"):
        tree.add_node(name, status="idle", entries=3)
    tree.add_edge("A()", "A()[1]", cut=2)
    tree.add_edge("A()", "A()[2]", cut=3)
    tree.add_edge("A()[1]", "A()[1.1]", cut=4)
    rows = tables.forks_table(tree).rows
    assert [row[:2] for row in rows] == [
        ("A()", None), ("└ A()[1]", 2), ("  └ A()[1.1]", 4), ("└ A()[2]", 3), ("B()", None),
    ]  # fmt: skip
    assert tables.fork_records(tree)[4] == {
        "agent_id": "A()[1.1]", "source": "A()[1]", "cut": 4, "status": "idle", "entries": 3,
    }  # fmt: skip


@pytest.mark.parametrize("row", [AGENT, PROMISE, INVOCATION], ids=lambda row: type(row).__name__)
def test_records_are_json(row: tuple[object, ...]) -> None:
    """Rows become plain values that JSON can hold, by the names of their fields."""
    (record,) = tables.records([row])
    assert list(record) == list(row._fields)  # type: ignore[attr-defined]
    assert json.loads(json.dumps(record)) == record


def test_sentences() -> None:
    """Sentences are wrapped at the terminal's width, and stay on lines of their own."""
    told = ["one two three four five", "six\x1b"]
    assert tables.sentences(told) == "one two three four five\nsix\\x1b"
    assert tables.sentences(told, 14) == "one two three\n  four five\nsix\\x1b"
