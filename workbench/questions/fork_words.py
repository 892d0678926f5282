"""The comparison of forks in sentences: at most twelve, of what matters most."""

from collections.abc import Sequence
from typing import Final

from workbench.questions.explanation import MAX_SENTENCES, clipped, duration, evidence, several
from workbench.questions.fork_acts import Noted
from workbench.questions.fork_answer import ForkComparison, Parting, Side
from workbench.questions.fork_family import Family
from workbench.questions.fork_rows import groups, many, same

_TOLD: Final = 3
"""Forks, values given and ends that get a sentence each; more are summed up."""


def sentences(answer: ForkComparison, found: Family, acts: Sequence[Sequence[Noted]]) -> list[str]:
    """The answer told.

    Args:
        answer: all of it but this.
        found: the agents.
        acts: what each did, to tell what is the same but for names.
    """
    told = _partings(answer.forks)
    told.append(f"{_all(answer.agents)} {answer.past.text}{evidence(answer.past.entries)}.")
    if len({member.revision for member in found.members}) > 1:
        codes = [f"{m.name} runs that of entry {m.revision}" for m in found.members if m.revision]
        told.append(f"Their code is not the same: {several(codes)}.")
    told += [
        f"{member.name} was reverted to index {member.reverts[-1][0]}: what it had done after that counts no longer"
        f"{evidence(side.reverts[-1:])}."
        for member, side in zip(found.members, answer.sides, strict=True)
        if member.reverts
    ][:_TOLD]
    first = answer.first
    told.append("Since then all is the same." if first is None else f"The first difference: {first}")
    counted = [_counted(side) for side in answer.sides[: _TOLD + 1]]
    told.append(f"Counted since then: {'; '.join(counted)}.")
    ends = _ends(answer, acts)
    others = [one for one in answer.differences[1:] if one.kind in ("given", "order")]
    room = min(_TOLD, MAX_SENTENCES - len(told) - len(ends) - 1)
    shown = others[: max(room, 0)]
    left = len(answer.differences[1:]) + answer.left - len(shown)
    left -= sum(one.kind == "ended" for one in answer.differences[1:])
    told += [*(f"Another one: {one}" for one in shown), *ends]
    if left > 0:
        told.append(f"{many(left, 'more difference')} {'is' if left == 1 else 'are'} left out here.")
    return told[:MAX_SENTENCES]


def _ends(answer: ForkComparison, acts: Sequence[Sequence[Noted]]) -> list[str]:
    """How each ended; of many agents those together that ended with the same."""
    sides = answer.sides
    if len(sides) <= _TOLD:
        return [str(side) for side in sides]
    ends = [
        next((noted for noted in some if noted.act.kind == "end" and noted.act.entry in side.entries), None)
        for some, side in zip(acts, sides, strict=True)
    ]

    def alike(one: int, other: int) -> bool:
        a, b = sides[one], sides[other]
        if (a.state, a.method) != (b.state, b.method):
            return False
        return a.outcome == b.outcome or (ends[one] is not None and same(ends[one], ends[other], lines=False))

    found = groups(len(sides), alike)
    told = [_together([sides[at] for at in group]) for group in found[:_TOLD]]
    rest = sum(len(group) for group in found[_TOLD:])
    return [*told, f"{many(rest, 'more agent')} ended in other ways."] if rest else told


def _together(some: Sequence[Side]) -> str:
    """How several ended that ended with the same."""
    if len(some) == 1:
        return str(some[0])
    times = [side.seconds for side in some]
    text = some[0].text
    if min(times) < max(times):
        text = text.replace(_since(some[0]), f"{duration(min(times))} to {duration(max(times))} after the cut")
    entries = [seq for side in some for seq in side.entries]
    return f"{several([side.agent for side in some])}: each {text}{evidence(entries)}."


def _partings(forks: Sequence[Parting]) -> list[str]:
    if len(forks) <= _TOLD:
        return [f"{fork.text}{evidence(fork.entries)}." for fork in forks]
    sources = list(dict.fromkeys(fork.source for fork in forks))
    cuts = [str(fork.cut) for fork in forks]
    text = f"{several([fork.agent for fork in forks])} are forks of {several(sources)}, made at indices {several(cuts)}"
    return [f"{text}{evidence([fork.entries[-1] for fork in forks if fork.entries])}."]


def _all(names: Sequence[str]) -> str:
    return f"Both {names[0]} and {names[1]}" if len(names) == 2 else f"All {len(names):,}"  # noqa: PLR2004 - both


def _counted(side: Side) -> str:
    """What an agent did since the cut, counted by kind."""
    kinds: dict[str, int] = {}
    for act in side.acts:
        if act.kind not in ("start", "end", "await", "region"):
            kinds[act.kind] = kinds.get(act.kind, 0) + 1
    some = [many(number, "promise made" if kind == "promise" else kind) for kind, number in kinds.items()]
    capped = ", as far as was read" if side.capped else ""
    return f"{side.agent} {several(some, 5) or 'nothing'}{capped}"


def _since(side: Side) -> str:
    return f"{duration(side.seconds)} after the cut"


def ended(side: Side) -> str:
    """How an agent ended, without its name."""
    since = _since(side)
    method = f" from {side.method}" if side.method else ""
    more = side.invocations - (side.state in ("returned", "raised"))
    also = f", and ended {many(more, 'other invocation')}" if more > 0 else ""
    match side.state:
        case "returned" | "raised":
            return f"{side.state} {clipped(side.outcome)}{method}, {since}{also}"
        case "deleted":
            return f"was deleted, {since}{also}"
        case "failed":
            return f"has failed, {since}{also}: {clipped(side.outcome)}"
        case "idle" | "exited":
            return f"has nothing to do{also}, {since}"
        case "unknown":
            return f"has gone on, {since}; not all of that was read"
    waits = f", and waits for {side.outcome}" if side.outcome else ""
    at = f" in {side.method}" if side.method else ""
    return f"is {side.state}{at}, {since}{also}{waits}"
