"""Who can go on, and what all its ways lead through: random graphs, against a judge that tries every way."""

import random

import pytest

from workbench.questions.ways import Ways


def reaches(needs: list[list[int] | None], node: int, without: int) -> bool:
    """Whether a way leads from a node to something free that does not touch another one."""
    todo, seen = [node], {node, without}
    while todo and node != without:
        found = needs[todo.pop()]
        if found is None:
            return True
        todo += [other for other in found if other not in seen]
        seen.update(found)
    return False


@pytest.mark.parametrize("seed", range(200))
def test_random_graphs(seed: int) -> None:
    """Whoever is asked about first, the answers are those of a search for each pair."""
    chance = random.Random(seed)  # noqa: S311 - a seed for each graph
    count = chance.randint(1, 12)
    needs: list[list[int] | None] = [
        None if chance.random() < 0.15 else chance.choices(range(count), k=chance.randint(0, 3)) for _ in range(count)
    ]
    ways = Ways(lambda node: needs[node])
    for node in chance.sample(range(count), count):
        assert ways.can_go_on(node) == reaches(needs, node, without=-1)
        for other in range(count):
            only = reaches(needs, node, without=-1) and not reaches(needs, node, without=other)
            assert ways.must_pass(node, other) == only, (needs, node, other)


def test_each_node_is_looked_at_once() -> None:
    """However many questions are asked along a chain, what a node needs is looked up a single time."""
    looked: list[int] = []

    def needs(node: int) -> list[int] | None:
        looked.append(node)
        return None if node == 1_000 else [node + 1]

    ways = Ways(needs)
    assert all(ways.must_pass(node, node + 1) and not ways.must_pass(node + 1, node) for node in range(1_000))
    assert sorted(looked) == list(range(1_001))
