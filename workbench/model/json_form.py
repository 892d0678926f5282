"""The JSON form of a value, for payloads of promises: what is read again is what was sent, or it is refused.

msgspec writes NaN and infinity as null, and both keys of `{1: "a", "1": "b"}` as "1", of which a reader keeps one. So
what was written is read again: what comes back equal is fine, and what does not is looked at.
"""

import json
import math
from typing import Any, Final

import msgspec

from workbench.errors import EncodingError

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def json_form(value: object) -> bytes:
    """A value as JSON: text, numbers, lists, dicts, dataclasses and whatever else msgspec writes.

    Raises:
        EncodingError: it has no JSON form, or would be read as another value; says which part.
    """
    try:
        data = _encode(value)
        if b"{" in data or b"null" in data:  # nothing else is lost
            read = _decode(data)
            if not _is_equal(read, value):
                _refuse_loss(value, data, read)
    except EncodingError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EncodingError(
            "value", f"it has no JSON form ({error})", "send text, numbers, lists, dicts, dataclasses"
        ) from error
    return data


def _is_equal(read: object, value: object) -> bool:
    try:
        return bool(read == value)
    except Exception:  # noqa: BLE001 - an `__eq__` in it is its author's, and may expect its own kind
        return False


def _refuse_loss(value: object, data: bytes, read: object) -> None:
    """Refuse a value that lost something; a tuple that became a list, or a dataclass a dict, did not."""
    if _encode(read) != data:
        json.loads(data, object_pairs_hook=_refuse_equal_keys)
    if b"null" in data and (place := _place_of_loss(msgspec.to_builtins(value, enc_hook=_raw))) is not None:
        raise EncodingError(
            f"value{place}",
            "NaN and infinity have no JSON form, and would be read as None",
            "send a finite number, None or text",
        )


def _refuse_equal_keys(pairs: list[tuple[str, Any]]) -> None:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise EncodingError(
                "value",
                f"two keys of one dict are {json.dumps(key):.80} in JSON, so one of their values would be lost",
                "use keys that differ as text",
            )
        keys.add(key)


def _raw(_: object) -> None:
    """In the place of a `msgspec.Raw`, which is JSON already and holds no number."""


def _place_of_loss(plain: object) -> str | None:
    """Where the first number is that JSON does not have, as `['a'][1]`."""
    if isinstance(plain, float):
        return None if math.isfinite(plain) else ""
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, (list, tuple)) else ()
    for key, item in items:
        place = _place_of_loss(item)
        if place is not None:
            return f"[{key!r:.80}]{place}"
    return None
