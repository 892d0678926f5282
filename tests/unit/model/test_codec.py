"""The codec: equal with equal types at every level, or refused with the path; and no bytes run code."""

import asyncio
import collections
import dataclasses
import enum
import fractions
import functools
import importlib
import importlib.util
import io
import ipaddress
import math
import pathlib
import pickle
import re
import sqlite3
import struct
import subprocess
import sys
import threading
import typing
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import DecodingError, EncodingError, WorkbenchError
from workbench.ids import AgentId, PromiseId
from workbench.model import codec
from workbench.model.codec import MAX_BYTES, MAX_DEPTH, NOTHING_KNOWN, KnownTypes, decode, encode, known_types
from workbench.model.fan_out_results import FanOutResults
from workbench.model.tags import Tag

np = pytest.importorskip("numpy")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Bits(enum.IntFlag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Shout(NamedTuple):
    word: Word


@dataclasses.dataclass
class Leafy:
    n: int
    colour: Colour = Colour.RED


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    parts: tuple[Point, ...] = ()


@dataclasses.dataclass
class Tree:
    value: Any
    children: "list[Tree]" = dataclasses.field(default_factory=list)
    leafy: "Leafy | None" = None
    size: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.size += 100  # would be seen if it ran again

    @functools.cached_property
    def total(self) -> int:
        return self.size


class Structy(msgspec.Struct, frozen=True, kw_only=True):
    a: int
    b: "Leafy | None" = None


class Hooked(msgspec.Struct):
    a: int

    def __post_init__(self) -> None:
        self.a += 1


@dataclasses.dataclass
class DictLike(dict[str, int]):
    n: int = 0


class Text(str):
    __slots__ = ()


class Numbers(list[int]):
    pass


class Settings(TypedDict):
    level: Level
    trees: list[Tree]


class Plain:
    pass


KNOWN = known_types([Colour, Level, Word, Right, Bits, Point, Shout, Leafy, Frozen, Tree, Structy])


def in_order(value: object) -> bytes:
    """A sort key for elements of sets, which are of all kinds."""
    return encode(value, KNOWN)


def same(a: Any, b: Any) -> bool:  # noqa: PLR0911 - one rule for each kind
    """Equal, with equal types at every level; NaN equals NaN, and -0.0 does not equal 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return bool(
            a.dtype == b.dtype and a.dtype.char == b.dtype.char and a.shape == b.shape and a.tobytes() == b.tobytes()
        )
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        if getattr(a, "default_factory", None) is not getattr(b, "default_factory", None):
            return False
        return len(a) == len(b) and all(
            same(k, m) and same(v, w) for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and same(sorted(a, key=in_order), sorted(b, key=in_order))
    if isinstance(a, (list, tuple, collections.deque)):
        if getattr(a, "maxlen", None) != getattr(b, "maxlen", None):
            return False
        if isinstance(a, FanOutResults) and not same(a.items, b.items):
            return False
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (datetime, time)):
        return a == b and a.fold == b.fold and same(a.tzinfo, b.tzinfo) and repr(a) == repr(b)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    return bool(a == b) and repr(a) == repr(b)


NAN = float("nan")
PARIS = ZoneInfo("Europe/Paris")
KINDS: dict[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "int64": -(2**63),
    "uint64": 2**64 - 1,
    "big int": 2**64,
    "big negative int": -(2**63) - 1,
    "huge int": 7**5000,
    "float": 1.5,
    "whole float": 1.0,
    "negative zero": -0.0,
    "nan": NAN,
    "infinity": [math.inf, -math.inf],
    "text": "héllo \0 🎈",
    "lone surrogate": "a\ud800b",
    "bytes": b"\x00\xff",
    "list": [1, "a", None, [2.0, [True]]],
    "dict": {"a": 1, "b": {"c": [1]}},
    "empty": [[], {}, (), set(), frozenset(), "", b""],
    "bool among ints": [1, True, 0, False],
    "tuple": (1, ("a", [2])),
    "set": {1, "a", 2.5, None, (1, 2)},
    "frozenset": frozenset({frozenset({1}), "x"}),
    "set of nan": {NAN},
    "int keys": {1: "a", -1: "b", 2**63: "c"},
    "scalar keys": {True: 1, None: 2, 2.5: 3, b"k": 4},
    "tuple keys": {("a", 1): 1, ("b", (2,)): [2], "c": 3},
    "big and surrogate keys": {2**70: 1, "\ud800": 2},
    "complex": [complex(1, -0.0), complex(NAN, math.inf)],
    "bytearray": bytearray(b"ab"),
    "naive datetime": datetime(2024, 2, 29, 12, 30, 1, 5),  # noqa: DTZ001
    "utc datetime": datetime(2024, 2, 29, tzinfo=UTC),
    "offset datetime": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-5, seconds=7, microseconds=3))),
    "zone datetime with fold": datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS),
    "date": date.max,
    "time": [time(1, 2, 3, 4), time(2, 30, fold=1, tzinfo=UTC)],
    "timedelta": [timedelta.min, timedelta.max, timedelta(microseconds=-1)],
    "timezone": [timezone.utc, timezone(timedelta(hours=1)), timezone(timedelta(hours=1), "CET")],  # noqa: UP017
    "zone": PARIS,
    "uuid": uuid.UUID(int=5),
    "decimal": [
        Decimal("1.10"),
        Decimal("-0"),
        Decimal("NaN"),
        Decimal("sNaN12"),
        Decimal("-Infinity"),
        Decimal("1E+999"),
    ],
    "fraction": fractions.Fraction(-3, 7**50),
    "paths": [
        pathlib.PurePosixPath("/a/b"),
        pathlib.PureWindowsPath("c:/x"),
        pathlib.Path("rel"),
        pathlib.Path("\udcff"),
    ],
    "range": [range(3), range(10, -(2**70), -3)],
    "slice": slice(1, None, (2, "a")),
    "ellipsis": ...,
    "addresses": [
        ipaddress.ip_address("::1%eth0"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_interface("1.2.3.4/24"),
    ],
    "ordered dict": collections.OrderedDict([("b", 1), ("a", 2), ((1,), 3)]),
    "default dict": collections.defaultdict(list, {1: [2]}),
    "default dict without factory": collections.defaultdict(None, {"a": 1}),
    "counter": collections.Counter("hello"),
    "deque": [collections.deque([1, (2,)], maxlen=5), collections.deque()],
    "promise id": PromiseId("Worker(7)", "i1", 42),
    "results of a fan-out": [FanOutResults([1, (2,)], ["a", {3}]), FanOutResults([], [])],
    "agent id": AgentId("Worker", (7, "eu", [1, {"a": 2}]), uuid.UUID(int=9)),
    "enum": [Colour.RED, {Colour.BLUE: 1}],
    "int enum": [Level.HIGH, 2],
    "str enum": (Word.YES, "yes"),
    "flags": [Right.READ, Right.READ | Right.WRITE, Right(0), Bits(3), Bits(8)],
    "named tuple": [Point(1, 2.0), (1, 2.0), Shout(Word.YES)],
    "frozen dataclass with slots": Frozen("a", (Point(1),)),
    "dataclass tree": Tree((1, 2), [Tree({1}), Tree(None, leafy=Leafy(1, Colour.BLUE))]),
    "struct": Structy(a=1, b=Leafy(2)),
    "array": np.arange(6, dtype="<f4").reshape(2, 3),
    "arrays": [
        np.array([]),
        np.array(5),
        np.zeros((0, 3), "u1"),
        np.array(["ab", "c"]),
        np.array([b"a\0"]),
        np.array([True]),
    ],
    "other byte order": np.arange(3, dtype=">i4"),
    "times array": np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
    "long long array": np.arange(3, dtype="q"),
    "structured array": np.array([(1, "a", [1, 2])], dtype=[("n", "i4"), ("s", "U3"), ("v", "f8", (2,))]),
    "array scalars": [
        np.float64(1.5),
        np.int8(-1),
        np.array([True])[0],
        np.str_("a\0"),
        np.bytes_(b""),
        np.datetime64("2020"),
    ],
    "array in a dataclass": Leafy(np.longlong(3)),
    "mixed": {"a": [(1, {"b": {2}}), Point(1)], (1, Level.LOW): np.int64(3)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_comes_back_equal(kind: str) -> None:
    """Each kind comes back equal, with equal types at every level, also in containers, and encodes the same again."""
    value = KINDS[kind]
    data = encode(value, KNOWN)
    assert same(decode(data, KNOWN), value)
    assert same(decode(encode([(value,)], KNOWN), KNOWN), [(value,)])
    assert encode(decode(data, KNOWN), KNOWN) == data


def test_numpy_float_stays_numpy() -> None:
    """`np.float64` is a float, and still is not flattened to one."""
    assert type(decode(encode(np.float64(1)))) is np.float64


def test_array_is_owned_and_writable() -> None:
    """A decoded array owns its memory, in C order, whatever order it had."""
    array = decode(encode(np.asfortranarray(np.ones((2, 3)))))
    assert isinstance(array, np.ndarray)
    assert array.flags.owndata
    assert array.flags.writeable
    assert array.flags.c_contiguous


def test_no_init_on_decode() -> None:
    """Neither `__init__` nor `__post_init__` runs when a dataclass is rebuilt; fields with `init=False` are kept."""
    tree = Tree(1)
    tree.size = 7
    assert tree.total == 7  # a cached property is no content
    again = decode(encode(tree, KNOWN), KNOWN)
    assert isinstance(again, Tree)
    assert again.size == 7
    assert "total" not in vars(again)


def test_large_shared_parts() -> None:
    """A large value that holds the same parts many times, at several depths, comes back whole."""
    part = [(n, "x" * 300, [n] * 20, {"k": [0.5] * 20}) for n in range(100)]
    for value in ([part] * 20, [part, (part, [part, {"a": part}])] * 5, [[[1.5, "y"] * 300] * 30] * 30):
        assert same(decode(encode(value)), value)


def test_shared_parts_are_copied_twice() -> None:
    """A part that occurs twice comes back as two equal parts."""
    part = [1, (2,)]
    again = decode(encode([part, part]))
    assert isinstance(again, list)
    assert again == [part, part]
    assert again[0] is not again[1]


def closed_file() -> io.IOBase:
    """An open file that needs no closing."""
    return io.BytesIO()


async def work() -> None:
    """Something to await."""


def a_coroutine() -> Iterator[Any]:
    """A coroutine that is closed when the test ends."""
    coroutine = work()
    yield coroutine
    coroutine.close()


def cycle() -> list[Any]:
    """A list in itself."""
    items: list[Any] = []
    items.append({"me": (items,)})
    return items


def deep(levels: int) -> list[Any]:
    """That many lists in each other."""
    items: list[Any] = []
    for _ in range(levels - 1):
        items = [items]
    return items


def with_attribute() -> Leafy:
    """A dataclass with an attribute that is no field."""
    leafy = Leafy(1)
    leafy.extra = 2  # type: ignore[attr-defined]
    return leafy


def unset() -> Frozen:
    """A dataclass whose field was never set."""
    return object.__new__(Frozen)


def rows() -> object:
    """A row of a database."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("select 1 as one").fetchone()
    connection.close()
    return row


def counter_with_attribute() -> collections.Counter[str]:
    """A Counter that has more than its items."""
    counter: collections.Counter[str] = collections.Counter()
    vars(counter)["x"] = 1
    return counter


def exponential() -> list[Any]:
    """Few lists, ten to the twelfth parts."""
    items: list[Any] = []
    for _ in range(12):
        items = [items] * 10
    return items


class Twin(NamedTuple):
    a: int


@dataclasses.dataclass
class Stranger:
    n: int


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "function": (lambda: {"model": len}, "args[1]['model']", "pass a name"),
    "lambda": (lambda: [1, lambda: 2], "args[1][1]", "pass a name"),
    "class": (lambda: (Plain,), "args[1][0]", "table"),
    "module": (lambda: {("k",): sys}, "args[1][<tuple>]", "import it"),
    "object": (lambda: Leafy(Plain()), "args[1].n", "dataclass"),  # type: ignore[arg-type]
    "generator": (lambda: [(i for i in range(1))], "args[1][0]", "list("),
    "iterator": (lambda: map(str, [1]), "args[1]", "list("),
    "dict view": ({"a": 1}.keys, "args[1]", "list("),
    "memoryview": (lambda: [memoryview(b"a")], "args[1][0]", "bytes("),
    "open file": (closed_file, "args[1]", "path"),
    "lock": (lambda: {1: threading.Lock()}, "args[1][1]", "need none"),
    "thread": (threading.current_thread, "args[1]", "plain"),
    "sqlite row": (rows, "args[1]", "dict(row)"),
    "pattern": (lambda: re.compile("a"), "args[1]", "text"),
    "exception": (lambda: [ValueError("x")], "args[1][0]", "raise it"),
    "str subclass": (lambda: [Text("a")], "args[1][0]", "built-in"),
    "list subclass": (lambda: (Numbers([1]),), "args[1][0]", "built-in"),
    "str subclass as key": (lambda: {"a": 1, Text("b"): 2}, "args[1].keys()[1]", "built-in"),
    "dict subclass": (collections.UserDict, "args[1]", "dataclass"),
    "element of a set": (lambda: {Plain}, "args[1]{<type>}", "table"),
    "unknown dataclass": (
        lambda: {"x": [Stranger(1)]},
        "args[1]['x'][0]",
        "annotate the parameter or return with Stranger",
    ),
    "unknown enum": (lambda: enum.Enum("E", ["A"]).A, "args[1]", "annotate"),  # type: ignore[attr-defined]
    "unknown named tuple": (lambda: Twin(1), "args[1]", "annotate"),
    "unknown struct": (lambda: Hooked(1), "args[1]", "annotate"),
    "cycle": (cycle, "args[1][0]['me'][0]", "tree"),
    "too deep": (lambda: deep(MAX_DEPTH + 1), "args[1]" + "[0]" * MAX_DEPTH, "flatter"),
    "attribute that is no field": (with_attribute, "args[1]", "declare it"),
    "unset field": (unset, "args[1]", "set all fields"),
    "factory": (lambda: collections.defaultdict(lambda: 1), "args[1]", "dict("),
    "attributes of a counter": (counter_with_attribute, "args[1]", "items"),
    "foreign time zone": (lambda: datetime.now(Odd()), "args[1]", "zoneinfo"),
    "zone without key": (lambda: [nameless_zone()], "args[1][0]", "zoneinfo"),
    "datetime subclass": (lambda: [Moment(2020, 1, 1)], "args[1][0]", "dataclass"),
    "long fraction": (lambda: fractions.Fraction(1, 1 << 200_000), "args[1]", "float"),
    "object array": (lambda: [np.array([None])], "args[1][0]", "astype"),
    "object in structure": (lambda: np.zeros(1, dtype=[("a", "O")]), "args[1]", "astype"),
    "masked array": (lambda: np.ma.array([1]), "args[1]", "asarray"),
    "matrix-like subclass": (lambda: np.arange(3).view(Vector), "args[1]", "dataclass"),
    "broadcast array": (lambda: np.broadcast_to(np.int64(1), (10**12,)), "args[1]", "file"),
    "numpy type": (lambda: np.float64, "args[1]", "table"),
    "text over the cap": (lambda: ["x" * MAX_BYTES], "args[1]", "file"),
    "one text many times": (lambda: [["x" * 2**20] * 2**10], "args[1]", "file"),
    "tagged text many times": (lambda: [("x" * 2**20,)] * 2**10, "args[1][63]", "file"),
    "exponential": (exponential, "args[1]", "file"),
    "exponential with tags": (lambda: (exponential(), {(): exponential()}), "args[1][0][0][0][0]", "file"),
    "promise id of other parts": (lambda: PromiseId(["a"], "b", 1), "args[1]", "create_promise"),  # type: ignore[arg-type]
    "set of one hash": (lambda: set(crowd(1001)), "args[1]", "better hash"),
    "keys of one hash": (lambda: [dict.fromkeys(crowd(1001))], "args[1][0]", "better hash"),
    "client-like object": (lambda: asyncio.Queue, "args[1]", "table"),
}


class Moment(datetime):
    pass


class Vector(np.ndarray):  # type: ignore[misc,name-defined,unused-ignore]
    pass


class Odd(type(UTC).__mro__[1]):  # type: ignore[misc]  # tzinfo
    def utcoffset(self, moment: object) -> timedelta:
        return timedelta(0)

    def fromutc(self, moment: datetime) -> datetime:
        return moment


def nameless_zone() -> ZoneInfo:
    """A zone read from a file, which has no key."""
    header = b"TZif1" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return ZoneInfo.from_file(io.BytesIO(header))


def crowd(count: int) -> list[uuid.UUID]:
    """Different ids of one hash: the hash of a whole number is its rest modulo 2^61 - 1."""
    return [uuid.UUID(int=n * (2**61 - 1)) for n in range(1, count + 1)]


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_path(kind: str) -> None:
    """Each kind that would change or run code is refused, with the path to the part and something to do."""
    make, path, do = REFUSED[kind]
    with pytest.raises(EncodingError) as caught:
        encode(make(), KNOWN, "args[1]")
    if "file" in do:  # over the cap: the path leads to where that showed
        assert caught.value.path.startswith(path)
    else:
        assert caught.value.path == path
    assert do in caught.value.do
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, WorkbenchError)


def test_refused_coroutine() -> None:
    """A coroutine is refused, and told to be awaited."""
    for coroutine in a_coroutine():
        with pytest.raises(EncodingError) as caught:
            encode([coroutine])
        assert "await" in caught.value.do


def test_at_the_limits() -> None:
    """Exactly the deepest nesting and exactly the longest encoding still go both ways, from a deep stack too."""
    assert decode(encode(deep(MAX_DEPTH))) == deep(MAX_DEPTH)
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = Leafy(value)

    def from_below(levels: int) -> object:
        return from_below(levels - 1) if levels else decode(encode(value, KNOWN), KNOWN)

    assert same(from_below(150), value)
    assert len(encode("x" * (MAX_BYTES - 5))) == MAX_BYTES
    with pytest.raises(EncodingError):
        encode("x" * (MAX_BYTES - 4))
    with pytest.raises(DecodingError, match="longer"):
        decode(bytes(MAX_BYTES + 1))


def test_older_class_of_the_same_name() -> None:
    """An instance made before its class was defined again is refused, and the refusal says why."""
    old = type("Leafy", (Leafy,), {"__qualname__": "Leafy"})
    with pytest.raises(EncodingError, match="same name"):
        encode(old(1), KNOWN)


def test_many_keys_of_few_hashes_come_back() -> None:
    """As many as 64 of one hash may be among any number of elements or keys, and any among a thousand."""
    ids = crowd(64) + [uuid.UUID(int=n) for n in range(1, 2000)]
    assert decode(encode(set(ids))) == set(ids)
    assert decode(encode(dict.fromkeys(ids, 1.5))) == dict.fromkeys(ids, 1.5)
    assert decode(encode(set(crowd(1000)))) == set(crowd(1000))


def test_two_classes_of_one_name() -> None:
    """When annotations mention two classes of one name, neither can be named."""
    twin = dataclasses.make_dataclass("Leafy", ["n"])
    with pytest.raises(EncodingError, match="two classes"):
        encode(Leafy(1), known_types([Leafy, twin]))


@pytest.mark.parametrize(("value", "why"), [(Hooked(1), "__post_init__"), (DictLike(3), "extends dict")])
def test_known_but_not_exact(value: object, why: str) -> None:
    """A class that could be rebuilt only by running its code, or only in part, is refused with the reason."""
    with pytest.raises(EncodingError, match=why):
        encode(value, known_types([type(value)]))


def test_class_changed() -> None:
    """When fields or members are gone or new, reading says which."""
    stored = encode(Leafy(1), KNOWN)
    changed = known_types([dataclasses.make_dataclass("Leafy", ["n", "shade"]), Colour])
    with pytest.raises(DecodingError, match=r"lacks \['shade'\] and has \['colour'\]"):
        decode(stored, changed)
    with pytest.raises(DecodingError, match="has no member 'BLUE'"):
        decode(encode(Colour.BLUE, KNOWN), known_types([enum.Enum("Colour", ["RED"])]))
    with pytest.raises(DecodingError, match="no annotation here mentions"):
        decode(stored)
    with pytest.raises(DecodingError, match="no annotation here mentions"):
        decode(stored, known_types([enum.Enum("Leafy", ["RED"])]))


T = TypeVar("T")
B = TypeVar("B", bound=Leafy)
Alias = NewType("Alias", Frozen)


@dataclasses.dataclass
class Box(Generic[T]):
    item: T
    unresolved: "Nowhere" = None  # type: ignore[name-defined]  # noqa: F821
    point: "Point | None" = None


@pytest.mark.parametrize(
    ("annotation", "names"),
    [
        (Optional[Leafy], {"Leafy", "Colour"}),  # noqa: UP045
        (Frozen | None, {"Frozen", "Point"}),
        (dict[str, list[tuple[Point, ...]]], {"Point"}),
        (Annotated[Level, Leafy], {"Level"}),
        (Literal[Colour.RED], {"Colour"}),
        (Alias, {"Frozen", "Point"}),
        (list[B], {"Leafy", "Colour"}),  # type: ignore[valid-type]
        (Settings, {"Level", "Tree", "Leafy", "Colour"}),
        (Structy, {"Structy", "Leafy", "Colour"}),
        (Tree, {"Tree", "Leafy", "Colour"}),
        (Box[Level], {"Box", "Level", "Point"}),
        (typing.Callable[[Right], Bits], {"Right", "Bits"}),
        (type[Shout], {"Shout", "Word"}),
        (PromiseId | AgentId | UTC.__class__ | int | None, set()),
        ("Leafy", set()),
        (list["Nowhere"], set()),  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_known_types(annotation: object, names: set[str]) -> None:
    """Classes are found through typing constructs and fields, and what does not resolve is passed over."""
    assert set(known_types([annotation]).names) == names


def test_known_types_are_values() -> None:
    """Equal annotations give equal, hashable values; nothing known is one object."""
    assert known_types([Leafy]) == known_types([list[Leafy]])
    assert hash(known_types([Leafy])) == hash(known_types([list[Leafy]]))
    assert known_types([Leafy]) != KNOWN
    assert known_types([int, None]) is NOTHING_KNOWN
    assert repr(known_types([Point])) == "KnownTypes(Point)"
    assert isinstance(NOTHING_KNOWN, KnownTypes)


# ---- any value ----------------------------------------------------------------------------------------------------

hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezone_keys(allow_prefix=False).map(ZoneInfo))
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([*Colour, *Level, *Word, Point(1), AgentId("A"), PromiseId("A()", "i", 1), ...]),
    lambda part: st.lists(part, max_size=4).map(tuple) | st.frozensets(part, max_size=4),
    max_leaves=8,
)
values = st.recursive(
    hashables | st.binary().map(bytearray) | st.sets(hashables, max_size=4),
    lambda part: (
        st.lists(part)
        | st.dictionaries(hashables, part, max_size=4)
        | st.lists(part, max_size=4).map(collections.deque)
        | st.dictionaries(hashables, part, max_size=3).map(collections.OrderedDict)
        | st.builds(Tree, part, st.just([]))
    ),
    max_leaves=20,
)


@given(values)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_value_comes_back_equal(value: object) -> None:
    """Whatever is built of the kinds comes back equal, and decoding and encoding again gives the same bytes."""
    data = encode(value, KNOWN)
    again = decode(data, KNOWN)
    assert same(again, value)
    assert encode(again, KNOWN) == data


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda p: st.lists(p) | st.dictionaries(st.text(), p),
    )
)
@settings(deadline=None)
def test_plain_values_are_plain_messagepack(value: object) -> None:
    """A value without tags is encoded as msgspec alone would, so other MessagePack readers understand it."""
    try:
        expected = msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return
    assert encode(value) == expected


def test_sets_do_not_depend_on_the_hash_seed() -> None:
    """Two fresh processes with different hash seeds encode equal sets to the same bytes."""
    code = (
        "import sys; from workbench.model.codec import encode\n"
        "words = {str(n) * 3 for n in range(200)} | {('a', n) for n in range(9)}\n"
        "words.add(frozenset({'x', 'yy', 'zzz', b'q'}))\n"
        "print(encode({'s': words, 'f': frozenset(words), 'order': 1}).hex(), list(words)[0])"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(pathlib.Path(codec.__file__).parents[2])},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split()
        for seed in ("1", "2", "3")
    ]
    assert len({words[0] for words in outputs}) == 1
    assert len({words[1] for words in outputs}) > 1, "the seeds made no difference, so nothing was tried"


def test_numpy_and_pandas_are_not_imported_to_write() -> None:
    """Importing the codec, and writing and reading values without arrays, loads neither numpy nor pandas."""
    code = (
        "import sys; from workbench.model.codec import *\n"
        "assert decode(encode([(1, {2})])) == [(1, {2})]\n"
        "try: encode([object()])\n"
        "except TypeError: pass\n"
        "assert not {'numpy', 'pandas'} & set(sys.modules)"
    )
    path = str(pathlib.Path(codec.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, check=True)


# ---- any bytes ----------------------------------------------------------------------------------------------------

_CODE_EVENTS = (
    "import",
    "exec",
    "compile",
    "open",
    "os.",
    "subprocess.",
    "marshal.",
    "pickle.",
    "ctypes.",
    "socket.",
    "shutil.",
)
_heard: list[str] = []
_listening = False


def _listen(event: str, _arguments: object) -> None:
    if _listening and event.startswith(_CODE_EVENTS):
        _heard.append(event)


@pytest.fixture(scope="module", autouse=True)
def audited() -> None:
    """Listen to audit events from now on (a hook cannot be taken away), after all that loads once has loaded."""
    samples = list(KINDS.values())
    if importlib.util.find_spec("pandas"):
        samples.append(importlib.import_module("pandas").DataFrame({"a": [1]}))
    for value in samples:
        decode(encode(value, KNOWN), KNOWN)
    sys.addaudithook(_listen)


def read_hostile(data: bytes) -> object:
    """Decode; only `DecodingError` may come out, and no code may run."""
    global _listening  # noqa: PLW0603 - a hook that can be silenced
    _heard.clear()
    _listening = True
    try:
        return decode(data, KNOWN)
    except DecodingError as error:
        return error
    finally:
        _listening = False
        assert _heard == []


def ext(code: int, content: object) -> bytes:
    """A tag with any content."""
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, msgspec.msgpack.encode(content)))


def plain_map(keys: list[uuid.UUID]) -> bytes:
    """A map as the format has it, of keys with tags; `encode` never writes one."""
    return b"\xdf" + struct.pack(">I", len(keys)) + b"".join(encode(key) + b"\x00" for key in keys)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("ran",)


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "pickle": pickle.dumps(Evil()),
    "pickle in bytes of a tag": ext(Tag.DATACLASS, pickle.dumps(Evil())),
    "callable as dataclass": ext(Tag.DATACLASS, ["os.system", {"command": "true"}]),
    "callable as enum": ext(Tag.ENUM, ["builtins.eval", "1"]),
    "callable as struct": ext(Tag.STRUCT, ["subprocess.Popen", {"args": "true"}]),
    "dataclass as struct": ext(Tag.STRUCT, ["Leafy", {"n": 1, "colour": 2}]),
    "name of a method": ext(Tag.DATACLASS, ["Tree.__init__", {}]),
    "dunder fields": ext(Tag.DATACLASS, ["Leafy", {"n": 1, "__class__": 2}]),
    "unhashable name": ext(Tag.ENUM, [["Colour"], "RED"]),
    "unhashable member": ext(Tag.ENUM, ["Colour", ["RED"]]),
    "member that is a method": ext(Tag.ENUM, ["Colour", "__class__"]),
    "flag out of range": ext(Tag.FLAG, ["Right", 2**40]),
    "flag of text": ext(Tag.FLAG, ["Right", "READ"]),
    "factory": ext(Tag.DEFAULT_DICT, ["eval", {}]),
    "unhashable factory": ext(Tag.DEFAULT_DICT, [[], {}]),
    "zone outside": ext(Tag.ZONE, "../../../../etc/passwd"),
    "zone as module": ext(Tag.ZONE, "os.path/system"),
    "zone absolute": ext(Tag.DATETIME, ["2020-01-01", 0, "/etc/passwd"]),
    "no zone": ext(Tag.ZONE, None),
    "date out of range": ext(Tag.DATE, 2**60),
    "delta out of range": ext(Tag.TIMEDELTA, [2**62, 0, 0]),
    "offset out of range": ext(Tag.TIMEZONE, [2**62, None]),
    "fold": ext(Tag.TIME, ["00:00", 7, None]),
    "set of lists": ext(Tag.SET, [[1]]),
    "set of no list": ext(Tag.SET, "abc"),
    "odd map": ext(Tag.MAP, [1, 2, 3]),
    "fewer results than items": ext(Tag.FAN_OUT_RESULTS, [[1, 2], [3]]),
    "results of no items": ext(Tag.FAN_OUT_RESULTS, [None, []]),
    "unhashable key": b"\x81" + ext(Tag.SET, [1]) + b"\x00",
    "counter of a list": ext(Tag.COUNTER, ["a", "a"]),
    "deque of negative length": ext(Tag.DEQUE, [-1, []]),
    "no such tag": ext(99, 1),
    "reserved tag": ext(-77, 1),
    "timestamp out of range": b"\xd7\xff" + b"\xff" * 8,
    "object array": ext(Tag.ARRAY, ["O", [1], b"\x00" * 8]),
    "named type": ext(Tag.ARRAY, ["numpy.object_", [1], b"\x00" * 8]),
    "list of types": ext(Tag.ARRAY, ["i4,O", [1], b"\x00" * 12]),
    "array bomb": ext(Tag.ARRAY, ["|V0", [2**40], b""]),
    "array of wrong length": ext(Tag.ARRAY, ["<i8", [2**40], b"1"]),
    "array of negative length": ext(Tag.ARRAY, ["<i8", [-1, -1], b"\x00" * 8]),
    "array of text": ext(Tag.ARRAY, ["<i8", [1], "12345678"]),
    "types in types": ext(Tag.ARRAY, [functools.reduce(lambda t, _: [t, [1]], range(50), "i4"), [1], b"\x00" * 4]),
    "overlapping fields": ext(Tag.ARRAY, [[["a", "b"], ["O", "i8"], [0, 0], 8, False], [1], b"\x00" * 8]),
    "scalar without bytes": ext(Tag.SCALAR, ["<f8", None]),
    "promise id of other parts": ext(Tag.PROMISE_ID, [1, 2, 3]),
    "zero denominator": ext(Tag.FRACTION, [b"\x01", b"\x00"]),
    "long fraction": ext(Tag.FRACTION, [b"\x01" * 10**6, b"\x03" * 10**6]),
    "zero step": ext(Tag.RANGE, [b"\x00", b"\x01", b"\x00"]),
    "long list": b"\xdd\xff\xff\xff\xff",
    "long lists in each other": b"\xdd\x0f\xff\xff\xff" * 500,
    "long map": b"\xdf\xff\xff\xff\xff\x00",
    "long text": b"\xdb\xff\xff\xff\xff",
    "deep lists": b"\x91" * 10**6,
    "deep maps": b"\x81\x00" * 10**6,
    "deep tuples": functools.reduce(
        lambda data, _: msgspec.msgpack.encode(msgspec.msgpack.Ext(Tag.TUPLE, b"\x91" + data)), range(3000), b"\x00"
    ),
    "set of one hash": msgspec.msgpack.encode(msgspec.msgpack.Ext(Tag.SET, encode(crowd(30_000)))),
    "keys of one hash": msgspec.msgpack.encode(
        msgspec.msgpack.Ext(Tag.MAP, encode([part for key in crowd(30_000) for part in (key, 0)]))
    ),
    "keys of one hash in a plain map": plain_map(crowd(30_000)),
    "plain map in a tuple": msgspec.msgpack.encode(msgspec.msgpack.Ext(Tag.TUPLE, plain_map(crowd(30_000)))),
    "trailing bytes": b"\x00\x00",
    "text that is no text": b"\xa1\xff",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_bytes_are_refused(attack: str) -> None:
    """Each attack ends in `DecodingError`, with no import, no file opened and no code run."""
    assert isinstance(read_hostile(HOSTILE[attack]), DecodingError)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Random bytes give a value or `DecodingError`, nothing else, and run nothing."""
    read_hostile(data)


PANDAS_TAGS = {Tag.FRAME, Tag.SERIES, Tag.INDEX}
TAGS = [
    tag
    for name, tag in vars(Tag).items()
    if name.isupper() and (tag not in PANDAS_TAGS or importlib.util.find_spec("pandas"))
]


@given(st.sampled_from(TAGS), values.filter(lambda v: not isinstance(v, bytes)) | st.binary())
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_tag_with_any_content_is_read_or_refused(code: int, content: object) -> None:
    """Every tag around any content gives a value or `DecodingError`, nothing else, and runs nothing."""
    inner = content if isinstance(content, bytes) else encode(content, KNOWN)
    read_hostile(msgspec.msgpack.encode(msgspec.msgpack.Ext(code, inner)))
    wrapped = msgspec.msgpack.encode([msgspec.Raw(msgspec.msgpack.encode("Leafy")), msgspec.Raw(inner)])
    read_hostile(
        msgspec.msgpack.encode(msgspec.msgpack.Ext(code, wrapped)) if not isinstance(content, bytes) else inner
    )


SAMPLES = [encode(value, KNOWN) for name, value in KINDS.items() if name != "huge int"]


@given(st.sampled_from(SAMPLES), st.data())
@settings(deadline=None, max_examples=500)
def test_mutated_encodings_are_read_or_refused(sample: bytes, data: st.DataObject) -> None:
    """A valid encoding with bytes changed, cut or put in gives a value or `DecodingError`, and runs nothing."""
    mutated = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated)))
        action = data.draw(st.sampled_from(["set", "cut", "put"]))
        if action == "put":
            mutated[place:place] = data.draw(st.binary(max_size=4))
        elif action == "cut":
            del mutated[place : place + data.draw(st.integers(1, 4))]
        elif place < len(mutated):
            mutated[place] = data.draw(st.integers(0, 255))
    read_hostile(bytes(mutated))


def test_deep_bombs_with_the_recursion_limit_lifted() -> None:
    """Bytes that nest a million levels are refused also where the recursion limit was lifted; real values pass."""
    code = (
        "import sys; sys.setrecursionlimit(10**9)\n"
        "from workbench.model.codec import *; from workbench.errors import DecodingError\n"
        "from msgspec.msgpack import Ext, encode as pack\n"
        "tuples = b'\\x00'\n"
        "for _ in range(20000): tuples = pack(Ext(1, b'\\x91' + tuples))\n"
        "wide = b'\\xdc\\x00\\x01'\n"
        "lists, maps = b'\\x91' * 10**6, b'\\x81\\x00' * 10**6\n"
        "for bomb in (lists, maps, wide * 10**6, tuples, pack(Ext(40, lists))):\n"
        "    try: decode(bomb)\n"
        "    except DecodingError as error: assert 'deep' in str(error), error\n"
        "    else: raise SystemExit('read')\n"
        "value = 1\n"
        "parts = [b'x' * 300, 2**70, 'é' * 40000, 1 << 40, -5, -500]\n"
        "for _ in range(50): value = {(1, 'a' * 40, 2.5): [value, *parts]}\n"
        "assert decode(encode(value)) == value"
    )
    path = str(pathlib.Path(codec.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, check=True)
