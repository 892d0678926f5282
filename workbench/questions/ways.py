"""Who can go on, and without whom it could not: the ways from each node of a graph to what is free.

A node needs any one of some others, or is free. It **can go on** when a way along the needs leads from it to a free
one. It **must pass** another node when every such way leads through that: then that one dominates it, as flow graphs
call it. Both are read off one tree, in which all that a node must pass stands above it. The tree is worked out by
Cooper, Harvey and Kennedy's walk, for as much of the graph as a question leads to; later questions add to it.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)


class Ways(Generic[Node]):
    """Answers about one graph, which does not change meanwhile.

    Args:
        needs: those of which a node needs any one; None for one that is free.
    """

    def __init__(self, needs: Callable[[Node], Collection[Node] | None]) -> None:
        self._needs = needs
        self._known: set[Node] = set()
        self._places: dict[Node, int] = {}
        """Of what can go on: the number of its place in the tree, from 1."""
        self._above = [0]
        """By place, the place above it, which has a lower number; 0 is the top."""

    def can_go_on(self, node: Node) -> bool:
        """Whether a way leads from it to something free."""
        if node not in self._known:
            self._learn(node)
        return node in self._places

    def must_pass(self, node: Node, other: Node) -> bool:
        """Whether it can go on, and each way leads through the other; so does each from the other itself."""
        if not self.can_go_on(node) or other not in self._places:
            return False
        at, sought = self._places[node], self._places[other]
        while at > sought:
            at = self._above[at]
        return at == sought

    def _learn(self, asked: Node) -> None:
        """Add a node, and all that it depends on, to the tree. What is there already stays as it is."""
        needs: dict[Node, Collection[Node] | None] = {}
        users: dict[Node, list[Node]] = {}
        todo = [asked]
        self._known.add(asked)
        while todo:
            node = todo.pop()
            needs[node] = wanted = self._needs(node)
            for other in wanted or ():
                users.setdefault(other, []).append(node)
                if other not in self._known:
                    self._known.add(other)
                    todo.append(other)
        places, first = self._places, len(self._above)
        begin = [node for node, wanted in needs.items() if wanted is None or any(x in places for x in wanted)]
        order = _behind(begin, users)
        places.update(zip(order, range(first, first + len(order)), strict=True))
        ways = [_placed(needs[node], places) for node in order]
        self._above += [-1] * len(order)
        moved = True
        while moved:
            moved = False
            for place, some in enumerate(ways, first):
                moved |= self._move(place, some)

    def _move(self, place: int, ways: Sequence[int]) -> bool:
        """Put a place below the lowest that stands above all that it needs; whether it stood elsewhere."""
        above, found = self._above, -1
        for other in ways:
            if above[other] < 0:
                continue  # it has not been put anywhere yet
            one = other if found < 0 else found
            found = other
            while found != one:
                if found > one:
                    found = above[found]
                else:
                    one = above[one]
        moved = above[place] != found
        above[place] = found
        return moved


def _placed(wanted: Collection[Node] | None, places: dict[Node, int]) -> list[int]:
    """The places of what a node needs, as far as that can go on; the top for one that is free."""
    return [0] if wanted is None else [places[node] for node in wanted if node in places]


def _behind(begin: Iterable[Node], users: dict[Node, list[Node]]) -> list[Node]:
    """All that use one of these, and those: each before what is only reached through it (reverse postorder)."""
    found: list[Node] = []
    seen: set[Node] = set()
    for first in begin:
        if first in seen:
            continue
        seen.add(first)
        path = [(first, iter(users.get(first, ())))]
        while path:
            node, rest = path[-1]
            after = next((user for user in rest if user not in seen), None)
            if after is None:
                found.append(node)
                path.pop()
            else:
                seen.add(after)
                path.append((after, iter(users.get(after, ()))))
    found.reverse()
    return found
