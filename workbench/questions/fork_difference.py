"""What differs between forks: what they share, where they parted, what each did and was given since, how each ended.

Forks of one family have one past. Since the last entry that they share (*the cut*), each went on alone, so their acts
are laid side by side (`workbench.questions.fork_acts`), and what is not the same is a difference. A difference shows at
an index of the oplogs, which run alike up to the first of them; so the lowest index is what began it all: a value that
one was given and the other was not, or another way that the code took by what `fork()` returned.

All is read off the entries since the cut, through a `Reader`, of each agent the first `MAX_READ`.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from workbench.core.lineage import Segment
from workbench.model import entries as e
from workbench.model.description import failure_line
from workbench.model.entries import ROLES, Entry, Role
from workbench.model.rendering import clip, rendered
from workbench.questions.explanation import at_line, elapsed
from workbench.questions.fork_acts import SHOWN, Noted, Teller, acts_of, earlier_ops, phantoms_called
from workbench.questions.fork_answer import ForkComparison, Parting, Past, Side
from workbench.questions.fork_family import Bond, Family, Member
from workbench.questions.fork_rows import differences, many
from workbench.questions.fork_words import ended, sentences
from workbench.questions.window import method_of

MAX_READ: Final = 20_000
"""Entries of each agent since the cut that are read."""
_BACK: Final = 1_000
"""Entries before the cut in which the invocation under way is looked for."""


class Reader(Protocol):
    """What is asked of the log."""

    def entry(self, seq: int) -> Entry | None:
        """The committed entry of this `seq`."""

    def entries(self, seqs: Iterable[int]) -> list[Entry]:
        """The committed entries of these `seq`."""

    def part(self, parts: Sequence[Segment]) -> list[Entry]:
        """The committed entries of some parts of oplogs, in their order."""

    def name(self, uid: int) -> str:
        """The text of an agent's id."""


def compare_forks(reader: Reader, found: Family, salt: str) -> ForkComparison:
    """What differs between agents of one family.

    Args:
        reader: of the log.
        found: the agents, and what they share.
        salt: of the store.
    """
    return _Comparison(reader, found, salt).answer()


class _Read(NamedTuple):
    """What was read of one agent: its entries since the cut, and its acts."""

    member: Member
    entries: list[Entry]
    acts: list[Noted]
    capped: bool


class _Comparison:
    """One comparison."""

    def __init__(self, reader: Reader, found: Family, salt: str) -> None:
        self._reader, self._found, self._salt = reader, found, salt
        trunk, _, self._cut = found.past[-1]
        [self._last] = reader.part([Segment(trunk, self._cut, self._cut)])
        self._lines = len({member.revision for member in found.members}) == 1

    def answer(self) -> ForkComparison:
        """Put it together."""
        found = self._found
        names = tuple(member.name for member in found.members)
        past = self._past()
        forks = [self._parting(bond) for bond in found.bonds]
        reads = [self._read(member) for member in found.members]
        sides = [self._side(read, past) for read in reads]
        kept, left = differences([read.acts for read in reads], names, lines=self._lines)
        answer = ForkComparison(
            agents=names, wall=found.now[0], seq=found.now[1], past=past, forks=forks, sides=sides, differences=kept,
            left=left, sentences=[],
        )  # fmt: skip
        return msgspec.structs.replace(answer, sentences=sentences(answer, found, [read.acts for read in reads]))

    # ---- the past ------------------------------------------------------------------------------------------------

    def _past(self) -> Past:
        found = self._found
        first, last = found.past[0], found.past[-1]
        [begun] = self._reader.part([Segment(first.uid, first.first, first.first)])
        invocation = self._under_way()
        method = method_of(self._reader.entry, invocation) if invocation else ""
        agent = found.names[last.uid]
        count = sum(part.last - part.first + 1 for part in found.past)
        stood = f"where {method} was under way" if method else "where nothing was under way"
        text = f"share {many(count, 'entry', 'entries')}, the oplog of {agent} up to index {last.last}, {stood}"
        return Past(
            agent=agent, cut=last.last, count=count, entries=(begun.seq, self._last.seq), invocation=invocation,
            method=method, wall=self._last.wall, line=self._last.line, text=text,
        )  # fmt: skip

    def _under_way(self) -> int:
        """The invocation that was under way at the cut; hints stand also between two."""
        left = _BACK
        for uid, first, last in reversed(self._found.past):
            begin = max(first, last - left + 1)
            for entry in reversed(self._reader.part([Segment(uid, begin, last)])):
                if isinstance(entry.body, e.InvocationFinished):
                    return 0
                if ROLES[type(entry.body)] is not Role.HINT:
                    return entry.invocation
            left -= last - begin + 1
            if left <= 0:
                break
        return self._last.invocation

    def _parting(self, bond: Bond) -> Parting:
        names = self._found.names
        agent, source = names[bond.uid], names[bond.source]
        own = self._reader.entry(bond.uid)
        at = self._at_cut(bond)
        line = "" if at is None else at.line
        how = f"made by its fork(){at_line(line)}" if bond.inside else "made from outside"
        gone = ", which was deleted" if bond.source in self._found.deleted else ""
        text = f"{agent} is a fork of {source}{gone}, {how}, at index {bond.cut}"
        entries = tuple(x.seq for x in (at, own) if x is not None)
        return Parting(
            agent=agent, source=source, cut=bond.cut, inside=bond.inside, line=line, entries=entries, text=text
        )

    def _at_cut(self, bond: Bond) -> Entry | None:
        """The entry at the cut of a fork, which stands in its source's oplog or in one further back."""
        bonds = {one.uid: one for one in self._found.bonds}
        uid = bond.source
        while uid in bonds and bond.cut <= bonds[uid].cut:
            uid = bonds[uid].source
        known = next((part.uid for part in self._found.past if part.first <= bond.cut <= part.last), uid)
        found = self._reader.part([Segment(known, bond.cut, bond.cut)])
        return found[0] if found else None

    # ---- each of them --------------------------------------------------------------------------------------------

    def _read(self, member: Member) -> _Read:
        parts, left = [], MAX_READ
        for uid, first, last in member.parts:
            if left > 0:
                parts.append(Segment(uid, first, min(last, first + left - 1)))
                left -= last - first + 1
        entries = self._reader.part(parts)
        wanted = sorted(earlier_ops(entries, self._cut))
        before = self._reader.part([Segment(part.uid, op, op) for op in wanted for part in self._holding(op)])
        made = {x.seq: x for x in self._reader.entries(phantoms_called(entries, self._last.seq))}
        uids = {member.uid, *(part.uid for part in member.parts)}
        names = self._found.names
        teller = Teller(
            name=member.name,
            selves={uid: self._found.ids[uid] for uid in uids},
            cut=self._cut,
            cut_seq=self._last.seq,
            salt=self._salt,
            made={},
            entry=lambda seq: made.get(seq) or self._reader.entry(seq),
            agent=lambda uid: names.get(uid) or self._reader.name(uid),
        )
        acts = acts_of(teller, entries, {entry.index: entry for entry in before})
        return _Read(member, entries, acts, left < 0)

    def _holding(self, index: int) -> Iterable[Segment]:
        return (part for part in self._found.past if part.first <= index <= part.last)

    def _side(self, read: _Read, past: Past) -> Side:
        member, acts = read.member, [noted.act for noted in read.acts]
        ends = [act for act in acts if act.kind == "end"]
        end = next((act for act in ends if act.invocation == past.invocation), None)
        if end is None and not past.invocation and not member.running:
            end = ends[-1] if ends else None
        begin, reverts = self._begin(read)
        method, entries = past.method, (end.entry,) if end is not None else ()
        state, outcome, until = "", "", 0
        if end is not None:
            state, outcome, until = "returned" if end.how == "ok" else "raised", end.value, end.begin
            method = end.what
        elif member.stopped:
            state, outcome = self._stopped(member)
            stop = self._reader.entry(member.stopped)
            entries, until = (member.stopped,), 0 if stop is None or state == "interrupted" else stop.wall
        elif past.invocation and member.last[0] == past.invocation:
            _, ok, value, settled = member.last
            state, outcome = ("returned", rendered(value, SHOWN)) if ok else ("raised", _error(value))
            done = self._reader.entry(settled)
            entries, until = (settled,), 0 if done is None else done.wall
        else:
            state, outcome = member.status, member.waits
            if past.invocation and member.running != past.invocation:
                state = "unknown"
            elif member.running:
                method = method_of(self._reader.entry, member.running)
        seconds = elapsed(begin, until or self._found.now[0])
        side = Side(
            agent=member.name, acts=acts, state=state, method=method, outcome=outcome, seconds=seconds,
            invocations=len(ends), reverts=reverts, entries=entries, capped=read.capped,
        )  # fmt: skip
        return msgspec.structs.replace(side, text=ended(side))

    def _begin(self, read: _Read) -> tuple[int, tuple[int, ...]]:
        """When an agent went on alone, and the reverts that it has seen since."""
        member = read.member
        found = [(to, self._reader.part([Segment(member.uid, at, at)])) for to, at in member.reverts]
        reverts = [(to, entries[0]) for to, entries in found if entries]
        back = next((entry.wall for to, entry in reversed(reverts) if to == self._cut), 0)
        first = read.entries[0] if read.entries else None
        if first is not None and isinstance(first.body, e.AgentForked):
            back = first.wall
        return back or self._last.wall, tuple(entry.seq for _, entry in reverts)

    def _stopped(self, member: Member) -> tuple[str, str]:
        if member.uid in self._found.deleted:
            return "deleted", ""
        return ("failed", _error(member.failure)) if member.failure else ("interrupted", member.waits)


def _error(data: bytes) -> str:
    return clip(failure_line(data), SHOWN)
