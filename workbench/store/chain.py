"""The hash chain over entries: each link covers the entry before it, every field with its type."""

from hashlib import blake2b
from typing import Final

import msgspec

LINK_BYTES: Final = 16
START: Final = bytes(LINK_BYTES)
"""What stands before the first entry."""

_encode = msgspec.msgpack.Encoder().encode

Row = tuple[int, int, int, int, int, int, int, int, str, bytes]
"""seq, agent, index, kind, cause, invocation, wall, mono, line text, body."""


def link(before: bytes, row: Row) -> bytes:
    """The chain value of an entry. MessagePack tags each field's type, so an int turned text is noticed too."""
    return blake2b(before + _encode(row), digest_size=LINK_BYTES).digest()
