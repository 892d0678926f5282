"""What is told of a wait, a result or a duration: links as data, and their sentences.

A `Why` is data first: its links are what a picture of the chain is drawn from, and each sentence is the text of one
link with the entries it is read off. Whatever agents are named or say is text here, and is escaped in HTML.
"""

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from workbench.signs import NO_FORMULAS, printable, printed

MAX_SENTENCES: Final = 12
"""Sentences of one answer; what is left out is counted."""
_HEAD: Final = 4
"""Sentences from the beginning of a long chain; the others tell its ends."""
_SHOWN_ENTRIES: Final = 4

NOTES: Final = frozenset({"leaked", "pinned", "schedule"})
"""Kinds of links that stand beside the chain: they explain no wait."""

_SECOND: Final = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One wait and what it is for, the end of a chain of waits, or one cause of a result.

    Attributes:
        agent: text of the id of the agent that waits, or whose result this is.
        kind: of a wait `call`, `queued`, `promise`, `orphan` (a promise that nobody alive can complete), `timer`,
            `step`, `retrying`, `due`; of an end `running`, `ready`, `idle`, `failed`, `diverged`, `interrupted`,
            `undefined`, `cells`, `cycle`, `more`; of a note `leaked`, `pinned`, `schedule`; of a cause `result`,
            `raised`, `unfinished`, `arguments`, `remembered`, `forked`, `completed`, `ended`, and `promise`, `call`,
            `timer`, `step` for what was waited for.
        what: what it is for: `Worker(3).process`, `step fetch`, a promise's id.
        method: what the agent runs; empty for nothing, or where that does not matter.
        started: `seq` of the entry that began that, 0 for none; `running` is for how many seconds, where looked up.
        since: when this began, in wall nanoseconds since the epoch; 0 for unknown.
        seconds: how long ago that was.
        line: where the code asked for it, `file:line`.
        entries: `seq` of the entries that this is read off, the one that began it first.
        to: ids of the agents that links of their own go on with.
        root: whether the chain ends here.
        count: so many waits in one link.
        alike: so many more agents are in the same position as this one.
        depth: how far from the question, from 0.
        held_by: of a promise, who was given its id and lives, a hundred at most; `Session()` for cells.
        can_complete: of those, who could complete it.
        text: the sentence, without the entries.
        end: for a root, what it is in one phrase.
    """

    agent: str
    kind: str
    what: str = ""
    method: str = ""
    started: int = 0
    running: float = 0.0
    since: int = 0
    seconds: float = 0.0
    line: str = ""
    entries: tuple[int, ...] = ()
    to: tuple[str, ...] = ()
    root: bool = False
    count: int = 1
    alike: int = 0
    depth: int = 0
    held_by: tuple[str, ...] = ()
    can_complete: tuple[str, ...] = ()
    text: str = ""
    end: str = ""

    def __str__(self) -> str:
        return f"{self.text}{evidence(self.entries)}."


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `session.why`.

    Attributes:
        about: who or what was asked about.
        wall: as of when, in wall nanoseconds; `seq` is the last entry that counted.
        links: the chain or tree as data, from the question on.
        sentences: at most twelve of the links, told; a last one counts what was left out.
        roots: the ends of the chains, a phrase each.
        capped: whether entries were left unread because there are too many: then nobody is said to be out of reach.
    """

    about: str
    wall: int
    seq: int
    links: list[Link]
    sentences: list[str]
    roots: list[str]
    capped: bool = False

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return printed(self.sentences)

    def _repr_html_(self) -> str:
        return listed(self.sentences)


def listed(sentences: Sequence[str]) -> str:
    """Sentences as a list in HTML; all that is in them is text."""
    items = "".join(f"<li>{html.escape(printable(sentence))}</li>" for sentence in sentences)
    return f"<ul {NO_FORMULAS}>{items}</ul>"


def chosen(links: Sequence[Link]) -> list[int]:
    """Numbers of the links to tell, in order: all when they are few, else the first ones, the notes and the ends."""
    numbers = range(len(links))
    ranked = sorted(numbers, key=lambda at: (at >= _HEAD, links[at].kind not in NOTES, not links[at].root))
    return sorted(ranked[:MAX_SENTENCES])


def answer(about: str, now: tuple[int, int], links: Sequence[Link], left: int = 0, *, capped: bool = False) -> Why:
    """Make the answer of links that have their text.

    Args:
        about: who or what was asked about.
        now: wall time and `seq` that it is as of.
        links: all of them, in order.
        left: how many more there would be.
        capped: whether entries were left unread.
    """
    told = chosen(links)
    sentences = [str(links[number]) for number in told]
    left += len(links) - len(told)
    if left:
        sentences.append(f"{left:,} more {'is' if left == 1 else 'are'} left out here.")
    roots = list(dict.fromkeys(link.end for link in links if link.root and link.end))
    return Why(about=about, wall=now[0], seq=now[1], links=list(links), sentences=sentences, roots=roots, capped=capped)


def evidence(entries: Sequence[int]) -> str:
    """The entries that a sentence is read off, to stand before its full stop; nothing for none."""
    known = [f"{seq}" for seq in dict.fromkeys(entries) if seq]
    if not known:
        return ""
    if len(known) == 1:
        return f" (entry {known[0]})"
    if len(known) <= _SHOWN_ENTRIES:
        return f" (entries {', '.join(known)})"
    return f" (entries {', '.join(known[: _SHOWN_ENTRIES - 1])} and {len(known) - _SHOWN_ENTRIES + 1:,} more)"


# ---- words --------------------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """A length of time for people: `20 ms`, `12.1 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 1:
        return "0 s" if seconds < 0.0005 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004 - half a millisecond
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, part, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name} {rest} {small}" if rest else f"{whole // unit} {name}"
    return f"{seconds:.1f} s"


def moment(wall: int) -> str:
    """A wall time for people: UTC, to the second."""
    return datetime.fromtimestamp(wall / _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def elapsed(begin: int, end: int) -> float:
    """Seconds between two wall times, at least 0."""
    return max(end - begin, 0) / _SECOND


def at_line(line: str) -> str:
    """` at file:line`, or nothing."""
    return f" at {line}" if line else ""


def several(names: Sequence[str], shown: int = 3) -> str:
    """Names in a row: `a`, `a and b`, `a, b, c and 7 others`."""
    if len(names) > shown + 1:
        rest = len(names) - shown
        return f"{', '.join(names[:shown])} and {rest:,} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def clipped(text: str, length: int = 200) -> str:
    """One line of a text, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
