"""A session for views to look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.views.lesson import Lesson
from workbench.model.agent_type import registry


@pytest.fixture
def lesson() -> Iterator[Lesson]:
    """A fresh session; its classes are forgotten afterwards."""
    before = dict(registry._types)
    made = Lesson()
    yield made
    made.session.close()
    registry._types.clear()
    registry._types.update(before)
