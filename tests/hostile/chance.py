"""Decisions read off bytes: a fuzzer that changes a byte changes one decision, and few bytes make a small change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Chance:
    """Reads bytes from the front; where none is left, it reads zeros.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        """Whether any byte is left."""
        return self._at < len(self._data)

    def number(self, below: int) -> int:
        """A number from 0 on, read from as few bytes as can tell it."""
        width = ((below - 1).bit_length() + 7) // 8
        found = self.some(width)
        return int.from_bytes(found.ljust(width, b"\0"), "big") % below

    def pick(self, things: Sequence[_T]) -> _T:
        """One of these; the first where no byte is left."""
        return things[self.number(len(things))]

    def some(self, count: int) -> bytes:
        """The next bytes, as many as there are of so many."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self.some(len(self._data))


def text_of(data: bytes) -> str:
    """Any bytes as a text; halves of surrogate pairs are among what comes of it."""
    return data.decode("utf-8", "surrogateescape")
