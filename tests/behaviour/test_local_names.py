# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Annotations that are text (`from __future__ import annotations`), of classes that are defined inside a function."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE


def test_an_agent_in_a_function_knows_its_neighbours(session: wb.Session) -> None:
    """Parameters, results and constructor parameters may be of dataclasses beside the class, and of theirs."""

    @dataclass
    class Part:
        y: int

    @dataclass
    class Whole:
        x: int
        part: Part

    @wb.agent
    class Plain:
        async def take(self, whole: Whole) -> list[Whole]:
            return [whole, whole]

    @wb.agent(snapshot_every=1)
    class Kept:
        def __init__(self, part: Part) -> None:
            self.part = part

        def take(self, wholes: list[Whole]) -> Part | None:
            return self.part if wholes[0].part == self.part else None

    whole = Whole(1, Part(2))
    assert wb.run(Plain.get().take(whole), PATIENCE) == [whole, whole]
    kept = Kept.get(Part(2))
    assert wb.run(kept.take([whole]), PATIENCE) == Part(2)
    session.simulate_crash()
    assert wb.run(kept.take([whole]), PATIENCE) == Part(2)


def test_functions_and_steps_know_what_they_use(session: wb.Session) -> None:
    """A function that is fanned out, and a step, may return what their own body makes."""

    @dataclass
    class Made:
        x: int

    async def make(n: int) -> list[Made]:
        return [Made(n)]

    def one() -> Made:
        return Made(7)

    @wb.agent
    class Maker:
        async def run(self) -> int:
            return (await wb.step(one)).x

    for function in (make, functools.partial(make)):
        assert list(wb.run(wb.fan_out(function, [1, 2]), PATIENCE)) == [[Made(1)], [Made(2)]]
    assert wb.run(Maker.get().run(), PATIENCE) == 7


def test_an_annotation_that_cannot_be_resolved_is_named(session: wb.Session) -> None:
    """A class that is defined too late, or that a function only mentions: the error says which annotation, and why."""

    @wb.agent
    class Early:
        async def take(self, late: list[Late]) -> None: ...

    @dataclass
    class Late:
        x: int

    async def only_mentions(late: Late) -> None: ...

    with pytest.raises(wb.EncodingError, match=r"'list\[Late\]'") as refused:
        Early.get().take([Late(1)])
    assert "could not be resolved" in refused.value.why
    assert "top of the module" in refused.value.do
    with pytest.raises(wb.EncodingError, match="'Late'") as refused:
        wb.run(wb.fan_out(only_mentions, [Late(1)]), PATIENCE)
    assert refused.value.path == "items[0]"
    assert "could not be resolved" in refused.value.why
