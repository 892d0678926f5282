"""What the fault tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.testing.sweep import memory_folder


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what is tried a thousand times need not wear out a disk."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        yield Path(folder)
