"""Who gets a lane of a timeline: every agent under its parent while there is room, else siblings fold into bands.

A band stands for siblings and all below them. The failed and interrupted, the slowest and whoever lies on a lit path
keep lanes of their own beside it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from workbench.views.graph_nodes import LOUD, GraphNode, Origin, Status
from workbench.views.lettering import short_id
from workbench.views.spans import Span
from workbench.views.tape import Moment, Row, Tape

MOST_LANES: Final = 40
"""Agents drawn one by one at most."""
MOST_BANDS: Final = 16
_KEPT, _SLOWEST = 9, 2


class Lane(msgspec.Struct):
    """A line of the picture: one agent or, with `members`, a band of folded siblings and all below them.

    Attributes:
        slot: the agent; of a band, the parent of its members.
        depth: how far below the root.
        name: what is written beside it.
        more: how many agents below have no place of their own.
        y: its middle; `height` around it.
    """

    slot: int
    depth: int
    name: str
    members: tuple[int, ...] = ()
    more: int = 0
    y: float = 0
    height: float = 0


def names(tape: Tape, moment: Moment) -> list[str]:
    """What each agent is called at a moment: as its caller named the work, or by its id."""
    nodes = tape.view.nodes[: moment.agents]
    found = ["notebook" if node.origin == Origin.ROOT else short_id(node.agent_id) for node in nodes]
    for row in tape.rows(Row.LABEL, moment.row):
        if tape.c[row]:
            found[tape.slot[row]] = tape.texts[tape.c[row]]
    return found


def by_slot(known: Sequence[Span], agents: int) -> list[list[Span]]:
    """The spans of each agent."""
    found: list[list[Span]] = [[] for _ in range(agents)]
    for span in known:
        found[span.slot].append(span)
    return found


def took(tape: Tape, known: Sequence[Span]) -> float:
    """Milliseconds in which an agent had something to do, itself, that was not taken back."""
    own = (span for span in known if not span.reverted and tape.slot[span.row] == span.slot)
    return sum(span.end.wall - span.begin.wall for span in own)


class _Choice(msgspec.Struct):
    """Which children of an agent have lanes, and which are folded."""

    shown: list[int]
    folded: list[int]
    hidden: int = 0


def lanes(tape: Tape, moment: Moment, lives: Sequence[Sequence[Span]], lit: Collection[int] = ()) -> list[Lane]:
    """The lanes from top to bottom, without places.

    Args:
        tape: the rows.
        moment: when.
        lives: the spans of each agent.
        lit: agents that have lanes in any case, as far as there is room.
    """
    kids: dict[int, list[int]] = {}
    nodes = tape.view.nodes[: moment.agents]
    for node in nodes:
        kids.setdefault(node.parent, []).append(node.slot)
    choices = _choose(tape, moment, kids, lives, frozenset(lit))
    called, found = names(tape, moment), []
    todo: list[tuple[int, int]] = [(slot, 0) for slot in reversed(choices[-1].shown)] if -1 in choices else []
    if -1 in choices and choices[-1].folded:
        found.append(_band(-1, 0, choices[-1], kids, nodes))
    while todo:
        slot, depth = todo.pop()
        choice = choices.get(slot, _Choice([], []))
        found.append(Lane(slot, depth, called[slot], more=choice.hidden))
        if choice.folded:
            found.append(_band(slot, depth + 1, choice, kids, nodes))
        todo += [(member, depth + 1) for member in reversed(choice.shown)]
    return found


def _band(parent: int, depth: int, choice: _Choice, kids: Mapping[int, list[int]], nodes: Sequence[GraphNode]) -> Lane:
    members = _below(choice.folded, kids)
    alike = len({nodes[slot].type_name for slot in members}) == 1
    named = members if alike else choice.folded
    types = {nodes[slot].type_name for slot in named}
    name = f"{len(named)} \N{MULTIPLICATION SIGN} {types.pop()}" if len(types) == 1 else f"{len(named)} agents"
    return Lane(parent, depth, name, tuple(members), len(members) - len(named))


def _below(slots: Sequence[int], kids: Mapping[int, list[int]]) -> list[int]:
    """These agents and all below them."""
    found, todo = [], list(slots)
    while todo:
        slot = todo.pop()
        found.append(slot)
        todo += kids.get(slot, ())
    return sorted(found)


def _choose(
    tape: Tape,
    moment: Moment,
    kids: Mapping[int, list[int]],
    lives: Sequence[Sequence[Span]],
    lit: frozenset[int],
) -> dict[int, _Choice]:
    """Breadth first, each level as a whole, so that like families are drawn alike."""
    choices: dict[int, _Choice] = {}
    left, bands, level = MOST_LANES, MOST_BANDS, [-1]
    while level:
        families = {parent: kids[parent] for parent in level if parent in kids}
        share = left // max(len(families), 1)
        all_fit = sum(map(len, families.values())) <= left
        level = []
        for parent, members in families.items():
            if all_fit or len(members) <= share:
                choice = _Choice(members, [])
            elif bands > 0:
                choice = _fold(tape, moment, members, lives, lit, min(_KEPT, max(0, share - 1)))
                bands -= 1
            else:
                choice = _Choice([], [])
            if not choice.shown and not choice.folded:
                choice.hidden = len(_below(members, kids))
            left = max(0, left - len(choice.shown))
            choices[parent] = choice
            level += choice.shown
    return choices


def _fold(
    tape: Tape,
    moment: Moment,
    members: list[int],
    lives: Sequence[Sequence[Span]],
    lit: frozenset[int],
    room: int,
) -> _Choice:
    def failed(slot: int) -> bool:
        return tape.status(moment, slot) in LOUD or any(s.then is Status.FAILED and not s.reverted for s in lives[slot])

    slowest = sorted(members, key=lambda slot: -took(tape, lives[slot]))[:_SLOWEST]
    loud = [m for m in members if failed(m)]
    wanted = [*(m for m in members if m in lit), *loud[:1], *slowest[:1], *loud, *slowest]
    shown = sorted(list(dict.fromkeys(wanted))[:room])
    kept = set(shown)
    return _Choice(shown, [m for m in members if m not in kept])
