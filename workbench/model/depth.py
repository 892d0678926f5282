"""How deep MessagePack bytes nest, counted without recursion.

The decoder's own guard is CPython's recursion limit. On Python 3.11 a notebook may have lifted it beyond what the C
stack holds, and then a few thousand bytes of nested lists would end the process. Only in that case the codec counts
here first.
"""

from typing import Final

from workbench.errors import DecodingError
from workbench.model.tags import LEAF_READERS

MAX_NESTING: Final = 1000
"""Levels of MessagePack; a level of a value takes at most four of them."""

_SKIP: Final = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""Numbers: first byte -> bytes that follow."""

_STRINGS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""str and bytes: first byte -> width of the length."""

_CONTAINERS: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Arrays and maps: first byte -> width of the length, values for each item."""

_EXT: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXT: Final = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def malformed(why: str) -> DecodingError:
    """The error for bytes that `encode` never writes."""
    return DecodingError(why, "check the store: these bytes were not written by encode")


def check_depth(data: bytes) -> None:
    """Refuse bytes that nest deeper than `MAX_NESTING`; what else is malformed is left to the decoder.

    Raises:
        DecodingError: they do.
    """
    place, end = 0, len(data)
    left: list[int] = []  # for each open level, how many values are still to come
    while place < end:
        children, place = _next(data, place)
        if left:
            left[-1] -= 1
        if children:
            left.append(children)
            if len(left) > MAX_NESTING:
                raise malformed("it nests too deep")
        while left and not left[-1]:
            left.pop()


def _next(data: bytes, place: int) -> tuple[int, int]:
    """How many values lie directly inside the one at this place, and where the next one begins."""
    first = data[place]
    place += 1
    if first < 0x80 or first >= 0xE0 or first in (0xC0, 0xC1, 0xC2, 0xC3):  # noqa: PLR2004 - MessagePack's bytes
        return 0, place
    if first < 0x90:  # noqa: PLR2004
        return 2 * (first & 15), place
    if first < 0xA0:  # noqa: PLR2004
        return first & 15, place
    if first < 0xC0:  # noqa: PLR2004
        return 0, place + (first & 31)
    if first in _SKIP:
        return 0, place + _SKIP[first]
    if first in _STRINGS:
        width = _STRINGS[first]
        return 0, place + width + int.from_bytes(data[place : place + width], "big")
    if first in _CONTAINERS:
        width, each = _CONTAINERS[first]
        return each * int.from_bytes(data[place : place + width], "big"), place + width
    width = _EXT.get(first, 0)
    length = _FIXED_EXT[first] if first in _FIXED_EXT else int.from_bytes(data[place : place + width], "big")
    code = int.from_bytes(data[place + width : place + width + 1], "big", signed=True)
    is_leaf = code in LEAF_READERS or code < 0
    return (0, place + width + 1 + length) if is_leaf else (1, place + width + 1)
