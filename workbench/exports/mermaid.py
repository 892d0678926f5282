"""Diagrams for Mermaid, which notebooks, documents and code hosts draw: who made whom, and who told whom.

Text from agents is text. It stands in quotes or at the end of a line, and each sign of it that is no letter, digit or
blank is written as an entity code (`#60;`), so nothing of it is markup, a link, an icon, a formula, a directive or the
end of a label to Mermaid. Agents are named by their place (`n0`, `p0`), never by their ids. A status is told by a word
and has a colour only besides.

Mermaid draws no text of more than 50,000 signs and no flowchart of more than 500 edges, as it is set up everywhere:
what would be more is left out, and how much that is stands in the diagram.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from workbench.exports.telling import agent_name, said, work_names
from workbench.signs import printable
from workbench.views.graph_looks import COLOURS
from workbench.views.graph_nodes import BUSY, LOUD, Link, Origin, Status
from workbench.views.spans import Message, messages
from workbench.views.tables import fitted
from workbench.views.tape import Arrow, Moment, Row, Tape

MOST_AGENTS: Final = 120
"""Agents that a graph shows one by one."""
MOST_MESSAGES: Final = 200
"""Messages that a sequence shows."""
_MOST_TEXT: Final = 48_000
_MOST_EDGES: Final = 480
_MOST_NODES: Final = 230
"""Each may have a line from its maker, and one to those below it that are left out."""
_WIDTH: Final = 48
"""Columns of a name."""
_NARROW: Final = 28
"""Columns of a name where names stand beside each other."""
_MARKERS: Final = "ﬂß"
"""Letters that Mermaid marks entity codes with while it works."""
_PARTED: Final = "$:\\¶" + _MARKERS
"""Signs that begin something though they are written as codes, where a label has a line break: a formula (`$$`), an
icon (`fa:fa-car`), a line break. Each is followed by a blank of no width."""
_ARROWS: Final = {
    Arrow.CALL: "->>",
    Arrow.REPLY: "-->>",
    Arrow.TRIGGER: "-)",
    Arrow.SCHEDULE: "-)",
    Arrow.COMPLETION: "--)",
}
_WAITS: Final = {
    Link.CALL: "waits for a reply",
    Link.TRIGGER: "has triggered it",
    Link.PROMISE: "waits for a promise",
}


def encoded(text: str, width: int = _WIDTH) -> str:
    """A text that Mermaid shows as it is, and takes for nothing else.

    Args:
        text: any text; it is shown in one line.
        width: columns that it may take; the middle of a longer one is left out.
    """
    return "".join(_sign(sign) for sign in fitted(printable(text), width))


def _sign(sign: str) -> str:
    plain = sign == " " or (sign.isalnum() and sign not in _MARKERS)
    return sign if plain else f"#{ord(sign)};{'#8203;' if sign in _PARTED else ''}"


def _within(make: Callable[[int], str], most: int) -> str:
    """The diagram with as much in it as Mermaid takes."""
    text = make(most)
    while len(text) > _MOST_TEXT and most > 1:
        most //= 2
        text = make(most)
    return text


# ---- who made whom --------------------------------------------------------------------------------------------------


def graph(tape: Tape, moment: Moment, *, most: int = MOST_AGENTS) -> str:
    """A flowchart of the agents at a moment.

    A line leads from who made an agent to it, a dotted one from a source to its fork, a thick one from an agent to the
    one that it waits for.

    Args:
        tape: the rows.
        moment: when.
        most: agents to show, 230 at most; of more, those that need a look, then the busy ones, then the oldest, each
            with those that it descends from. The others are counted below the agent that they descend from.
    """
    return _within(lambda number: "\n".join(_graph(tape, moment, number)) + "\n", min(most, _MOST_NODES))


def _graph(tape: Tape, moment: Moment, most: int) -> Iterator[str]:
    nodes = tape.view.nodes
    shown = _shown(tape, moment, most)
    works = work_names(tape, moment)
    yield "flowchart LR"
    yield f"    accTitle: Agents at entry {moment.seq}"
    for slot in sorted(shown):
        status = tape.status(moment, slot)
        name = encoded(agent_name(tape, slot))
        if nodes[slot].origin == Origin.ROOT:
            yield f'    n{slot}(["{name}<br/>cells"]):::root'
        else:
            work = f"<br/>{encoded(works[slot])}" if slot in works else ""
            yield f'    n{slot}["{name}{work}<br/>{_doing(tape, moment, slot, status)}"]:::{status.word}'
    cuts = {tape.slot[row]: tape.b[row] for row in tape.rows(Row.FORK, moment.row)}
    for slot in sorted(shown):
        parent = nodes[slot].parent
        if parent in shown and nodes[slot].origin == Origin.FORKED:
            at = f" at {cuts[slot]}" if slot in cuts else ""
            yield f'    n{parent} -. "fork{at}" .-> n{slot}'
        elif parent in shown:
            yield f"    n{parent} --> n{slot}"
    folded = list(_folded(tape, moment, shown))
    yield from (line for lines in folded for line in lines)
    yield from _waits(tape, moment, shown, _MOST_EDGES - len(shown) - len(folded))
    yield from _classes()


def _doing(tape: Tape, moment: Moment, slot: int, status: Status) -> str:
    """The status, with what is run where something is: `running process`."""
    row = moment.last[slot]
    method = tape.texts[tape.b[row]] if row >= 0 and status in BUSY | {Status.INTERRUPTED, Status.QUEUED} else ""
    return f"{status.word} {encoded(method)}".strip()


def _shown(tape: Tape, moment: Moment, most: int) -> set[int]:
    """Slots of the agents to show, each with all that it descends from."""
    if moment.agents <= most:
        return set(range(moment.agents))

    def rank(slot: int) -> tuple[int, int]:
        status = tape.status(moment, slot)
        return (0 if status in LOUD else 1 if status in BUSY else 2), slot

    shown: set[int] = set()
    for slot in sorted(range(moment.agents), key=rank):
        line, at = [], slot
        while at >= 0 and at not in shown:
            line.append(at)
            at = tape.view.nodes[at].parent
        if len(shown) + len(line) <= most:
            shown.update(line)
        if len(shown) == most:
            break
    return shown


def _folded(tape: Tape, moment: Moment, shown: set[int]) -> Iterator[list[str]]:
    """How many agents are not shown, and in which status, below the nearest shown one that they descend from."""
    above: dict[int, int] = {}
    counts: dict[int, Counter[Status]] = {}
    for slot in range(moment.agents):
        parent = tape.view.nodes[slot].parent
        above[slot] = slot if slot in shown else above.get(parent, -1)
        if slot not in shown:
            counts.setdefault(above[slot], Counter())[tape.status(moment, slot)] += 1
    for slot, counted in counts.items():
        told = ", ".join(f"{number:,} {status.word}" for status, number in counted.most_common())
        name = f"more{slot}" if slot >= 0 else "more"
        text = [f'    {name}[["{encoded(f"{counted.total():,} more", 200)}<br/>{encoded(told, 200)}"]]:::more']
        yield [*text, f"    n{slot} --> {name}"] if slot >= 0 else text


def _waits(tape: Tape, moment: Moment, shown: set[int], most: int) -> Iterator[str]:
    counted = Counter((tape.slot[row], tape.a[row], tape.b[row]) for row in moment.links)
    found = [(pair, number) for pair, number in counted.items() if pair[0] in shown and pair[1] in shown]
    for (slot, target, kind), number in found[:most]:
        times = f", {number:,} times" if number > 1 else ""
        yield f'    n{slot} == "{_WAITS.get(Link(kind), "waits for it")}{times}" ==> n{target}'
    if len(found) > most:
        yield f'    waits[["{len(found) - most} waits are left out"]]:::more'


def _classes() -> Iterator[str]:
    for status in Status:
        heavy = "4px" if status in LOUD else "2px"
        yield f"    classDef {status.word} fill:#ffffff,stroke:{COLOURS[status]},stroke-width:{heavy},color:#1c1c1c"
    yield "    classDef root fill:#ffffff,stroke:#1c1c1c,stroke-width:2px,color:#1c1c1c"
    yield "    classDef more fill:#f2f2f2,stroke:#8a8a8a,stroke-width:1px,color:#1c1c1c"


# ---- who told whom --------------------------------------------------------------------------------------------------


def sequence(tape: Tape, moment: Moment, *, most: int = MOST_MESSAGES) -> str:
    """A sequence diagram of what agents sent to each other up to a moment, in the order of receipt.

    Calls have a full line with a filled head, their replies a dashed one; triggers and schedules a full line with an
    open head, completions of promises a dashed one. Forks are notes.

    Args:
        tape: the rows.
        moment: the last one shown.
        most: messages to show: the newest. A note says how many came before them; name an earlier moment to see those.
    """
    sent = messages(tape, moment)
    return _within(lambda number: "\n".join(_sequence(tape, moment, sent, number)) + "\n", most)


def _sequence(tape: Tape, moment: Moment, sent: list[Message], most: int) -> Iterator[str]:
    kept = sent[max(0, len(sent) - most) :]
    yield "sequenceDiagram"
    yield f"    accTitle: Messages up to entry {moment.seq}"
    taking_part = sorted({slot for message in kept for slot in (message.sender, message.receiver)})
    for slot in taking_part or range(min(1, moment.agents)):
        yield f"    participant p{slot} as {encoded(agent_name(tape, slot), _NARROW)}"
    if len(kept) < len(sent):
        left_out = len(sent) - len(kept)
        words = "1 earlier message is" if left_out == 1 else f"{left_out} earlier messages are"
        yield f"    Note over {_over(taking_part[0], taking_part[-1])}: {words} left out"
    for message in kept:
        sender, receiver = message.sender, message.receiver
        if message.kind is Arrow.FORK:
            yield f"    Note over {_over(sender, receiver)}: {encoded(agent_name(tape, receiver))} is forked off"
        else:
            told = said(tape, message)
            yield f"    p{sender}{_ARROWS[message.kind]}p{receiver}: {told.verb} {encoded(told.what)}".rstrip()


def _over(one: int, other: int) -> str:
    return f"p{one}" if one == other else f"p{min(one, other)},p{max(one, other)}"
