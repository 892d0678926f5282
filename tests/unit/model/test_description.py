"""Entries and values in words: every kind has some, and no bytes can upset them."""

from __future__ import annotations

import dataclasses
import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.codec import encode, known_types
from workbench.model.description import content, describe, failure_line
from workbench.model.entries import KINDS, Body
from workbench.model.failure import encode_failure
from workbench.model.fan_out_results import FanOutResults
from workbench.model.rendering import MAX_SHOWN, clip, payload, rendered

FAILURE = encode_failure(ValueError("no room"), "A()", "m")


def example(cls: type[Body]) -> Body:
    """A body of a kind, with something in each field."""
    made: dict[Any, Any] = {int: 7, str: "text", bool: True, bytes: FAILURE, e.Facts: e.Facts(1)}
    values = {}
    for field in msgspec.structs.fields(cls):
        kinds = [field.type, *getattr(field.type, "__args__", ())]
        values[field.name] = next((made[kind] for kind in kinds if kind in made), None)
    return cls(**values)


@pytest.mark.parametrize("cls", KINDS.values(), ids=lambda cls: cls.__name__)
def test_every_kind_is_described(cls: type[Body]) -> None:
    """Each kind of entry has a short text of its own in words, and its content can be shown."""
    text = describe(example(cls))
    assert text
    assert text != cls.__name__
    assert len(text) < 100
    assert isinstance(content(example(cls)), str)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (e.CallMade(1, "A(1)", "m", b"", awaited=True), "call A(1).m"),
        (e.CallMade(1, "A(1)", "m", b"", awaited=False), "trigger A(1).m"),
        (e.CallScheduled("A(1)", "m", b"", 5), "schedule A(1).m"),
        (e.ControlMade("delete", "A(1)", 0, ok=True, value=b""), "delete A(1)"),
        (e.StepStarted("fetch"), "step fetch"),
        (e.PromiseCreated(), "create_promise"),
        (e.PromiseAwaited(1, 5), "await_promise of index 5"),
        (e.TimerSet(5), "a timer"),
        (e.ForkMade("A()", ""), "fork"),
        (e.InvocationFinished(ok=True, value=b""), "the end of the invocation"),
        (e.WaitDropped(5), "the drop of what began at index 5"),
    ],
)
def test_what_divergence_tells(body: Body, text: str) -> None:
    """The words of an operation are those in which a divergence says what was asked for."""
    assert describe(body) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (e.CallMade(1, "A()", "m", encode(["eu", 5]), awaited=True), "['eu', 5]"),
        (e.InvocationFinished(ok=True, value=encode({"a": (1,)})), "{'a': (1,)}"),
        (e.InvocationFinished(ok=False, value=FAILURE), "ValueError: no room"),
        (e.AgentFailed(FAILURE), "ValueError: no room"),
        (e.PromiseCompleted(1, 2, b"payload", first=True), "payload"),
        (e.PromiseCompleted(1, 2, b"", first=False), "ignored: it was completed before"),
        (e.PromiseDelivered(1, b"\xff\x00"), r"b'\xff\x00'"),
        (e.Logged("info", "hello"), "hello"),
        (e.TimerSet(5), ""),
        (e.AgentFailed(b"nonsense"), "an error that cannot be read"),
    ],
)
def test_what_an_entry_holds(body: Body, text: str) -> None:
    """Arguments, results, errors and payloads are shown as people know them."""
    assert content(body) == text


@dataclasses.dataclass
class Report:
    """A dataclass."""

    total: int
    parts: list[Any]


class Colour(enum.Enum):
    """An enum."""

    RED = 1


class Point(NamedTuple):
    """A NamedTuple."""

    x: int


KNOWN = known_types([Report, Colour, Point])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 2.5, None, True, "x'"], '[1, 2.5, None, True, "x\'"]'),
        ((), "()"),
        ((1,), "(1,)"),
        ({1}, "{1}"),
        (set(), "set()"),
        ({"a": [b"bytes"]}, "{'a': [b'bytes']}"),
        (FanOutResults(["a", "b"], [1, (2,)]), "[1, (2,)]"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (Report(3, [Colour.RED, Point(1)]), "Report(total=3, parts=[Colour.RED, Point(x=1)])"),
        (PromiseId("A()", "s-1", 4), "A()#s-1/4"),
        (AgentId("A", (1,)), "A(1)"),
        (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02 00:00:00+00:00"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal("1.50"), "1.50"),
        (1 << 70, str(1 << 70)),
        (b"x" * 100, "<100 bytes>"),
        (np.zeros(3), "<array ['<f8', [3], b'" + r"\x00" * 24 + "']>"),
    ],
)
def test_values_are_shown_without_their_classes(value: object, text: str) -> None:
    """A value is readable where no class of it is defined."""
    assert rendered(encode(value, KNOWN), 1000) == text


def test_strings_as_they_are() -> None:
    """For a search, strings are shown without quotes and escapes."""
    assert rendered(encode(["it's\nnew"]), 100, quoted=False) == "[it's\nnew]"


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_can_be_shown(data: bytes, limit: int) -> None:
    """Whatever stands in a store is shown, in at most as many signs as allowed and never with an error."""
    bound = max(limit, len(f"<{len(data):,} bytes that are no value>"))
    assert len(rendered(data, limit)) <= bound
    assert len(payload(data, limit)) <= max(limit, 70)
    assert failure_line(data)


@pytest.mark.parametrize("data", [b"\x91" * 100_000, b"\xc7\x02\x01\x91" * 50_000, b"\x9f" + b"\xc0" * 5, b"\xc1"])
def test_bytes_that_nest_too_deep(data: bytes) -> None:
    """Bytes made to exhaust the stack, or that end too soon, are said to be no value."""
    assert "bytes that are no value" in rendered(data, 100)


def test_long_values_are_cut() -> None:
    """A long value is cut where there is enough, and one of megabytes is not looked at."""
    assert rendered(encode(list(range(100_000))), 20) == "[0, 1, 2, 3, 4, 5, …"
    assert rendered(encode("x" * (MAX_SHOWN + 1)), 20) == f"<{MAX_SHOWN + 6:,} bytes>"
    assert payload(b"x" * (MAX_SHOWN + 1), 20) == f"<{MAX_SHOWN + 1:,} bytes>"
    assert (clip("abcd", 4), clip("abcde", 4)) == ("abcd", "abc…")
