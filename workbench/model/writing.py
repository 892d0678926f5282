"""From a value to what msgspec may write as it is: untagged parts, and an extension for each part that needs a tag.

`plain_size` is the fast path's scan; `Writer` is the rest. A path is built only where a part is refused, by each
container on the way out.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection
from enum import Enum
from typing import Any, Final

import msgspec

from workbench.model import arrays
from workbench.model.fan_out_results import FanOutResults
from workbench.model.known import KnownTypes
from workbench.model.refusals import Refusal, refusal_of
from workbench.model.spread import ALIKE, is_crowded
from workbench.model.tags import FACTORIES, INT_MAX, INT_MIN, LEAVES, MAX_BYTES, Tag, write_int, write_text

MAX_DEPTH: Final = 100
"""How many containers may lie in each other."""

_LONG: Final = 16
"""From this length on, the set of a list's types is built in C before its items are looked at one by one."""

_SUSPECT: Final = 256 * 1024
"""From this many bytes on, parts that occur twice are remembered, as there may be exponentially many."""

_WORTH: Final = 1024
"""Bytes from which on a part is worth remembering."""

_Memo = dict[tuple[int, int], int]
"""Sizes by identity and depth."""

_FIXED: Final = frozenset({float, bool, type(None)})
_FIXED_OR_INT: Final = _FIXED | {int}
_NAMED_KEYS: Final = _FIXED_OR_INT | {str, bytes}
"""Kinds of key that a path shows."""

_FACTORY_NAMES: Final = {factory: name for name, factory in FACTORIES.items()}
_Ext = msgspec.msgpack.Ext
_write = msgspec.msgpack.Encoder().encode


def too_large() -> Refusal:
    """The refusal of a value over the cap."""
    return Refusal(f"it takes more than {MAX_BYTES} bytes", "store it in a file and pass its path")


def plain_size(value: Any) -> int:
    """A lower bound for the length of a value that needs no tag, in bytes; -1 for any other value.

    Counting bounds the time too: twelve lists that hold each other ten times each are 10^12 parts. So from `_SUSPECT`
    bytes on, the count begins again and looks at what is shared only once for each depth.
    """
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if kind is not list and kind is not dict:
        return 1 if kind in _FIXED_OR_INT else -1
    count = _plain_items if kind is list else _plain_dict
    size = count(value, 1, None)
    return size if size <= _SUSPECT else count(value, 1, {})


def _plain_dict(items: dict[Any, Any], depth: int, memo: _Memo | None) -> int:
    keys = _plain_items(items, MAX_DEPTH, None)  # no container can be a key here: those that can need a tag
    values = _plain_items(items.values(), depth, memo)
    return keys + values if keys >= 0 and values >= 0 else -1


def _plain_items(items: Collection[Any], depth: int, memo: _Memo | None) -> int:
    if depth > MAX_DEPTH:
        return -1
    size = len(items)
    if size >= _LONG:
        kinds = set(map(type, items))
        if kinds <= _FIXED_OR_INT:
            return size
        if len(kinds) == 1 and not kinds.isdisjoint((str, bytes)):
            return size + sum(map(len, items))
    for item in items:
        kind = type(item)
        if kind in _FIXED_OR_INT:
            continue
        if kind is str or kind is bytes:
            size += len(item)
        elif kind is list or kind is dict:
            part = None if memo is None else memo.get((id(item), depth))
            if part is None:
                count = _plain_items if kind is list else _plain_dict
                part = count(item, depth + 1, memo)
                if memo is not None and part >= _WORTH:
                    memo[id(item), depth] = part
            if part < 0:
                return -1
            size += part
            if size > (_SUSPECT if memo is None else MAX_BYTES):
                break
        else:
            return -1
    return size


class Writer:
    """Turns one value into what msgspec may write as it is: untagged parts, and `Ext` for the rest. Used once."""

    __slots__ = ("known", "memo", "open", "room")

    def __init__(self, known: KnownTypes) -> None:
        self.known = known
        self.open: set[int] = set()  # ids of the containers that we are in
        self.room = MAX_BYTES
        self.memo: dict[
            tuple[int, int], tuple[object, object, int]
        ] = {}  # holds the value, so that no id is used twice

    def convert(self, value: Any) -> object:
        """The value with its tagged parts replaced by extensions; a new list or dict wherever that changes something.

        Raises:
            Refusal: a part has no form.
        """
        kind = type(value)
        if kind in _FIXED:
            return value
        if kind is int:
            return value if INT_MIN <= value <= INT_MAX else self._leaf(Tag.BIG_INT, write_int(value))
        if kind is str:
            self._spend(len(value))
            return value if value.isascii() or _is_unicode(value) else _Ext(Tag.TEXT, write_text(value))
        if kind is bytes:
            self._spend(len(value))
            return value
        if kind in LEAVES:
            leaf = LEAVES[kind]
            return self._leaf(leaf.tag, _guarded(leaf.write, value))
        return self._container(value, kind)

    def _spend(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise too_large()

    def _leaf(self, tag: int, data: bytes) -> object:
        self._spend(len(data))
        return _Ext(tag, data)

    def _container(self, value: Any, kind: type) -> object:
        if id(value) in self.open:
            raise Refusal("it contains itself", "pass a tree: name the parts, and refer to them by name")
        if len(self.open) >= MAX_DEPTH and not issubclass(kind, Enum) and arrays.tag_of(kind) is None:
            raise Refusal(f"it nests deeper than {MAX_DEPTH}", "pass a flatter value")
        place = id(value), len(self.open)
        if place in self.memo:
            _, result, cost = self.memo[place]
            self._spend(cost)
            return result
        before = self.room
        self._spend(1)
        self.open.add(id(value))
        method = _CONTAINERS.get(kind)
        result = method(self, value) if method is not None else self._instance(value, kind)
        self.open.discard(id(value))
        if before < MAX_BYTES - _SUSPECT and before - self.room >= _WORTH:
            self.memo[place] = value, result, before - self.room
        return result

    def _instance(self, value: Any, kind: type) -> object:
        shape = self.known.of_class(kind)
        if shape is not None:
            content = shape.take_apart(value)
            return _Ext(shape.tag, _write([shape.name, self._content(content)]))
        tag = arrays.tag_of(kind)
        if tag is not None:
            return _Ext(tag, _guarded(lambda array: _write(arrays.form(tag, array, self.convert)), value))
        namesake = self.known.of_name(kind.__qualname__) is not None
        raise refusal_of(value, namesake=namesake, unresolved=self.known.unresolved)

    def _content(self, content: object) -> object:
        """A dict of fields, an enum member's name, or a flag's number."""
        if type(content) is not dict:
            return self.convert(content)
        fields: dict[str, object] = {}
        for name, part in content.items():
            try:
                fields[name] = self.convert(part)
            except Refusal as refusal:
                refusal.steps.append(f".{name}")
                raise
        return fields

    def as_list(self, items: Collection[Any]) -> list[object]:
        """The items, converted."""
        self._spend(len(items))
        if len(items) >= _LONG and self._is_plain(items):
            return list(items)
        parts: list[object] = []
        try:
            for item in items:
                parts.append(self.convert(item))  # noqa: PERF401 - its length is the place of the part at fault
        except Refusal as refusal:
            refusal.steps.append(f"[{len(parts)}]")
            raise
        return parts

    def _is_plain(self, items: Collection[Any]) -> bool:
        """Whether a long list of one kind needs no tag: the same answer as `convert` gives for each item, sooner."""
        kinds = set(map(type, items))
        if kinds <= _FIXED:
            return True
        if kinds == {int}:
            return bool(min(items) >= INT_MIN and max(items) <= INT_MAX)
        if kinds == {str} and all(map(str.isascii, items)):
            self._spend(sum(map(len, items)))
            return True
        return False

    def as_dict(self, items: dict[Any, Any]) -> object:
        """A map, or `Tag.MAP` over keys and values in turn when a key needs a tag."""
        self._spend(2 * len(items))
        parts: list[object] = []
        tagged = False
        for key, item in items.items():
            try:
                written = self.convert(key)
                tagged |= type(written) is _Ext
            except Refusal as refusal:
                refusal.steps.append(f".keys()[{len(parts) // 2}]")
                raise
            try:
                parts += (written, self.convert(item))
            except Refusal as refusal:
                refusal.steps.append(f"[{key!r:.60}]" if type(key) in _NAMED_KEYS else f"[<{type(key).__name__}>]")
                raise
        if tagged:
            _refuse_crowd(items)
            return _Ext(Tag.MAP, _write(parts))
        return dict(zip(parts[::2], parts[1::2], strict=True))

    def as_set(self, items: Collection[Any]) -> bytes:
        """The elements, sorted by their bytes."""
        _refuse_crowd(items)
        self._spend(len(items))
        parts: list[bytes] = []
        for item in items:
            try:
                parts.append(_write(self.convert(item)))
            except Refusal as refusal:
                refusal.steps.append(
                    f"{{{item!r:.60}}}" if type(item) in _NAMED_KEYS else f"{{<{type(item).__name__}>}}"
                )
                raise
        return _write([msgspec.Raw(part) for part in sorted(parts)])

    def as_bare(self, items: dict[Any, Any]) -> object:
        """The content of a dict subclass that, unlike `dict`, can have attributes."""
        if getattr(items, "__dict__", None):
            raise Refusal(f"this {type(items).__name__} has attributes besides its items", "pass them as items")
        return self.as_dict(items)

    def as_default_dict(self, items: defaultdict[Any, Any]) -> object:
        """The factory's name and the items; a factory is one of a closed table."""
        name = _FACTORY_NAMES.get(items.default_factory) if _is_hashable(items.default_factory) else None
        if name is None:
            raise Refusal(
                "the factory of this defaultdict is code",
                "pass dict(...) of it, or use list, int, set, dict as factory",
            )
        return _Ext(Tag.DEFAULT_DICT, _write([name, self.as_dict(items)]))


def _refuse_crowd(items: Collection[Any]) -> None:
    """Refuse a set, or the keys of a dict, that would not be read again: each of one hash is compared with each."""
    if is_crowded(items):
        raise Refusal(
            f"more than {ALIKE} of its elements or keys have one hash", "pass a list, or give their class a better hash"
        )


def _guarded(write: Callable[[Any], bytes], value: object) -> bytes:
    try:
        return write(value)
    except (Refusal, RecursionError):
        raise
    except Exception as error:
        raise Refusal(
            f"{type(value).__name__} cannot be written ({error!s:.100})", "pass its parts as plain values"
        ) from error


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - somebody's own `__hash__`
        return False
    return True


_CONTAINERS: Final[dict[type, Callable[[Writer, Any], object]]] = {
    list: Writer.as_list,
    dict: Writer.as_dict,
    tuple: lambda w, v: _Ext(Tag.TUPLE, _write(w.as_list(v))),
    set: lambda w, v: _Ext(Tag.SET, w.as_set(v)),
    frozenset: lambda w, v: _Ext(Tag.FROZENSET, w.as_set(v)),
    slice: lambda w, v: _Ext(Tag.SLICE, _write(w.as_list((v.start, v.stop, v.step)))),
    deque: lambda w, v: _Ext(Tag.DEQUE, _write([v.maxlen, w.as_list(v)])),
    OrderedDict: lambda w, v: _Ext(Tag.ORDERED_DICT, _write(w.as_bare(v))),
    Counter: lambda w, v: _Ext(Tag.COUNTER, _write(w.as_bare(v))),
    defaultdict: Writer.as_default_dict,
    FanOutResults: lambda w, v: _Ext(Tag.FAN_OUT_RESULTS, _write([w.as_list(v.items), w.as_list(v)])),
}
