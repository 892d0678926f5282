"""Encoded values as text, without their classes: nothing is imported, constructed or called that data names.

The codec's bytes describe themselves (see `workbench.model.codec`), so a value can be shown where no class of it is
defined: a dataclass as `Report(total=3)`, an array by its bytes' length. Any bytes are safe to show. Long values are
cut, and what takes more than `MAX_SHOWN` bytes is only named.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from workbench.model.depth import MAX_NESTING, check_depth
from workbench.model.tags import LEAF_READERS, Tag

MAX_SHOWN: Final = 1_000_000
"""Bytes of an encoded value above which only its length is told."""
_SHORT_BYTES: Final = 60
_MARK: Final = "…"

_Ext = msgspec.msgpack.Ext
_decode = msgspec.msgpack.Decoder(strict=False).decode


def clip(text: str, limit: int) -> str:
    """A text, its end cut off where it is longer than `limit`."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + _MARK


def payload(data: bytes, limit: int) -> str:
    """The payload of a promise: text where it is text."""
    if len(data) > MAX_SHOWN:
        return f"<{len(data):,} bytes>"
    try:
        return clip(data.decode(), limit)
    except UnicodeDecodeError:
        return clip(_bytes(data), limit)


def rendered(data: bytes, limit: int, *, quoted: bool = True) -> str:
    """An encoded value as text.

    Args:
        data: what `encode` wrote; for anything else it says so.
        limit: characters at most.
        quoted: show strings as Python does, else as they are.
    """
    if len(data) > MAX_SHOWN:
        return f"<{len(data):,} bytes>"
    try:
        if len(data) > MAX_NESTING:
            check_depth(data)
        writer = _Writer(limit, quoted=quoted)
        writer.write(_decode(data))
        return clip("".join(writer.parts), limit)
    except Exception:  # noqa: BLE001 - any bytes may stand there, and each library has its own way to refuse them
        return f"<{len(data):,} bytes that are no value>"


class _Writer:
    """Writes one value, and stops when there is enough."""

    def __init__(self, limit: int, *, quoted: bool) -> None:
        self.parts: list[str] = []
        self._room = limit
        self._quoted = quoted

    def _say(self, text: str) -> None:
        self.parts.append(text)
        self._room -= len(text)

    def write(self, value: Any) -> None:
        """Write a part, unless there is enough."""
        if self._room < 0:
            return
        kind = type(value)
        if kind is str:
            self._say(repr(value) if self._quoted else value)
        elif kind is bytes:
            self._say(_bytes(value))
        elif kind is list:
            self._row("[", value, "]")
        elif kind is dict:
            self._pairs("{", value.items(), ": ", "}")
        elif kind is _Ext:
            self._tag(value.code, value.data)
        else:
            self._say(repr(value))

    def _row(self, begin: str, items: Iterable[Any], end: str) -> None:
        self._say(begin)
        for number, item in enumerate(items):
            if self._room < 0:
                return
            if number:
                self._say(", ")
            self.write(item)
        self._say(end)

    def _pairs(self, begin: str, items: Iterable[tuple[Any, Any]], between: str, end: str) -> None:
        self._say(begin)
        for number, (name, item) in enumerate(items):
            if self._room < 0:
                return
            if number:
                self._say(", ")
            if between == "=":
                self._say(str(name))
            else:
                self.write(name)
            self._say(between)
            self.write(item)
        self._say(end)

    def _tag(self, code: int, data: bytes | bytearray | memoryview) -> None:
        leaf = LEAF_READERS.get(code)
        if leaf is not None:
            found = leaf(memoryview(data))
            self.write(str(found) if isinstance(found, str) else _Plain(found))
            return
        content = _decode(data)
        named = _NAMED.get(code)
        if named is not None:
            named(self, content)
        elif code in _WRAPPED:
            self._row(*_WRAPPED[code](content))
        else:
            self._say(f"<{_NAMES.get(code, f'tag {code}')} ")
            self.write(content)
            self._say(">")

    def _instance(self, content: Any) -> None:
        name, fields = content
        self._pairs(f"{name}(", fields.items(), "=", ")")

    def _member(self, content: Any) -> None:
        name, member = content
        self._say(f"{name}.{member}" if isinstance(member, str) else f"{name}({member})")

    def _map(self, content: Any) -> None:
        self._pairs("{", zip(content[::2], content[1::2], strict=True), ": ", "}")


class _Plain:
    """A value of one piece, shown by its text."""

    def __init__(self, value: object) -> None:
        self._text = "..." if value is ... else str(value)

    def __repr__(self) -> str:
        return self._text


def _bytes(data: bytes) -> str:
    return repr(data) if len(data) <= _SHORT_BYTES else f"<{len(data):,} bytes>"


_NAMED: Final[dict[int, Callable[[_Writer, Any], None]]] = {
    Tag.DATACLASS: _Writer._instance,  # noqa: SLF001
    Tag.STRUCT: _Writer._instance,  # noqa: SLF001
    Tag.NAMED_TUPLE: _Writer._instance,  # noqa: SLF001
    Tag.ENUM: _Writer._member,  # noqa: SLF001
    Tag.FLAG: _Writer._member,  # noqa: SLF001
    Tag.MAP: _Writer._map,  # noqa: SLF001
}
_WRAPPED: Final[dict[int, Callable[[Any], tuple[str, list[Any], str]]]] = {
    Tag.TUPLE: lambda content: ("(", content, ",)" if len(content) == 1 else ")"),
    Tag.SET: lambda content: ("{", content, "}") if content else ("set(", content, ")"),
    Tag.FROZENSET: lambda content: ("frozenset({", content, "})"),
    Tag.SLICE: lambda content: ("slice(", content, ")"),
    Tag.DEQUE: lambda content: ("deque([", content[1], "])"),
    Tag.ORDERED_DICT: lambda content: ("OrderedDict(", [content], ")"),
    Tag.DEFAULT_DICT: lambda content: ("defaultdict(", [content[1]], ")"),
    Tag.COUNTER: lambda content: ("Counter(", [content], ")"),
    Tag.FAN_OUT_RESULTS: lambda content: ("[", content[1], "]"),
}
_NAMES: Final = {
    Tag.ARRAY: "array",
    Tag.SCALAR: "scalar",
    Tag.FRAME: "DataFrame",
    Tag.SERIES: "Series",
    Tag.INDEX: "Index",
}
