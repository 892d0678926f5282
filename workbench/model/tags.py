"""The tags of the codec, and the values that are one piece: dates, numbers, paths, ids.

A tag is a MessagePack extension type: a small number and bytes. `Tag` lists all numbers there are; they are on disk,
so a number is never used again for something else. What reads a tag is found in a closed table by that number: no name
in the data ever leads to a callable. The payload of each leaf is read by a typed MessagePack decoder or a fixed
struct, so a payload of the wrong form is an error before a constructor sees it.
"""

import ipaddress
import struct
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from workbench.ids import AgentId, PromiseId
from workbench.model.refusals import Refusal


class Tag:
    """Extension numbers, as on disk. Plain ints, because msgspec takes no subclass of int for them."""

    TUPLE: Final = 1
    SET: Final = 2
    FROZENSET: Final = 3
    MAP: Final = 4  # a dict with a key that itself needs a tag: keys and values in turn
    BIG_INT: Final = 5
    COMPLEX: Final = 6
    BYTEARRAY: Final = 7
    TEXT: Final = 8  # a str with half of a surrogate pair
    DATETIME: Final = 9
    DATE: Final = 10
    TIME: Final = 11
    TIMEDELTA: Final = 12
    TIMEZONE: Final = 13
    ZONE: Final = 14
    UUID: Final = 15
    DECIMAL: Final = 16
    FRACTION: Final = 17
    PATH: Final = 18
    RANGE: Final = 19
    SLICE: Final = 20
    ELLIPSIS: Final = 21
    ORDERED_DICT: Final = 22
    DEFAULT_DICT: Final = 23
    COUNTER: Final = 24
    DEQUE: Final = 25
    PROMISE_ID: Final = 26
    AGENT_ID: Final = 27
    IP: Final = 28
    FAN_OUT_RESULTS: Final = 29
    DATACLASS: Final = 40
    ENUM: Final = 41
    FLAG: Final = 42
    NAMED_TUPLE: Final = 43
    STRUCT: Final = 44
    ARRAY: Final = 50
    SCALAR: Final = 51
    FRAME: Final = 60
    SERIES: Final = 61
    INDEX: Final = 62


class Leaf(NamedTuple):
    """How one kind of one-piece value is written and read. Both may raise anything that the codec then explains."""

    tag: int
    write: Callable[[Any], bytes]
    read: Callable[[memoryview], object]


MAX_FRACTION_BYTES: Final = 16 * 1024
"""Each half of a `Fraction`. Reading one takes a greatest common divisor, whose time grows with the square of this."""

INT_MIN, INT_MAX = -(1 << 63), (1 << 64) - 1
"""What MessagePack holds without a tag."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""The longest encoding of one value; above it, nothing is written and nothing is read."""

_write = msgspec.msgpack.Encoder().encode

# ---- numbers and text ---------------------------------------------------------------------------------------------


def write_int(value: int) -> bytes:
    """Two's complement, big end first, as short as it can be for whole bytes."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _read_int(data: bytes | memoryview) -> int:
    return int.from_bytes(data, "big", signed=True)


def write_text(value: str) -> bytes:
    """UTF-8 that lets half of a surrogate pair pass."""
    return value.encode("utf-8", "surrogatepass")


def _read_text(data: bytes | memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


_complex = struct.Struct(">dd")
_two_numbers = msgspec.msgpack.Decoder(tuple[bytes, bytes])
_three_numbers = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes])


def _write_fraction(value: Fraction) -> bytes:
    parts = (value.numerator, value.denominator)
    if any(type(part) is not int for part in parts):
        raise Refusal("it is a Fraction of something else than int", "build it from plain ints")
    numerator, denominator = map(write_int, parts)
    if max(len(numerator), len(denominator)) > MAX_FRACTION_BYTES:
        raise Refusal(
            f"a half of this Fraction takes more than {MAX_FRACTION_BYTES} bytes", "pass the two ints, or a float"
        )
    return _write((numerator, denominator))


def _read_fraction(data: memoryview) -> Fraction:
    numerator, denominator = _two_numbers.decode(data)
    if max(len(numerator), len(denominator)) > MAX_FRACTION_BYTES:
        message = "a half of a Fraction is too long"
        raise ValueError(message)
    return Fraction(_read_int(numerator), _read_int(denominator))


def _read_range(data: memoryview) -> range:
    return range(*map(_read_int, _three_numbers.decode(data)))


# ---- time ---------------------------------------------------------------------------------------------------------

_MICROSECOND = timedelta(microseconds=1)
_Zone = None | str | tuple[int, str | None]
"""None, a `ZoneInfo` key, or microseconds east of UTC and a name."""

_moment: msgspec.msgpack.Decoder[tuple[str, int, _Zone]] = msgspec.msgpack.Decoder(tuple[str, int, _Zone])
_zone: msgspec.msgpack.Decoder[_Zone] = msgspec.msgpack.Decoder(_Zone)
_whole = msgspec.msgpack.Decoder(int)
_three = msgspec.msgpack.Decoder(tuple[int, int, int])


@cache
def _zone_keys() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone_named(key: str) -> ZoneInfo:
    """The zone, only if this machine lists it: `ZoneInfo` itself would look for a file, then a package, of any name."""
    if key not in _zone_keys():
        message = f"this machine has no time zone {key!r:.80}; the package tzdata may bring it"
        raise ValueError(message)
    return ZoneInfo(key)


def _zone_form(zone: tzinfo | None) -> _Zone:
    if zone is None:
        return None
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]  # what pickle and copy use
        return offset // _MICROSECOND, name[0] if name else None
    if type(zone) is ZoneInfo:
        if zone.key in _zone_keys():
            return zone.key
        raise Refusal(
            f"its time zone {zone.key!r} is not one that this machine lists", "use zoneinfo.ZoneInfo('Area/City')"
        )
    kind = f"{type(zone).__module__}.{type(zone).__qualname__}"
    raise Refusal(f"its time zone is a {kind}", "use datetime.timezone or zoneinfo.ZoneInfo")


def _zone_from(form: _Zone) -> tzinfo | None:
    if form is None:
        return None
    if isinstance(form, str):
        return _zone_named(form)
    offset, name = form
    return timezone(offset * _MICROSECOND) if name is None else timezone(offset * _MICROSECOND, name)


def _write_moment(value: datetime | time) -> bytes:
    return _write((value.replace(tzinfo=None).isoformat(), value.fold, _zone_form(value.tzinfo)))


def _read_datetime(data: memoryview) -> datetime:
    text, fold, zone = _moment.decode(data)
    return datetime.fromisoformat(text).replace(tzinfo=_zone_from(zone), fold=fold)


def _read_time(data: memoryview) -> time:
    text, fold, zone = _moment.decode(data)
    return time.fromisoformat(text).replace(tzinfo=_zone_from(zone), fold=fold)


def _read_zone(data: memoryview) -> tzinfo:
    zone = _zone_from(_zone.decode(data))
    if zone is None:
        message = "a time zone that is none"
        raise ValueError(message)
    return zone


# ---- names --------------------------------------------------------------------------------------------------------

_PATHS: Final = (PurePosixPath, PosixPath, PureWindowsPath, WindowsPath)
_ADDRESSES: Final = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
"""Kinds that their text gives back. The place in the tuple is on disk."""

_promise_id = msgspec.msgpack.Decoder(tuple[str, str, int])


def _write_promise_id(value: PromiseId) -> bytes:
    if (type(value.agent), type(value.incarnation), type(value.index)) != (str, str, int):
        raise Refusal(
            "a part of this PromiseId has another type than it should", "pass the id that create_promise gave"
        )
    return _write((value.agent, value.incarnation, value.index))


def _from_text(kinds: tuple[type, ...]) -> tuple[Callable[[object], bytes], Callable[[memoryview], object]]:
    """Write and read kinds that their text gives back: one byte for the kind, then the text."""
    places = {kind: bytes([place]) for place, kind in enumerate(kinds)}
    return (
        lambda value: places[type(value)] + write_text(str(value)),
        lambda data: kinds[data[0]](_read_text(bytes(data)[1:])),  # msgspec 0.19 gives views that slice wrongly
    )


_write_path, _read_path = _from_text(_PATHS)
_write_ip, _read_ip = _from_text(_ADDRESSES)

LEAVES: Final[dict[type, Leaf]] = {
    complex: Leaf(Tag.COMPLEX, lambda v: _complex.pack(v.real, v.imag), lambda d: complex(*_complex.unpack(d))),
    bytearray: Leaf(Tag.BYTEARRAY, bytes, bytearray),
    datetime: Leaf(Tag.DATETIME, _write_moment, _read_datetime),
    date: Leaf(Tag.DATE, lambda v: _write(v.toordinal()), lambda d: date.fromordinal(_whole.decode(d))),
    time: Leaf(Tag.TIME, _write_moment, _read_time),
    timedelta: Leaf(
        Tag.TIMEDELTA, lambda v: _write((v.days, v.seconds, v.microseconds)), lambda d: timedelta(*_three.decode(d))
    ),
    timezone: Leaf(Tag.TIMEZONE, lambda v: _write(_zone_form(v)), _read_zone),
    ZoneInfo: Leaf(Tag.ZONE, lambda v: _write(_zone_form(v)), _read_zone),
    UUID: Leaf(Tag.UUID, lambda v: v.bytes, lambda d: UUID(bytes=bytes(d))),
    Decimal: Leaf(Tag.DECIMAL, lambda v: str(v).encode(), lambda d: Decimal(str(d, "ascii"))),
    Fraction: Leaf(Tag.FRACTION, _write_fraction, _read_fraction),
    range: Leaf(Tag.RANGE, lambda v: _write([write_int(n) for n in (v.start, v.stop, v.step)]), _read_range),
    type(...): Leaf(Tag.ELLIPSIS, lambda _: b"", lambda _: ...),
    PromiseId: Leaf(Tag.PROMISE_ID, _write_promise_id, lambda d: PromiseId(*_promise_id.decode(d))),
    AgentId: Leaf(Tag.AGENT_ID, lambda v: v.text.encode(), lambda d: AgentId.parse(str(d, "utf-8"))),
    **dict.fromkeys(_PATHS, Leaf(Tag.PATH, _write_path, _read_path)),
    **dict.fromkeys(_ADDRESSES, Leaf(Tag.IP, _write_ip, _read_ip)),
}
"""Exact type -> how it is written."""

LEAF_READERS: Final[dict[int, Callable[[memoryview], object]]] = {
    **{leaf.tag: leaf.read for leaf in LEAVES.values()},
    Tag.BIG_INT: _read_int,
    Tag.TEXT: _read_text,
}
"""Tag -> how it is read."""

FACTORIES: Final[dict[str, Callable[[], Any] | None]] = {
    "None": None,
    **{kind.__name__: kind for kind in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)},
    **{kind.__name__: kind for kind in (Counter, OrderedDict, deque)},
}
"""The factories that a stored `defaultdict` may have: built-in kinds only."""
