"""What cannot be kept as text is refused in words, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.testing import SimulatedClock


def test_half_a_pair_completes_no_promise() -> None:
    """A payload that is text with half of a surrogate pair is refused; the promise stays as it was."""
    with wb.start(":memory:", clock=SimulatedClock()):
        promise = wb.create_promise()
        with pytest.raises(wb.EncodingError, match="half of a surrogate pair"):
            wb.complete_promise(promise, "\ud800")
        assert wb.promise_state(promise) == "pending"


@pytest.mark.parametrize("name", ["W" * 300, "W" * 250, "W" * 5_000, "a\x00b"], ids=["long", "sides", "path", "nul"])
@pytest.mark.parametrize("how", [{}, {"fresh": True}, {"read_only": True}], ids=["open", "fresh", "read only"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    """A store cannot be called by what is no file's name, or leaves no room for the files beside it."""
    with pytest.raises(wb.StoreError, match="cannot be opened"):
        wb.start(tmp_path / name, **how)
    assert list(tmp_path.iterdir()) == []
