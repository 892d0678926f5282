"""Rows of a state: what their filters match, how their times and waits are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.nouns import Agent, Invocation, Promise, Step, Timer, status_of
from workbench.core.state import State
from workbench.errors import SearchError
from workbench.questions.rows import STATUSES, in_words, matches, moment, one_of

LETTERS = st.text('aB*?[]("x', max_size=8)


@settings(max_examples=500)
@given(LETTERS, LETTERS)
def test_patterns_match_as_a_regular_expression_would(pattern: str, text: str) -> None:
    """`*` stands for any text and `?` for one sign; without them the text only has to hold the pattern."""
    said = "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    slow = re.fullmatch(said, text, re.IGNORECASE | re.DOTALL) is not None
    if "*" not in pattern and "?" not in pattern:
        slow = pattern.lower() in text.lower()
    assert matches(pattern, text) == slow


def test_patterns_take_no_time() -> None:
    """A pattern that a backtracking matcher would try for years is answered at once."""
    assert not matches("*a" * 200 + "b", "a" * 512)
    assert matches("*a" * 200, "a" * 512)


def test_words_to_filter_by() -> None:
    """A word that there is passes, None too; any other is refused with those that there are."""
    one_of("status", None, STATUSES)
    one_of("status", "idle", STATUSES)
    with pytest.raises(SearchError, match=r"no such status\. Name one of running, idle"):
        one_of("status", "Idle", STATUSES)


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_moments(wall: int) -> None:
    """A time is told in UTC, exact to the microsecond, in any time zone of the machine."""
    told = moment(wall)
    assert told.utcoffset() == timedelta(0)
    assert (told - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == wall // 1000
    assert told == told.astimezone(timezone(timedelta(hours=5)))


def test_waits_in_words() -> None:
    """Each kind of wait is told by what it is for."""
    state = State()
    state.agents[7] = Agent(7, "Worker(7)", "Worker", 1, 0)
    call = Invocation(seq=9, target=7, method="process", args=b"", caller=1, op=3, key=None, label=None, line="",
                      accepted_wall=0)  # fmt: skip
    assert in_words(state, call) == "call Worker(7).process"
    assert in_words(state, Promise(owner=7, index=4, created=3)) == "promise 4 of Worker(7)"
    assert in_words(state, Timer(due=0)) == "timer until 1970-01-01 00:00:00 UTC"
    assert in_words(state, Step(name="fetch", idempotent=True, origin=(7, 3), begun=3, retries=2)) == (
        "step fetch, tried 2 times"
    )


def test_every_status_has_a_word() -> None:
    """Whatever `status_of` says can be filtered by."""
    agent = Agent(7, "Worker(7)", "Worker", 1, 0)
    assert status_of(agent) in STATUSES
    told = set(re.findall(r"`(\w+)`", status_of.__doc__ or ""))
    assert told <= set(STATUSES)
