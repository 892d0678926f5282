"""Who was given a promise's id: read off the entries, without building a value.

An id can be completed by whoever has it, and an agent has it if it made the promise, or if the id occurs in a value
that it was given: an argument, a result, a payload, the outcome of a step, its own name. `promise_ids` finds ids in
encoded values by their bytes: all forms of an id hold its incarnation, `<the store's salt>-<uid>`, and the index of the
promise right behind it. It knows the codec's form (also nested in other tags, which are MessagePack again), the text
form `agent#incarnation/index`, JSON, and Python's `repr`. An id that somebody compressed or encrypted is not found.

No entry holds the arguments of a step. So an agent may have passed on outside, in a mail or to a service, each id that
it had when it began one; a fork has those of its source up to the cut. What a revert took back later counts as well.

`Mentions` gathers what the entries tell; it reads each once, in order. Entries of other kinds than `TELLING` that hold
no id may be left out.
"""

import re
import sys
from collections.abc import Iterable
from itertools import takewhile
from typing import Final

from workbench.core.nouns import ROOT_UID
from workbench.model import entries as e
from workbench.model.entries import Body, Entry

PromiseKey = tuple[int, int]
"""Uid of the agent that made a promise, and the oplog index of its creation."""

TELLING: Final[tuple[type[Body], ...]] = (
    e.PromiseCreated,
    e.PromiseAwaited,
    e.PromiseSeen,
    e.PromiseCompleted,
    e.ScheduleFired,
    e.StepStarted,
    e.AgentForked,
)
"""Kinds of entries to read, besides those whose body holds the bytes of `Mentions.mark`."""

_AS_TEXT: Final = re.compile(rb"""([0-9]{1,19})(?:/|\\*"\s*,\s*\\*"index\\*"\s*:\s*|\\*',\s*index=)([0-9]{1,19})""")
_DIGITS: Final = re.compile(rb"[0-9]{1,19}\Z")
_FIXED_TEXT, _TEXT_8, _INDEX_NAME = 0xA0, 0xD9, b"\xa5index"
_WIDTHS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
"""MessagePack's heads of unsigned integers, and how many bytes follow."""
_FIXED_INTEGER: Final = 0x80


def promise_ids(data: bytes, salt: str) -> set[PromiseKey]:
    """The promise ids that occur in an encoded value.

    Args:
        data: any bytes.
        salt: of the store; ids of other stores are not looked for.
    """
    mark = f"{salt}-".encode()
    found: set[PromiseKey] = set()
    at = data.find(mark)
    while at >= 0:
        digits = at + len(mark)
        text = _AS_TEXT.match(data, digits)
        if text is not None:
            found.add((int(text[1]), int(text[2])))
        packed = _packed(data, at, digits)
        if packed is not None:
            found.add(packed)
        at = data.find(mark, digits)
    return found


def _packed(data: bytes, at: int, digits: int) -> PromiseKey | None:
    """The id whose incarnation begins at `at` in MessagePack: the text's head tells where it ends and the index is."""
    head = data[at - 1] if at else 0
    if at > 1 and data[at - 2] == _TEXT_8:
        end = at + head
    elif head & 0xE0 == _FIXED_TEXT:
        end = at + (head & 0x1F)
    else:
        return None
    uid = data[digits:end]
    if not _DIGITS.match(uid):
        return None
    if data.startswith(_INDEX_NAME, end):
        end += len(_INDEX_NAME)
    first = data[end] if end < len(data) else 0xFF
    if first < _FIXED_INTEGER:
        return int(uid), first
    width = _WIDTHS.get(first)
    return None if width is None else (int(uid), int.from_bytes(data[end + 1 : end + 1 + width], "big"))


class Mentions:
    """Where promise ids occur, by promise. `read` entries in order of `seq`.

    Attributes:
        mark: bytes that are in each id of this store.
        upto: `seq` of the last entry read.
        capped: whether entries were left out, so that somebody may have an id who is not in here.
        places: by uid, the indices in that agent's own oplog at which it was given the id, or showed that it has it.
        calls: acceptances with the id among the arguments: `seq` -> uid of the target.
        schedules: schedules with the id among the arguments: `seq` of each.
        answers: results that hold the id: `seq` of the acceptance of each.
        carriers: promises whose payload holds the id.
        shown: `seq` of the entry that printed the id, or logged it, 0 for none.
        steps: the first step that an agent began when it had the id: uid, and the step's name.
    """

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self.mark = f"{salt}-".encode()
        self.upto = 0
        self.capped = False
        self.places: dict[PromiseKey, dict[int, list[int]]] = {}
        self.calls: dict[PromiseKey, dict[int, int]] = {}
        self.schedules: dict[PromiseKey, set[int]] = {}
        self.answers: dict[PromiseKey, set[int]] = {}
        self.carriers: dict[PromiseKey, set[PromiseKey]] = {}
        self.shown: dict[PromiseKey, int] = {}
        self.steps: dict[PromiseKey, tuple[int, str]] = {}
        self._kept: dict[int, dict[PromiseKey, int]] = {}
        """Uid -> ids that the agent has and no step can have passed on, by the indices where it had them first."""
        self._cuts: dict[int, tuple[int, int]] = {}
        """Uid of a fork that has begun no step yet -> source and cut."""
        self.callers: dict[int, tuple[int, int, bool]] = {}
        """`seq` of an acceptance -> uid of the caller, index of the call, whether it was awaited."""

    def read_all(self, entries: Iterable[Entry]) -> set[PromiseKey]:
        """Read many; the promises of which more is known now."""
        changed: set[PromiseKey] = set()
        for entry in entries:
            changed |= self.read(entry)
        return changed

    def read(self, entry: Entry) -> set[PromiseKey]:
        """Note what one entry tells; the promises of which more is known now."""
        self.upto = entry.seq
        body = entry.body
        told: set[PromiseKey] = set()
        match body:
            case e.CallMade(awaited=awaited):
                self.callers[entry.seq] = entry.agent, entry.index, awaited
            case e.StepStarted(name=name):
                return self._pass_on(entry.agent, name)
            case e.AgentForked(source=source, cut=cut):
                self._cuts[entry.agent] = source, cut
            case e.ScheduleFired(schedule=schedule):
                told = {key for key, known in self.schedules.items() if schedule in known}
                for key in told:
                    self.calls.setdefault(key, {})[entry.seq] = entry.agent
            case e.PromiseCreated(again=again):
                told = {(entry.agent, again or entry.index)}
            case e.PromiseAwaited() | e.PromiseSeen() | e.PromiseCompleted():
                told = {(body.owner, body.promise)}
            case _:
                pass
        for key in told:
            self._place(key, entry)
        data = _given(body)
        if data is None or self.mark not in data:
            return told
        held = promise_ids(data, self._salt)
        for key in held:
            self._note(key, entry, body)
        return told | held

    def _place(self, key: PromiseKey, entry: Entry) -> None:
        self.places.setdefault(key, {}).setdefault(entry.agent, []).append(entry.index)
        if key not in self.steps and not isinstance(entry.body, e.ScheduleFired):  # of those it has it once it starts
            self._kept.setdefault(entry.agent, {}).setdefault(key, entry.index)

    def _pass_on(self, uid: int, name: str) -> set[PromiseKey]:
        """A step begins: the ids that its agent has, and that no step could have passed on before.

        Each id is taken out once, and what a fork shares with others is gone through once.
        """
        told = self._take(uid, sys.maxsize)
        source, cut = self._cuts.pop(uid, (0, 0))
        while source:
            told |= self._take(source, cut)
            source, before = self._cuts.get(source, (0, 0))
            cut = min(cut, before)
        for key in told:
            self.steps[key] = uid, name
        return told

    def _take(self, uid: int, upto: int) -> set[PromiseKey]:
        """Take out the ids that an agent got up to an index."""
        kept = self._kept.get(uid, {})
        had = list(takewhile(lambda key: kept[key] <= upto, kept))
        for key in had:
            del kept[key]
        return {key for key in had if key not in self.steps}

    def _note(self, key: PromiseKey, entry: Entry, body: Body) -> None:
        """An id occurs in an entry. Whoever wrote it there has it too."""
        self._place(key, entry)
        match body:
            case e.CallMade(target=target):
                self.calls.setdefault(key, {})[entry.seq] = target
            case e.CallScheduled():
                self.schedules.setdefault(key, set()).add(entry.seq)
            case e.InvocationFinished():
                self.answers.setdefault(key, set()).add(entry.invocation)
            case e.PromiseCompleted(owner=owner, promise=promise):
                self.carriers.setdefault(key, set()).add((owner, promise))
            case e.Logged():
                self.shown.setdefault(key, entry.seq)
            case _:
                pass

    def unknown_callers(self) -> list[int]:
        """Acceptances whose results hold an id, and whose callers are not known yet."""
        return sorted({seq for known in self.answers.values() for seq in known if seq and seq not in self.callers})

    def accepted(self, entry: Entry) -> None:
        """Learn who made such an acceptance."""
        body = entry.body
        awaited = isinstance(body, e.CallMade) and body.awaited
        self.callers[entry.seq] = (entry.agent if isinstance(body, e.CallMade) else 0), entry.index, awaited

    def from_cells(self, key: PromiseKey) -> bool:
        """Whether cells have an id: one made it, was given it by what it called, passed it on, or it was shown."""
        if ROOT_UID in self.places.get(key, ()) or key in self.shown:
            return True
        return any(self.callers.get(seq, (0, 0, False))[0] == ROOT_UID for seq in self.answers.get(key, ()))


def _given(body: Body) -> bytes | None:
    """What an entry holds that may name a promise."""
    match body:
        case e.CallMade() | e.CallScheduled() | e.InvocationStarted() | e.InvocationFinished() | e.SnapshotTaken():
            return body.value
        case e.CallDelivered() | e.PromiseDelivered() | e.StepFinished() | e.PromiseCompleted():
            return body.value
        case e.AgentCreated(agent_id=text) | e.AgentForked(agent_id=text):
            return text.encode("utf-8", "replace")
        case e.Logged(message=text):
            return text.encode("utf-8", "replace")
    return None
