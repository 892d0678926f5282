"""What agents did since they parted: read off their oplogs, and laid side by side.

An **act** is what an agent's code asked for, with what came of it: a call and its result, a step and its outcome, a
promise that it awaited and the payload. So one act is read off two entries, or of one that has no answer. What an agent
began before it parted from the others is an act here for its answer only (`earlier`).

Two acts are *alike* when they are of one kind and about the same, and the *same* when also all that was passed, the
line, and what came of it are equal. Names that each agent has for itself do not count: its own id, the numbers of
promises that it made since, the phantoms of agents that it spawned.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from workbench.core.nouns import ROOT_UID
from workbench.model import entries as e
from workbench.model.description import describe, failure_line
from workbench.model.entries import Entry
from workbench.model.rendering import clip, payload, rendered
from workbench.questions.explanation import at_line, duration, elapsed, moment
from workbench.questions.window import method_of

SHOWN: Final = 120
"""Characters of a value that are shown."""
_COMPARED: Final = 100_000
"""Characters of a value's text that are compared; longer ones are told apart by their bytes."""
_AHEAD: Final = 200
"""Acts that are looked through for the next that is alike, where agents did different things."""

_ANSWERS: Final = (e.CallDelivered, e.PromiseDelivered, e.TimerFired, e.StepFinished)
_PROMISE: Final = re.compile(
    r"""([0-9a-f]{8})-([0-9]{1,19})(/|\\*"\s*,\s*\\*"index\\*"\s*:\s*|\\*',\s*index=)([0-9]{1,19})"""
)
"""The id of a promise, in any of its forms (see `workbench.questions.mentions`)."""
_PRINTED: Final = ("stdout", "stderr")


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an agent did, and what came of it.

    Attributes:
        agent: whose, the id's text.
        kind: `call`, `trigger`, `refused` (a call, or a promise that does not exist), `schedule`, `cancel`, `step`,
            `timer`, `promise` (it made one), `await`, `complete`, `promise state`, `region`, `fork`, `control` (of
            another agent), `log`, `start` and `end` of an invocation.
        what: what it is about: `Worker(3).process`, the step's name, `promise 7 of Boss()`, the level of a log.
        value: what was passed, as text: arguments, a payload (empty for a completion that came too late), a message.
        how: `ok`, `error`, `dropped` (it gave up waiting); empty where there was nothing to wait for, or it waits.
        outcome: what it was given, as text: a result, an error, a payload.
        line: where the code asked for it, `file:line`.
        index: of the entry in the oplog; `entry` is its `seq`, and `answer` that of the one with the outcome, or 0.
        invocation: that it was done in, by the `seq` of its acceptance.
        begin: wall nanoseconds; `end` likewise, 0 for not yet.
        earlier: it was begun in the past that all share; only the outcome is this agent's own.
        text: the act in words.
    """

    agent: str
    kind: str
    what: str
    value: str = ""
    how: str = ""
    outcome: str = ""
    line: str = ""
    index: int = 0
    entry: int = 0
    answer: int = 0
    invocation: int = 0
    begin: int = 0
    end: int = 0
    earlier: bool = False
    text: str = ""

    @property
    def entries(self) -> tuple[int, ...]:
        """The `seq` of what it is read off."""
        return tuple(seq for seq in (self.entry, self.answer) if seq)


class Value(NamedTuple):
    """A value to compare by: its bytes, or else its text without the names that the agent has for itself.

    The text is None where it is too long, or no text.
    """

    data: bytes
    own: Callable[[], str | None]


class Noted(NamedTuple):
    """An act with what it is compared by.

    Attributes:
        act: the act.
        about: equal for acts that are alike.
        passed: what was passed; `got` likewise what came of it.
        answered: the index of its outcome, 0 for none.
    """

    act: Act
    about: tuple[object, ...]
    passed: tuple[object, ...] = ()
    got: tuple[object, ...] = ()
    answered: int = 0


class Teller(NamedTuple):
    """Whose oplog is read, and how its names are read.

    Attributes:
        name: what the agent is called.
        selves: text of its id and of those that it descends from since the shared past, by uid.
        cut: index where that past ends; `cut_seq` of that entry.
        salt: of the store.
        made: numbers of the promises that it made since, from 1, by index; filled as its entries are read.
        entry: the entry of a `seq`, or None.
        agent: what an agent is called, by uid.
    """

    name: str
    selves: Mapping[int, str]
    cut: int
    cut_seq: int
    salt: str
    made: dict[int, int]
    entry: Callable[[int], Entry | None]
    agent: Callable[[int], str]

    def own(self, text: str) -> str:
        """A text without the names that the agent has for itself; ids that are longer go first."""
        text = _PROMISE.sub(self._numbered, text)
        for uid, name in sorted(self.selves.items(), key=lambda item: -len(item[1])):
            text = text.replace(f"{self.salt}-{uid}", "<own>").replace(name, "<self>")
        return text

    def _numbered(self, found: re.Match[str]) -> str:
        salt, uid, between, index = found.groups()
        number = self.made.get(int(index)) if salt == self.salt and int(uid) in self.selves else None
        return found[0] if number is None else f"<own>{between}<{number}>"

    def value(self, data: bytes, show: Callable[..., str] = rendered) -> Value:
        """What a value is compared by."""

        def own() -> str | None:
            text = show(data, _COMPARED)
            return None if len(text) >= _COMPARED or text.startswith("<") else self.own(text)

        return Value(data, own)

    def text(self, text: str) -> Value:
        """What a text is compared by."""
        return Value(text.encode("utf-8", "replace"), lambda: self.own(text))


def acts_of(teller: Teller, entries: Iterable[Entry], begun: Mapping[int, Entry]) -> list[Noted]:
    """The acts of an agent since its own part of the past began, in the order of its entries.

    Args:
        teller: whose.
        entries: its oplog from there on, without what was reverted.
        begun: what it had begun before, by index, as far as something came of it since.
    """
    found: dict[int, Noted] = {}
    for entry in entries:
        body = entry.body
        if isinstance(body, (*_ANSWERS, e.WaitDropped)):
            if body.op not in found and body.op in begun:
                earlier = _noted(teller, begun[body.op])
                if earlier is not None:
                    act = msgspec.structs.replace(earlier.act, earlier=True)
                    found[body.op] = earlier._replace(act=act, about=("earlier", body.op))
            if body.op in found:
                found[body.op] = _answered(teller, found[body.op], entry)
        else:
            noted = _noted(teller, entry)
            if noted is not None:
                found[entry.index] = noted
    return [one._replace(act=_in_words(one.act)) for one in found.values()]


def phantoms_called(entries: Iterable[Entry], after: int) -> set[int]:
    """The uids of phantoms that were called in these entries, of those that came into being after the entry `after`."""
    calls = [x.body for x in entries if isinstance(x.body, e.CallMade)]
    return {body.target for body in calls if body.target > after and body.target_id.endswith("]")}


def earlier_ops(entries: Iterable[Entry], cut: int) -> set[int]:
    """Indices of what was begun before the cut and answered, or given up, in these entries."""
    return {x.body.op for x in entries if isinstance(x.body, (*_ANSWERS, e.WaitDropped)) and x.body.op <= cut}


# ---- one act ---------------------------------------------------------------------------------------------------------


def _noted(teller: Teller, entry: Entry) -> Noted | None:
    """The act that an entry begins, or None."""
    body = entry.body
    about: tuple[object, ...] = ()
    passed: tuple[object, ...] = ()
    value = ""
    match body:
        case e.CallMade(target=target, target_id=text, method=method, value=data, awaited=awaited):
            kind, what, value = "call" if awaited else "trigger", f"{text}.{method}", _arguments(data)
            about, passed = (_called(teller, target, text), method), (teller.value(data),)
        case e.CallRefused(target_id=text, method=method, failure=failure):
            kind, what, value = "refused", f"{text}.{method}", clip(failure_line(failure), SHOWN)
        case e.CallScheduled(target_id=text, method=method, value=data, due=due):
            kind, what, value = "schedule", f"{text}.{method}", f"{_arguments(data)} at {moment(due)}"
            passed = teller.value(data), _length(entry.wall, due)
        case e.ScheduleCancelled(schedule=schedule, pending=pending, again=again):
            pending = pending or again
            kind, what, passed = "cancel", f"schedule {schedule}" + ("" if pending else ", too late"), (pending,)
        case e.StepStarted(name=name):
            kind, what = "step", name
        case e.TimerSet(due=due):
            kind, what = "timer", f"a timer of {duration(elapsed(entry.wall, due))}"
            about, passed = ("timer",), (_length(entry.wall, due),)
        case e.RegionBegun() | e.RegionEnded():
            kind, what = "region", describe(body)
        case e.ForkMade(fork_id=text):
            kind, what, about = "fork", text, ("fork",)
        case e.ControlMade(verb=verb, target_id=text, ok=ok, value=data):
            kind, what, value = "control", f"{verb} {text}", rendered(data, SHOWN) if ok else _error(data)
            passed = ok, teller.value(data)
        case e.Logged(level=level, message=message):
            kind, what, value, passed = "log", level, clip(repr(message.rstrip("\n")), SHOWN), (teller.text(message),)
        case e.InvocationStarted(method=method, value=data):
            kind, what, value, passed = "start", method, _arguments(data), (teller.value(data),)
        case e.InvocationFinished(ok=ok, value=data):
            kind, what, value = "end", "", rendered(data, SHOWN) if ok else _error(data)
            act = _act(teller, entry, kind, method_of(teller.entry, entry.invocation), value)
            act = msgspec.structs.replace(act, how="ok" if ok else "error")
            return Noted(act, ("end",), (ok, teller.value(data) if ok else teller.text(failure_line(data))))
        case _:
            return _of_promise(teller, entry)
    act = _act(teller, entry, kind, what, value)
    return Noted(act, (kind, *(about or (what,))), passed)


def _of_promise(teller: Teller, entry: Entry) -> Noted | None:
    """The same for what is done with promises."""
    body = entry.body
    value = ""
    passed: tuple[object, ...] = ()
    match body:
        case e.PromiseCreated(again=again):
            index = again or entry.index
            teller.made[index] = len(teller.made) + 1
            kind, what, about = "promise", _promise(teller, entry.agent, index), ("promise",)
            return Noted(_act(teller, entry, kind, what, value), about)
        case e.PromiseRefused(promise_id=text, failure=failure):
            act = _act(teller, entry, "refused", f"promise {text}", clip(failure_line(failure), SHOWN))
            return Noted(act, ("refused", text))
        case e.PromiseAwaited():
            kind = "await"
        case e.PromiseCompleted(value=data, first=first, again=again):
            kind, value = "complete", (payload(data, SHOWN) or "nothing") if first or again else ""
            passed = first or again, teller.value(data, payload)
        case e.PromiseSeen(completed=completed):
            kind, value, passed = "promise state", str(completed), (completed,)
        case _:
            return None
    act = _act(teller, entry, kind, _promise(teller, body.owner, body.promise), value)
    return Noted(act, (kind, *_which(teller, body.owner, body.promise)), passed)


def _act(teller: Teller, entry: Entry, kind: str, what: str, value: str) -> Act:
    return Act(
        agent=teller.name, kind=kind, what=what, value=value, line=entry.line, index=entry.index, entry=entry.seq,
        invocation=entry.invocation, begin=entry.wall,
    )  # fmt: skip


def _answered(teller: Teller, noted: Noted, entry: Entry) -> Noted:
    """An act with what came of it."""
    body: Any = entry.body
    how, outcome = "ok", ""
    got: tuple[object, ...] = ()
    match body:
        case e.WaitDropped():
            how = "dropped"
        case e.PromiseDelivered(value=data, ok=True):
            outcome, got = payload(data, SHOWN), (teller.value(data, payload),)
        case e.CallDelivered(ok=True, value=data) | e.StepFinished(ok=True, value=data):
            outcome, got = rendered(data, SHOWN), (teller.value(data),)
        case e.CallDelivered(value=data) | e.StepFinished(value=data) | e.PromiseDelivered(value=data):
            how, outcome = "error", _error(data)
            got = (teller.text(failure_line(data)),)
    act = msgspec.structs.replace(noted.act, how=how, outcome=outcome, answer=entry.seq, end=entry.wall)
    return noted._replace(act=act, got=(how, *got), answered=entry.index)


def _arguments(data: bytes) -> str:
    return f"({rendered(data, SHOWN)[1:-1]})"


def _error(data: bytes) -> str:
    return clip(failure_line(data), SHOWN)


def _length(begin: int, end: int) -> str:
    """A length of time to compare by: clocks are not exact."""
    return f"{elapsed(begin, end):.2g}"


def _called(teller: Teller, target: int, text: str) -> str:
    """The target of a call to compare by: phantoms that the agent spawned itself have names of its own."""
    made = teller.entry(target) if text.endswith("]") and target > teller.cut_seq else None
    spawned = made is not None and isinstance(made.body, e.AgentCreated) and made.body.spawned_by in teller.selves
    return f"{text[: text.rfind('[')]}[]" if spawned else text


def _promise(teller: Teller, owner: int, index: int) -> str:
    of = "a cell" if owner == ROOT_UID else teller.agent(owner)
    return f"promise {index} of {of}"


def _which(teller: Teller, owner: int, index: int) -> tuple[object, ...]:
    """A promise to compare by: those that the agent made since have numbers of its own."""
    own = owner in teller.selves and index in teller.made
    return ("own", teller.made[index]) if own else (owner, index)


# ---- in words --------------------------------------------------------------------------------------------------------


_VERBS: Final = {
    "call": "called {what}{value}",
    "trigger": "triggered {what}{value}",
    "refused": "was refused {what} ({value})",
    "schedule": "scheduled {what}{value}",
    "cancel": "cancelled {what}",
    "step": "ran step {what}",
    "timer": "set {what}",
    "promise": "made {what}",
    "await": "awaited {what}",
    "complete": "completed {what} with {value}",
    "promise state": "looked whether {what} is completed ({value})",
    "region": "came to {what}",
    "fork": "forked off {what}",
    "control": "did {what}",
    "log": "logged {value} as {what}",
    "start": "began {what}{value}",
}


def _in_words(act: Act) -> Act:
    if act.kind == "end":
        said = f"{'returned' if act.how == 'ok' else 'raised'} {act.value}"
        return msgspec.structs.replace(act, text=f"{said} from {act.what}" if act.what else said)
    verb = _VERBS[act.kind]
    if act.kind == "log" and act.what in _PRINTED:
        verb = "printed {value}"
    elif act.kind == "complete" and not act.value:
        verb = "completed {what}, too late,"
    text = verb.format(what=act.what, value=act.value) + at_line(act.line)
    return msgspec.structs.replace(act, text=text + _came(act))


def _came(act: Act) -> str:
    match act.how:
        case "dropped":
            return ", and gave up waiting for it"
        case "error":
            return f", which raised {act.outcome}"
        case "ok" if act.kind == "timer":
            return ", which fired"
        case "ok":
            return f", which {'brought' if act.kind == 'await' else 'returned'} {act.outcome}"
    return ", and waits for it" if act.kind in ("call", "step", "timer", "await") else ""
