"""Still pictures of forks: every branch over the indices of the oplog, and what came of it.

An agent that was forked is a line from its first entry to its newest. A fork leaves it at the cut and goes on from
there, for the two share what lies before. What a revert took back is pale. At the right stand what the branches came
to, one under the other.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from workbench.views.drawing import (
    EDGE,
    FAINT,
    GROUND,
    HAIR,
    INK,
    SMALL,
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Shape,
    Text,
    fitted,
    polyline,
    words,
)
from workbench.views.graph_looks import COLOURS
from workbench.views.graph_nodes import Origin, Status
from workbench.views.lanes import names
from workbench.views.lettering import text_width
from workbench.views.tape import Moment, Row, Tape

MOST_BRANCHES: Final = 60
"""Branches drawn; those that are left out are counted."""
WIDTH, TOP, LANE, GAP, MARGIN = 1000, 44.0, 30.0, 14.0, 16.0
LEAST_NAMES, MOST_NAMES, RESULT_W, LENGTH_W = 120.0, 230.0, 230.0, 20.0
_BRANCH: Final = COLOURS[Status.UNDEFINED]
_TRUNK: Final = COLOURS[Status.RUNNING]
_TURN: Final = 16.0
_TICKS: Final = 9


class Branch(msgspec.Struct):
    """A line of the picture.

    Attributes:
        slot: the agent.
        source: slot of what it was forked from, -1 for none that is shown.
        cut: index in the source's oplog where it left, 0 for a trunk.
        length: the newest index of its oplog that did something one sees.
        reverts: what was taken back, as the index that counts last and the index of the revert.
        depth: how many forks lie between it and the trunk.
        y: its place.
    """

    slot: int
    source: int = -1
    cut: int = 0
    length: int = 0
    reverts: list[tuple[int, int]] = msgspec.field(default_factory=list)
    depth: int = 0
    y: float = 0


def branches(tape: Tape, moment: Moment) -> list[Branch]:
    """All agents that were forked or are forks, each under its source, in the order of the cuts."""
    found: dict[int, Branch] = {}
    for row in tape.rows(Row.FORK, moment.row):
        slot, source = tape.slot[row], tape.a[row]
        if source >= 0 and source not in found:
            found[source] = Branch(source)
        found[slot] = Branch(slot, source, tape.b[row], tape.b[row])
    for row in range(moment.row):
        branch = found.get(tape.slot[row])
        if branch is not None and tape.index[row]:
            branch.length = max(branch.length, tape.index[row])
            if tape.kind[row] == Row.REVERT:
                branch.reverts.append((tape.a[row], tape.index[row]))
    forks: dict[int, list[Branch]] = {}
    for branch in found.values():
        forks.setdefault(branch.source, []).append(branch)
    ordered: list[Branch] = []
    todo = sorted(forks.get(-1, ()), key=lambda b: -b.slot)
    while todo:
        branch = todo.pop()
        ordered.append(branch)
        under = sorted(forks.get(branch.slot, ()), key=lambda b: (-b.cut, -b.slot))
        for fork in under:
            fork.depth = branch.depth + 1
        todo += under
    return ordered


def forks_drawing(tape: Tape, moment: Moment, results: Mapping[int, str] | None = None) -> Drawing:
    """The forks as a picture of bounded size.

    Args:
        tape: the rows.
        moment: up to where.
        results: what branches came to, by slot, as text.
    """
    every = branches(tape, moment)
    title = _title(tape, every)
    if not every:
        nothing = words(MARGIN, 24, "no agent was forked", faint=True)
        return Drawing(320, 48, title, (nothing,))
    shown = every[:MOST_BRANCHES]
    called = names(tape, moment)
    y = TOP
    for branch in shown:
        y += GAP if branch.depth == 0 and y > TOP else 0
        branch.y = y + LANE / 2
        y += LANE
    left = MARGIN + 20 + min(max([LEAST_NAMES, *(_name_width(b, called) for b in shown)]), MOST_NAMES) + 16
    right = WIDTH - MARGIN - (RESULT_W if results else 0) - LENGTH_W - 44
    ruler = _Ruler(left, right, max(b.length for b in shown))
    marks = _axis(ruler, y + 4)
    by_slot = {branch.slot: branch for branch in shown}
    marks += [mark for branch in reversed(shown) for mark in _line(branch, by_slot, ruler)]
    marks += [mark for branch in shown for mark in _cuts(branch, shown, ruler)]
    for branch in shown:
        marks += _ends(tape, moment, branch, shown, called, ruler, (results or {}).get(branch.slot))
    if results:
        marks.append(Text(WIDTH - MARGIN - RESULT_W, TOP - 20, "result", size=SMALL, colour=FAINT))
    if len(every) > len(shown):
        y += 20
        marks.append(words(MARGIN, y, f"and {len(every) - len(shown):,} more branches", faint=True))
    marks.append(fitted(words(MARGIN, y + 26, title, bold=True), WIDTH - 2 * MARGIN))
    return Drawing(WIDTH, y + 44, title, tuple(marks), _told(shown, called, results or {}))


class _Ruler(msgspec.Struct):
    """Places of indices."""

    left: float
    right: float
    last: int

    def x(self, index: float) -> float:
        return self.left + (index - 1) / max(self.last - 1, 1) * (self.right - self.left)


def _name_width(branch: Branch, called: list[str]) -> float:
    return text_width(called[branch.slot]) + 4 + min(branch.depth, 6) * 12


def _axis(ruler: _Ruler, bottom: float) -> list[Mark]:
    steps = (s * 10**power for power in range(8) for s in (1, 2, 5))
    step = next(s for s in steps if ruler.last <= s * _TICKS)
    marks: list[Mark] = [Path(polyline((ruler.left, TOP - 8), (ruler.right, TOP - 8)), EDGE)]
    for index in sorted({1, *range(step, ruler.last + 1, step)} if step > 1 else range(1, ruler.last + 1)):
        x = ruler.x(index)
        if index == 1 or index >= 1.6 * step:
            marks.append(Path(polyline((x, TOP - 8), (x, bottom)), HAIR))
            marks.append(Text(x, TOP - 20, f"{index:,}", "middle", SMALL, colour=FAINT))
    marks.append(Text(MARGIN, TOP - 20, "index in the oplog", size=SMALL, colour=FAINT))
    return marks


def _line(branch: Branch, by_slot: Mapping[int, Branch], ruler: _Ruler) -> list[Mark]:
    """The branch itself, with the curve by which it leaves its source."""
    source = by_slot.get(branch.source)
    end = ruler.x(branch.length)
    colour = _TRUNK if source is None else _BRANCH
    if source is None:
        path = polyline((ruler.x(1), branch.y), (end, branch.y))
    else:
        x = ruler.x(branch.cut)
        turn = min(_TURN, max(end - x, 4))
        path = (
            f"M{x:.1f} {source.y:.1f}C{x:.1f} {source.y + (branch.y - source.y) * 0.5:.1f} {x:.1f} {branch.y:.1f} "
            f"{x + turn:.1f} {branch.y:.1f}L{max(end, x + turn):.1f} {branch.y:.1f}"
        )
    marks: list[Mark] = [Path(path, colour, 2.6)]
    for last, at in branch.reverts:
        a, b = ruler.x(max(last, branch.cut)), ruler.x(at)
        marks.append(Rect(a + 3, branch.y - 3, max(b - a - 3, 1), 6, 0, GROUND))
        gone = Path(polyline((a + 3, branch.y), (b, branch.y)), "#b5b5b5", 2.6, "2 3")
        marks.append(Group(f"taken back: {last + 1} to {at}", (gone,)))
    return marks


def _cuts(branch: Branch, shown: list[Branch], ruler: _Ruler) -> list[Mark]:
    """Where forks leave a branch; forks of one cut share the point and its number."""
    marks: list[Mark] = []
    reach = float("-inf")
    for cut in sorted({b.cut for b in shown if b.source == branch.slot}):
        x, text = ruler.x(cut), str(cut)
        marks.append(Shape(Status.IDLE, x, branch.y, 7, _BRANCH))
        marks.append(Rect(x - 2.6, branch.y - 2.6, 5.2, 5.2, 2.6, GROUND))
        half = text_width(text, SMALL) / 2
        if x - half > reach:
            marks.append(Text(x, branch.y - 10.5, text, "middle", SMALL, colour=INK))
            reach = x + half + 3
    return marks


def _ends(
    tape: Tape,
    moment: Moment,
    branch: Branch,
    shown: list[Branch],
    called: list[str],
    ruler: _Ruler,
    result: str | None,
) -> list[Mark]:
    node, status = tape.view.nodes[branch.slot], tape.status(moment, branch.slot)
    x, y = MARGIN + min(branch.depth, 6) * 12, branch.y
    name = fitted(words(x + 20, y, called[branch.slot], faint=status is Status.EXITED), ruler.left - x - 20 - 16)
    end = ruler.x(branch.length)
    if branch.source >= 0:
        end = max(end, ruler.x(branch.cut) + min(_TURN, max(end - ruler.x(branch.cut), 4)))
    cuts = [ruler.x(fork.cut) for fork in shown if fork.source == branch.slot]
    end = max([end, *(cut + 10 for cut in cuts)])
    sign = Rect(x + 4, y - 5, 9, 9, 2, "none", _TRUNK, 1.4) if branch.source < 0 else _fork_sign(x + 8, y)
    title = f"{node.agent_id}: {status.word}, {branch.length} entries"
    marks: list[Mark] = [Group(title, (sign, name)), Shape(status, end + 3, y, 5.5)]
    marks.append(Text(end + 13, y, f"{branch.length:,}", size=SMALL, colour=FAINT))
    if result is not None:
        at = WIDTH - MARGIN - RESULT_W
        frame = Rect(at, y - 11, RESULT_W, 22, 4, "#f6f8fa", EDGE, 0.8)
        marks += [frame, fitted(words(at + 8, y, result), RESULT_W - 16)]
    return marks


def _fork_sign(x: float, y: float) -> Mark:
    return Path(
        f"M{x - 4:.1f} {y - 6:.1f}L{x - 4:.1f} {y - 2:.1f}C{x - 4:.1f} {y + 3:.1f} {x:.1f} {y:.1f} {x + 5:.1f} {y:.1f}",
        _BRANCH,
        1.6,
    )


# ---- words --------------------------------------------------------------------------------------------------------


def _title(tape: Tape, every: list[Branch]) -> str:
    forks = sum(tape.view.nodes[b.slot].origin == Origin.FORKED for b in every)
    trunks = len(every) - forks
    if not every:
        return "No forks"
    return f"{forks} {'fork' if forks == 1 else 'forks'} of {trunks} {'agent' if trunks == 1 else 'agents'}"


def _told(shown: list[Branch], called: list[str], results: Mapping[int, str]) -> str:
    parts = []
    for branch in shown[:8]:
        came = f" and came to {results[branch.slot]}" if branch.slot in results else ""
        left = f"left {called[branch.source]} at {branch.cut}" if branch.source >= 0 else "is the source"
        parts.append(f"{called[branch.slot]} {left}, has {branch.length} entries{came}.")
    return " ".join(parts)
