"""Values to bytes and back: what arrives equals what was sent, with the same type at every level, or it is refused.

**Theory.** MessagePack holds None, bool, int in 64 bits, float, str, bytes, list and dict; those pass through msgspec
as they are, after a scan of their exact types, because msgspec alone would flatten a tuple to a list and an
`np.float64` to a float without a word. Everything else is a tag (`workbench.model.tags.Tag`): an extension number
whose payload is again MessagePack of the parts. The bytes describe themselves; annotations only add classes that a tag
may name (`known_types`).

Invariants:

- *Equal or refused.* `decode(encode(v))` equals `v` with equal types at every level, or `encode` raises
  `EncodingError` with the path to the part, before anything else has happened. What is shared is copied twice; what
  contains itself is refused.
- *Reading runs nothing.* A tag is looked up in a closed table by number, a class in `known` by name. No import,
  attribute or callable is ever found by a name in the data. Any malformed bytes raise `DecodingError` and nothing
  else.
- *Same value, same bytes.* Sets are sorted by their elements' bytes, so no bytes depend on `PYTHONHASHSEED`.

Rejected: pickle and its kin (reading runs code); JSON (no bytes, one number type, keys are text); msgspec's typed
decoding by annotation (it converts to what the annotation says, so a wrong annotation changes the value); a tag on each
node (plain values, which are nearly all, would pay for the few others).
"""

import sys
from typing import Final

import msgspec

from workbench.errors import DecodingError, EncodingError
from workbench.model.depth import MAX_NESTING, check_depth, malformed
from workbench.model.known import NOTHING_KNOWN, KnownTypes, known_types
from workbench.model.reading import LONG, check_keys, reader
from workbench.model.refusals import Refusal
from workbench.model.tags import MAX_BYTES
from workbench.model.writing import MAX_DEPTH, Writer, plain_size, too_large

__all__ = ["MAX_BYTES", "MAX_DEPTH", "NOTHING_KNOWN", "KnownTypes", "decode", "encode", "known_types"]

_SAFE_RECURSION: Final = 20_000
"""CPython 3.11 lets `sys.setrecursionlimit` go beyond what the C stack holds; above this, depth is counted first."""

_write = msgspec.msgpack.Encoder().encode


def encode(value: object, known: KnownTypes = NOTHING_KNOWN, path: str = "value") -> bytes:
    """Encode a value by its own types, at most `MAX_BYTES` long.

    Args:
        value: what to copy; not changed.
        known: the classes that may be named, from the annotations.
        path: how the caller names the value, as `args[1]`; the error's path begins with it.

    Raises:
        EncodingError: a part has no exact form; its path leads to the part.
    """
    try:
        size = plain_size(value)
        if size > MAX_BYTES:
            raise too_large()
        try:
            data = _write(value) if size >= 0 else _write(Writer(known).convert(value))
        except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, an int over 64 bits: these take tags
            data = _write(Writer(known).convert(value))
        if len(data) > MAX_BYTES:
            raise too_large()
    except Refusal as refusal:
        raise EncodingError(path + "".join(reversed(refusal.steps)), refusal.why, refusal.do) from None
    except RecursionError:
        raise EncodingError(
            path, "the stack has no room left to look into it", "call from less deep, or pass less deep"
        ) from None
    return data


def decode(data: bytes, known: KnownTypes = NOTHING_KNOWN) -> object:
    """Decode what `encode` wrote with the same classes known. Any bytes are safe to read.

    Raises:
        DecodingError: the bytes hold no value, or name a class that is not known or has changed.
    """
    try:
        if len(data) > MAX_BYTES:
            raise malformed(f"it is longer than {MAX_BYTES} bytes")  # noqa: TRY301 - inside, as data without a length is garbage too
        if len(data) > MAX_NESTING and sys.getrecursionlimit() > _SAFE_RECURSION:
            check_depth(data)
        if len(data) > LONG:
            check_keys(data)
        return (known.reader or reader(known))(data)
    except DecodingError:
        raise
    except RecursionError as error:
        raise malformed("it nests too deep") from error
    except Exception as error:  # constructors in C and in two libraries each have their own way to refuse garbage
        why = f"{type(error).__name__}: {error!s:.200}"
        raise DecodingError(
            why, "check the store, and that the annotated classes are those it was written with"
        ) from error
