"""From bytes to a value: what each tag is built of. Nothing here finds code by a name in the data."""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from workbench.errors import DecodingError
from workbench.model import arrays
from workbench.model.depth import malformed
from workbench.model.fan_out_results import FanOutResults
from workbench.model.known import KnownTypes
from workbench.model.spread import ALIKE, is_crowded
from workbench.model.tags import FACTORIES, LEAF_READERS, Tag


def reader(known: KnownTypes) -> Callable[[bytes], object]:
    """Make the decoder of a set of known classes; kept with it."""

    def read_tag(code: int, data: memoryview) -> object:
        leaf = LEAF_READERS.get(code)
        if leaf is not None:
            return leaf(data)
        if len(data) > LONG:
            check_keys(data)
        build = _BUILDERS.get(code)
        if build is not None:
            return build(read(data))
        if code in _NAMED:
            return _read_instance(code, read(data), known)
        if code in _ARRAYS:
            return arrays.build(code, read(data))
        raise DecodingError(
            f"it has a tag {code} that this version does not know", "open the store with a newer version"
        )

    read: Callable[[Any], Any] = msgspec.msgpack.Decoder(ext_hook=read_tag).decode
    known.reader = read
    return read


def _read_instance(code: int, content: Any, known: KnownTypes) -> object:
    name, parts = _list_of(content)
    shape = known.of_name(name) if type(name) is str else None
    if shape is None or shape.tag != code:
        why = f"it holds a {name!s:.80}, which no annotation here mentions"
        raise DecodingError(why, f"define {name!s:.80} as it was, and annotate with it")
    try:
        return shape.put_together(parts)
    except ValueError as error:
        raise DecodingError(str(error), f"define {shape.name} as it was when the value was stored") from error


_untagged: Final = msgspec.msgpack.Decoder().decode
LONG: Final = 16_384
"""Bytes of a value above which its keys are looked at first."""


def check_keys(data: bytes | memoryview) -> None:
    """Refuse maps with keys that have tags: `encode` writes them in another way, whose hashes are counted (`spread`).

    Reading long values without their tags first takes a tenth to once as long again as reading them.

    Raises:
        msgspec.DecodeError: there is one, as tags that are not read are no keys to the decoder.
    """
    _untagged(data)


def _apart(parts: list[Any]) -> list[Any]:
    """The elements of a set, or keys; too many of one hash would take for ever."""
    if is_crowded(parts):
        raise malformed(f"more than {ALIKE} elements of a set, or keys, have one hash")
    return parts


def _list_of(content: Any) -> list[Any]:
    if type(content) is not list:
        raise malformed("a tag should hold a list and does not")
    return content


def _dict_of(content: Any) -> dict[Any, Any]:
    if type(content) is not dict:
        raise malformed("a tag should hold a dict and does not")
    return content


def _read_map(content: Any) -> dict[Any, Any]:
    parts = _list_of(content)
    return dict(zip(_apart(parts[::2]), parts[1::2], strict=True))


def _read_deque(content: Any) -> deque[Any]:
    length, items = _list_of(content)
    return deque(_list_of(items), length)


def _read_default_dict(content: Any) -> defaultdict[Any, Any]:
    name, items = _list_of(content)
    return defaultdict(FACTORIES[name], _dict_of(items))


def _read_slice(content: Any) -> slice:
    start, stop, step = _list_of(content)
    return slice(start, stop, step)


def _read_fan_out_results(content: Any) -> FanOutResults:
    items, outcomes = map(_list_of, _list_of(content))
    if len(items) != len(outcomes):
        raise malformed("the results of a fan-out are not as many as its items")
    return FanOutResults(items, outcomes)


_BUILDERS: Final[dict[int, Callable[[Any], object]]] = {
    Tag.TUPLE: lambda content: tuple(_list_of(content)),
    Tag.SET: lambda content: set(_apart(_list_of(content))),
    Tag.FROZENSET: lambda content: frozenset(_apart(_list_of(content))),
    Tag.MAP: _read_map,
    Tag.SLICE: _read_slice,
    Tag.ORDERED_DICT: lambda content: OrderedDict(_dict_of(content)),
    Tag.DEFAULT_DICT: _read_default_dict,
    Tag.COUNTER: lambda content: Counter(_dict_of(content)),
    Tag.DEQUE: _read_deque,
    Tag.FAN_OUT_RESULTS: _read_fan_out_results,
}
_NAMED: Final = frozenset({Tag.DATACLASS, Tag.ENUM, Tag.FLAG, Tag.NAMED_TUPLE, Tag.STRUCT})
_ARRAYS: Final = frozenset({Tag.ARRAY, Tag.SCALAR, Tag.FRAME, Tag.SERIES, Tag.INDEX})
