"""The acts of several agents side by side, and the places where they are not the same.

`aligned` gives rows, in which those that are alike stand together; `differences` reads them. What all did is one
difference for each row; what only some did is one for each stretch of such rows.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from workbench.questions.explanation import several
from workbench.questions.fork_acts import Noted, Value
from workbench.questions.fork_answer import Difference

MAX_DIFFERENCES: Final = 200
"""Differences that an answer holds; more are counted."""
_AHEAD: Final = 200
"""Acts that are looked through for the next that is alike, where agents did different things."""

Row = tuple[Noted | None, ...]
"""What each agent did here, in the order of the agents; None for nothing that is like what the others did."""


def aligned(sides: Sequence[Sequence[Noted]]) -> list[Row]:
    """The acts of several agents side by side, each agent's in its order; those that are alike share a row."""
    rows: list[Row] = [(noted,) for noted in sides[0]]
    for number, side in enumerate(sides[1:], 1):
        rows = _joined(rows, side, number)
    return rows


def _joined(rows: Sequence[Row], side: Sequence[Noted], width: int) -> list[Row]:
    """Rows with one agent more."""
    nobody: Row = (None,) * width
    before = [_about(row) for row in rows]
    after = [noted.about for noted in side]
    joined: list[Row] = []
    for same, first, last, begin, end in _blocks(before, after):
        if same:
            pairs = zip(rows[first:last], side[begin:end], strict=True)
            joined += [(*row, noted) for row, noted in pairs]
        else:
            joined += [(*row, None) for row in rows[first:last]]
            joined += [(*nobody, noted) for noted in side[begin:end]]
    return joined


def _about(row: Row) -> tuple[object, ...]:
    return next(noted.about for noted in row if noted is not None)


def _blocks(before: Sequence[Any], after: Sequence[Any]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Stretches that are equal in two sequences and those between, in order.

    Where they differ, the nearest place at which they are equal again counts, if it is not too far off: the time is
    linear, while the best answer there is would take the product of the lengths.
    """
    i = j = 0
    while i < len(before) or j < len(after):
        first, begin = i, j
        while i < len(before) and j < len(after) and before[i] == after[j]:
            i, j = i + 1, j + 1
        yield True, first, i, begin, j
        over, under = _nearest(before, after, i, j)
        yield False, i, over, j, under
        i, j = over, under


def _nearest(before: Sequence[Any], after: Sequence[Any], i: int, j: int) -> tuple[int, int]:
    """The nearest place from `i` and `j` on at which both are equal; the ends, or a little further, for none."""
    places: dict[Any, int] = {}
    best = min(i + _AHEAD, len(before)), min(j + _AHEAD, len(after))
    for at in range(best[0] - 1, i - 1, -1):
        places[before[at]] = at
    far = best[0] + best[1]
    for at in range(j, best[1]):
        other = places.get(after[at])
        if other is not None and other + at < far:
            best, far = (other, at), other + at
    return best


def is_same(row: Row, *, lines: bool) -> bool:
    """Whether all did the same here, and got the same.

    Args:
        row: what each did.
        lines: whether the lines count.
    """
    return all(same(noted, row[0], lines=lines) for noted in row[1:])


def is_given(row: Row, *, lines: bool) -> bool:
    """Whether all asked for the same here, and did not get the same."""
    asked = tuple(None if noted is None else noted._replace(got=()) for noted in row)
    return None not in asked and is_same(asked, lines=lines) and not is_same(row, lines=lines)


def same(one: Noted | None, other: Noted | None, *, lines: bool) -> bool:
    """Whether two agents did the same here, and got the same."""
    if one is None or other is None:
        return one is other
    return (
        one.about == other.about
        and (not lines or one.act.line == other.act.line)
        and _equal(one.passed, other.passed)
        and _equal(one.got, other.got)
    )


def _equal(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(map(_as_good_as, some, others))


def _as_good_as(one: object, other: object) -> bool:
    if isinstance(one, Value) and isinstance(other, Value):
        return one.data == other.data or ((text := one.own()) is not None and text == other.own())
    return one == other


# ---- differences -----------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A place where not all did the same.

    Attributes:
        at: the lowest index at which it shows; `kind` as in `Difference`.
        done: what each did there.
        nothing: what to say of one that did nothing there.
    """

    at: int
    kind: str
    done: list[list[Noted]]
    nothing: list[str]


def differences(sides: Sequence[Sequence[Noted]], names: Sequence[str], *, lines: bool) -> tuple[list[Difference], int]:
    """Where the acts of some agents are not the same, in the order in which that showed; and how many more there are.

    Args:
        sides: the acts of each.
        names: what each is called.
        lines: whether it counts from which line something was asked for.
    """
    rows = aligned(sides)
    width = len(names)
    where = [[number for number, row in enumerate(rows) if row[at] is not None] for at in range(width)]
    found = _order(rows)
    block: list[Row] = []
    for number, row in enumerate((*rows, None)):
        apart = row is not None and None in row and not is_earlier(row)
        if block and not apart:
            found.append(_apart(block, [_after(rows, where[at], number, at) for at in range(width)]))
            block = []
        if row is None or is_same(row, lines=lines):
            continue
        if apart:
            block.append(row)
        else:
            found.append(_in_row(row, lines=lines))
    found.sort(key=lambda place: place.at)
    return [_difference(place, names, lines=lines) for place in found[:MAX_DIFFERENCES]], len(found[MAX_DIFFERENCES:])


def is_earlier(row: Row) -> bool:
    """Whether this is about what was begun before the cut: who has no answer to it waits for it still."""
    return any(noted is not None and noted.act.earlier for noted in row)


def groups(count: int, alike: Callable[[int, int], bool]) -> list[list[int]]:
    """Numbers in groups of those that are alike, in order of their first."""
    found: list[list[int]] = []
    for number in range(count):
        group = next((group for group in found if alike(group[0], number)), None)
        if group is None:
            found.append([number])
        else:
            group.append(number)
    return found


def many(count: int, one: str, others: str = "") -> str:
    """`1 call`, `2 calls`."""
    return f"{count:,} {one if count == 1 else others or f'{one}s'}"


def _after(rows: Sequence[Row], where: Sequence[int], number: int, at: int) -> Noted | None:
    """What an agent did next, from a row on."""
    place = bisect_left(where, number)
    return rows[where[place]][at] if place < len(where) else None


def _in_row(row: Row, *, lines: bool) -> _Place:
    """A difference in what all did."""
    done = [[noted] if noted is not None else [] for noted in row]
    if is_given(row, lines=lines) or is_earlier(row):
        index = min(noted.answered for noted in row if noted is not None and noted.answered)
        return _Place(index, "given", done, ["waits for that still"] * len(row))
    index = min(noted.act.index for noted in row if noted is not None)
    ended = row[0] is not None and row[0].act.kind == "end"
    return _Place(index, "ended" if ended else "did", done, [""] * len(row))


def _apart(block: Sequence[Row], after: Sequence[Noted | None]) -> _Place:
    """Rows in which some did what others did not."""
    done = [[noted for row in block if (noted := row[at]) is not None] for at in range(len(after))]
    nothing = ["did nothing more" if n is None else f"did nothing like it, and then {n.act.text}" for n in after]
    return _Place(min(noted.act.index for some in done for noted in some), "did", done, nothing)


def _order(rows: Sequence[Row]) -> list[_Place]:
    """The first place where what all were given came in another order."""
    full = [[noted for noted in row if noted is not None] for row in rows if None not in row]
    answered = [row for row in full if all(noted.answered for noted in row)]
    width = len(answered[0]) if answered else 0
    orders = [sorted(range(len(answered)), key=lambda n: answered[n][at].answered) for at in range(width)]
    for places in zip(*orders, strict=True):
        if len(set(places)) > 1:
            done = [answered[n][at] for at, n in enumerate(places)]
            return [_Place(min(noted.answered for noted in done), "order", [[noted] for noted in done], [""] * width)]
    return []


def _difference(place: _Place, names: Sequence[str], *, lines: bool) -> Difference:
    done, nothing = place.done, place.nothing

    def alike(one: int, other: int) -> bool:
        some, others = done[one], done[other]
        if not some and not others:
            return nothing[one] == nothing[other]
        pairs = zip(some, others, strict=False)
        return len(some) == len(others) and all(same(a, b, lines=lines) for a, b in pairs)

    told = []
    for group in groups(len(names), alike):
        some = done[group[0]]
        what = some[0].act.text if some else nothing[group[0]]
        first = "was first given the outcome of this: it " if place.kind == "order" else ""
        more = f", then did {many(len(some) - 1, 'thing')} more" if len(some) > 1 else ""
        told.append(f"{several([names[at] for at in group])} {first}{what}{more}")
    acts = tuple(tuple(noted.act for noted in some) for some in done)
    return Difference(kind=place.kind, acts=acts, index=place.at, text="; ".join(told))
