"""Where an agent stands when it waits for nothing: idle, failed, interrupted, without its class; and notes on it.

Each is a `Link` whose text lacks the agent's name at the beginning and the time at the end; `why.tell` puts both there.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from workbench.core.nouns import ROOT_UID, Agent, Invocation, Promise, Wait
from workbench.core.state import State
from workbench.errors import DecodingError, DivergenceError
from workbench.ids import PromiseId
from workbench.model.failure import Failure, decode_failure
from workbench.questions.explanation import Link, clipped, duration, elapsed, moment, several
from workbench.questions.mentions import Mentions

_DIVERGED_FIELDS: Final = 6

Kept = Callable[[str, str], bool]
"""Whether an earlier class, by its name and the hash of its code, is there to run."""


class View(NamedTuple):
    """What is seen of the session beside its state.

    Attributes:
        now: wall nanoseconds.
        defined: whether an agent's class is there to run.
        salt: of the store, for the ids of promises.
        mentions: who was given which ids; None when the log was not read for it.
        kept: whether an earlier class is there to run.
        missing: the name that an agent's code asks for and that no cell has defined yet, or empty.
    """

    now: int
    defined: Callable[[Agent], bool]
    salt: str
    mentions: Mentions | None = None
    kept: Kept = lambda *_: True
    missing: Callable[[Agent], str] = lambda _: ""


def standing(state: State, agent: Agent, view: View) -> Link | None:
    """Where an agent stands that is not at work; None for one that is."""
    head = head_of(agent)
    if agent.uid == ROOT_UID:
        return Link(
            agent=agent.text, kind="cells", text="stands for cells and scripts, and what they wait for is not recorded",
            end="cells and scripts go on by themselves", root=True,
        )  # fmt: skip
    if agent.failure:
        return _failed(agent)
    if agent.stands:
        return _interrupted(state, agent, view)
    if head is None:
        return _idle(agent)
    if not view.defined(agent):
        return _undefined(state, agent, head, view.missing(agent))
    if agent.current is None:
        return Link(
            agent=agent.text, kind="ready", what=head.method, since=head.accepted_wall, entries=(head.seq,), root=True,
            text=f"is about to begin {head.method}", end=f"{agent.text} is about to begin {head.method}",
        )  # fmt: skip
    return None


def head_of(agent: Agent) -> Invocation | None:
    """What an agent runs, or is to run next."""
    return agent.current or (agent.queue[0] if agent.queue else None)


def open_waits(agent: Agent) -> dict[int, Wait]:
    """What an agent waits for: one that has failed for nothing more, unless a revert takes it back to that."""
    return {} if agent.failure else agent.waits


def decoded(data: bytes) -> Failure:
    """A failure of the log; one that cannot be read says so."""
    try:
        return decode_failure(data)
    except DecodingError:
        return Failure("", "", "an error", "its record cannot be read")


def in_short(failure: Failure) -> str:
    """A failure in one line."""
    return clipped(f"{failure.error_type}: {failure.message}" if failure.message else failure.error_type)


def promise_name(state: State, promise: Promise, salt: str) -> str:
    """The text of a promise's id."""
    return str(PromiseId(state.agents[promise.owner].text, f"{salt}-{promise.owner}", promise.index))


# ---- ends ---------------------------------------------------------------------------------------------------------


def _failed(agent: Agent) -> Link:
    failure = decoded(agent.failure)
    fields = failure.fields or []
    if failure.error_type == DivergenceError.__name__ and len(fields) == _DIVERGED_FIELDS:
        _, index, held, asked, line_then, line_now = fields
        then, now = (f" (at {line})" if line else "" for line in (line_then, line_now))
        why = f"the oplog holds {held}{then}, the code asked for {asked}{now}"
        back = index - 1 if isinstance(index, int) and index > 1 else 1
        return Link(
            agent=agent.text, kind="diverged", what=f"index {index}", line=str(line_now), entries=(agent.seq,),
            root=True, end=f"{agent.text} diverged at oplog index {index}",
            text=f"diverged at oplog index {index}: {why}; undo the change, or revert it: client.revert(to={back})",
        )  # fmt: skip
    short = in_short(failure)
    return Link(
        agent=agent.text, kind="failed", what=failure.error_type, entries=(agent.seq,), root=True,
        text=f"has failed: {short}; go back to before that: client.revert(to=index)",
        end=f"{agent.text} has failed: {short}",
    )  # fmt: skip


def _interrupted(state: State, agent: Agent, view: View) -> Link:
    where = f" in {agent.current.method}" if agent.current is not None else ""
    text = f"is interrupted and stands still{where}"
    if agent.queue:
        callers = list(dict.fromkeys(_caller(state, i) for i in agent.queue))
        text += f"; {len(agent.queue):,} queued of {several(callers)} wait for it"
    kept = [p for w in agent.waits.values() if isinstance(p := w.on, Promise) and not p.settled]
    ways = ["with await client.resume()", "with a new call"]
    if kept:
        name = promise_name(state, kept[0], view.salt)
        ways.append(f"when {f'promise {name}' if len(kept) == 1 else 'one of its promises'} is completed")
    text += f"; it goes on {', '.join(ways[:-1])} or {ways[-1]}"
    return Link(
        agent=agent.text, kind="interrupted", entries=(agent.interrupted,), count=len(agent.queue or ()), root=True,
        text=text, end=f"{agent.text} is interrupted",
    )  # fmt: skip


def _caller(state: State, invocation: Invocation) -> str:
    caller = state.agents.get(invocation.caller)
    return "cells" if invocation.caller == ROOT_UID or caller is None else caller.text


def _undefined(state: State, agent: Agent, head: Invocation, name: str) -> Link:
    since = max(state.opened, head.seq)
    number = len(agent.queue or ()) + (agent.current is not None)
    what, lacks = name or agent.type_name, f"asks for {name}" if name else "no class"
    text = f"has {number:,} invocation{'s' if number > 1 else ''} to run, {head.method} first, and {lacks}: "
    return Link(
        agent=agent.text, kind="undefined", what=what, entries=(since,), count=number, root=True,
        text=f"{text}run the cell that defines {what}", end=f"{'' if name else 'the class '}{what} is not defined",
    )  # fmt: skip


def _idle(agent: Agent) -> Link:
    last = agent.last
    text, entries = "is idle: it has nothing to do, and was never invoked", (agent.uid,)
    if last is not None:
        how = "ended ok" if last.ok else f"raised {in_short(decoded(last.value))}"
        text, entries = f"is idle: it has nothing to do; its last invocation {last.method} {how}", (last.settled,)
    return Link(
        agent=agent.text, kind="idle", what=last.method if last is not None else "", entries=entries, root=True,
        text=text, end=f"{agent.text} is idle",
    )  # fmt: skip


# ---- notes --------------------------------------------------------------------------------------------------------


def notes(state: State, agent: Agent, view: View) -> list[Link]:
    """What else is to be known of an agent: its schedules, its class, children that nobody waits for."""
    found = planned(state, agent.text, view)
    if is_pinned(state, agent, view.kept):
        text = (
            f"runs an earlier version of {agent.type_name}, because its oplog does not replay on the one defined last; "
            "to have that: client.revert(to=index), client.fork(at=index), or client.delete()"
        )
        found.append(Link(agent=agent.text, kind="pinned", what=agent.type_name, entries=(agent.misfit,), text=text))
    head = head_of(agent)
    if head is not None and is_leaked(state, agent):
        parent = state.agents[agent.spawned_by].text
        text = f"was started by {parent}, in an invocation that has ended: nobody waits for what it does"
        found.append(Link(agent=agent.text, kind="leaked", what=parent, entries=(head.seq, agent.uid), text=text))
    children = _leaked_children(state, agent)
    if children:
        many = len(children) > 1
        texts = tuple(child.text for child in children)
        text = (
            f"has {len(children):,} child{'ren' if many else ''} that still run{'' if many else 's'}, though the "
            f"invocation that started {'them' if many else 'it'} has ended: {several(texts)}"
        )
        entries = tuple(child.uid for child in children)
        found.append(Link(agent=agent.text, kind="leaked", entries=entries, to=texts, count=len(children), text=text))
    return found


def planned(state: State, text: str, view: View, before: str = "") -> list[Link]:
    """What is scheduled for the agent of an id; where that is all there is of it, with words to stand before."""
    found = []
    for plan in state.schedules.get(text, {}).values():
        when = f"{moment(plan.due)}, in {duration(elapsed(view.now, plan.due))}"
        link = Link(
            agent=text, kind="schedule", what=plan.method, since=plan.wall, line=plan.line, entries=(plan.seq,),
            text=f"{before}is to run {plan.method} at {when}", root=bool(before),
            end=f"{text}.{plan.method} is scheduled for {moment(plan.due)}" if before else "",
        )  # fmt: skip
        found.append(link)
    return found


def is_pinned(state: State, agent: Agent, kept: Kept) -> bool:
    """Whether an agent runs an earlier version of its class: it does not fit the newest, and that one is at hand."""
    _, code = state.revisions.get(agent.revision, ("", ""))
    return bool(agent.misfit) and not agent.failure and kept(agent.type_name, code)


def _leaked_children(state: State, agent: Agent) -> list[Agent]:
    if agent.uid == ROOT_UID:
        return []
    return [a for a in state.agents.values() if a.spawned_by == agent.uid and is_leaked(state, a)]


def is_leaked(state: State, agent: Agent) -> bool:
    """Whether an agent still does what the agent that spawned it wanted, in an invocation that has ended.

    It is no leak while somebody else waits for the same: a fork of the parent, or a call with an equal key.
    """
    head, parent = head_of(agent), state.agents.get(agent.spawned_by)
    if head is None or parent is None or agent.source or agent.deleted or ROOT_UID in (parent.uid, agent.uid):
        return False
    if head.caller != parent.uid or head.settled:
        return False
    if parent.current is not None and not parent.deleted and parent.current.started < head.seq:
        return False
    waiting = [(state.agents.get(uid), op) for uid, op in head.waiters or ()]
    return not any(other is not None and op in open_waits(other) for other, op in waiting)
