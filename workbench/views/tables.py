"""What a session tells, as tables: for a terminal, for a cell, and as plain records for JSON.

Names, errors and values come from agents. In text each sign that is not printable is written as an escape, so nothing
of them moves a terminal's cursor, hides or turns text around; in HTML all of it is text.
"""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from workbench.ids import PromiseId
from workbench.model.description import content, describe
from workbench.model.entries import ROLES, Entry
from workbench.questions.explanation import duration
from workbench.questions.invocations import InvocationInfo
from workbench.questions.rows import AgentInfo, PromiseInfo, moment
from workbench.signs import NO_FORMULAS, printable

_BETWEEN: Final = "  "
_WIDE, _NARROW = 16, 8
"""Signs that a column keeps when the table is too wide: at first, and when that is not enough."""
_MANY: Final = {
    "agent": "agents",
    "entry": "entries",
    "invocation": "invocations",
    "promise": "promises",
}
_CELL: Final = 200
"""Signs of a value that a cell shows."""
_ROWS: Final = 200
"""Rows that a cell shows."""


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def fitted(text: str, width: int) -> str:
    """A text that takes at most so many columns, its middle left out if need be: ids differ at their ends."""
    if width_of(text) <= width:
        return text
    head, tail = 0, len(text)
    taken = [0, 0]
    while sum(taken) < width - 1:
        from_tail = taken[1] < taken[0]
        sign = width_of(text[tail - 1] if from_tail else text[head])
        if sum(taken) + sign > width - 1:
            break
        taken[from_tail] += sign
        head, tail = (head, tail - 1) if from_tail else (head + 1, tail)
    return f"{text[:head]}…{text[tail:]}"


def _in_cell(value: object) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


class Table:
    """Rows for people: as text, and as HTML in which everything is text.

    Args:
        head: names of the columns.
        rows: values of each row, in the order of the columns.
        note: a line below.
    """

    def __init__(self, head: tuple[str, ...], rows: Sequence[tuple[object, ...]], note: str = "") -> None:
        self.head, self.rows, self.note = head, rows, note

    def _cells(self) -> list[tuple[str, ...]]:
        return [tuple(printable(_in_cell(value)) for value in row) for row in self.rows]

    def text(self, width: int = 0) -> str:
        """As lines of text.

        Args:
            width: columns of the terminal, in which the widest columns of the table are cut; 0 for no limit.
        """
        lines = [self.head, *self._cells()]
        widths = [max(width_of(line[i]) for line in lines) for i in range(len(self.head))]
        if width:
            _narrow(widths, width - len(_BETWEEN) * (len(widths) - 1))
        text = [
            _BETWEEN.join(_padded(fitted(cell, w), w) for cell, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*text, printable(self.note)] if self.note else text)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        cell = 'style="text-align:left"'
        head = "".join(f"<th {cell}>{escape(h)}</th>" for h in self.head)
        rows = "".join(f"<tr>{''.join(f'<td {cell}>{escape(c)}</td>' for c in row)}</tr>" for row in self._cells())
        note = f"<p {NO_FORMULAS}>{escape(printable(self.note))}</p>" if self.note else ""
        return f"<table {NO_FORMULAS}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest columns until all fit, or none can give any more; short ones give last."""
    for least in (_WIDE, _NARROW):
        while sum(widths) > room:
            widest = max((w for w in widths if w > least + least // 4), default=0)
            if not widest:
                break
            at = widths.index(widest)
            others = max((w for n, w in enumerate(widths) if n != at), default=0)
            widths[at] = max(least, min(widest - 1, max(others, widest - (sum(widths) - room))))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _place(line: str) -> str:
    """`file:line` without the folders."""
    return line.rpartition("/")[2]


def _counted(what: str, number: int, shown: int, which: str = "first") -> str:
    told = f"{number:,} {what if number == 1 else _MANY[what]}"
    return told if shown >= number else f"{told}, the {which} {shown} shown"


# ---- the tables ------------------------------------------------------------------------------------------------------


def agents_table(agents: Sequence[AgentInfo], limit: int = _ROWS) -> Table:
    """Agents: where they stand and what they do."""
    rows = [
        (a.agent_id, a.status, a.queued, a.finished, a.failed, a.entries, a.forked_from or a.parent, _doing(a))
        for a in agents[:limit]
    ]
    head = ("agent", "status", "queued", "finished", "raised", "entries", "child or fork of", "what it does")
    return Table(head, rows, _counted("agent", len(agents), len(rows)))


def _doing(agent: AgentInfo) -> str:
    if agent.error:
        return " ".join(agent.error.split())[:_CELL]
    doing = agent.method
    if agent.waits_for:
        doing = f"{doing} waits for {agent.waits_for}".strip()
    return f"{doing}; {agent.note}" if doing and agent.note else doing or agent.note


def invocations_table(invocations: Sequence[InvocationInfo], limit: int = _ROWS) -> Table:
    """Invocations: who asked for what, and what came of it; the newest when there are many."""
    rows = [
        (x.seq, x.agent_id, x.method, _state(x), x.key or x.label, x.caller, x.accepted, _took(x), x.error[:_CELL])
        for x in invocations[-limit:]
    ]
    head = ("entry", "agent", "method", "state", "key or label", "called by", "accepted", "took", "error")
    return Table(head, rows, _counted("invocation", len(invocations), len(rows), "last"))


def _state(one: InvocationInfo) -> str:
    marks = [mark for mark, holds in (("reverted", one.reverted), ("agent deleted", one.deleted)) if holds]
    return ", ".join([one.state, *marks])


def _took(one: InvocationInfo) -> str:
    return "" if one.seconds is None else duration(one.seconds)


def promises_table(promises: Sequence[PromiseInfo], limit: int = _ROWS) -> Table:
    """Promises: who waits for them and who could complete them; the newest when there are many."""
    rows = [
        (
            str(p.promise_id),
            f"{p.state}, orphan" if p.orphan else p.state,
            duration(p.age),
            p.waiters,
            p.holders,
            p.completer,
            p.ignored,
            _place(p.line),
        )
        for p in promises[-limit:]
    ]
    head = ("promise", "state", "age", "awaited by", "held by", "completed by", "ignored", "made at")
    return Table(head, rows, _counted("promise", len(promises), len(rows), "last"))


def forks_table(tree: Any, limit: int = _ROWS) -> Table:
    """The forks below what they were forked from.

    Args:
        tree: what `session.fork_tree()` gives.
        limit: rows at most.
    """
    rows: list[tuple[object, ...]] = []
    todo = [(name, 0) for name in reversed([n for n in tree if not tree.in_degree(n)])]
    while todo:
        name, depth = todo.pop()
        facts = tree.nodes[name]
        cut = next((cut for _, _, cut in tree.in_edges(name, data="cut")), None)
        rows.append((f"{'  ' * (depth - 1)}└ {name}" if depth else name, cut, facts["status"], facts["entries"]))
        todo += [(fork, depth + 1) for fork in reversed(list(tree.successors(name)))]
    note = _counted("agent", len(rows), min(len(rows), limit))
    return Table(("agent", "forked at index", "status", "entries"), rows[:limit], note)


def oplog_table(entries: Sequence[Entry], limit: int = _ROWS) -> Table:
    """Entries of an oplog; the newest when there are many."""
    rows = [
        (
            x.index,
            x.seq,
            x.kind,
            describe(x.body),
            " ".join(content(x.body, _CELL).split()),
            _place(x.line),
            f"{moment(x.wall):%m-%d %H:%M:%S}",
        )
        for x in entries[-limit:]
    ]
    head = ("index", "entry", "kind", "what", "holds", "line", "when (UTC)")
    return Table(head, rows, _counted("entry", len(entries), len(rows), "last"))


def sentences(told: Iterable[str], width: int = 0) -> str:
    """Sentences for a terminal, each on lines of its own.

    Args:
        told: the sentences.
        width: columns of the terminal; 0 for no limit.
    """
    lines = [printable(sentence) for sentence in told]
    if width > _NARROW:
        lines = [textwrap.fill(line, width, subsequent_indent=_BETWEEN, break_on_hyphens=False) for line in lines]
    return "\n".join(lines)


# ---- records ---------------------------------------------------------------------------------------------------------


def records(rows: Iterable[Any]) -> list[dict[str, object]]:
    """Rows as plain values for JSON: times in ISO 8601, ids as text."""
    return [{name: _plain(value) for name, value in row._asdict().items()} for row in rows]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PromiseId):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def fork_records(tree: Any) -> list[dict[str, object]]:
    """The forks of `session.fork_tree()` as plain values; what was not forked has no source."""
    found = []
    for name, facts in tree.nodes(data=True):
        source, cut = next(((s, c) for s, _, c in tree.in_edges(name, data="cut")), (None, None))
        found.append({"agent_id": name, "source": source, "cut": cut, **facts})
    return found


def entry_records(entries: Iterable[Entry]) -> list[dict[str, object]]:
    """Entries as plain values."""
    return [
        {
            "seq": x.seq,
            "index": x.index,
            "kind": x.kind,
            "role": ROLES[type(x.body)].value,
            "cause": x.cause,
            "invocation": x.invocation,
            "wall": moment(x.wall).isoformat(),
            "line": x.line,
            "what": describe(x.body),
            "holds": content(x.body),
        }
        for x in entries
    ]
