"""The classes that annotations allow a value to have, and how their instances are taken apart and put together.

Stored data names a class, and a name in data must never find code. So the names it may use are listed beforehand:
those of the dataclasses, enums, NamedTuples and msgspec.Structs that an agent's own annotations mention, at any depth.
Looking a class up by module and name, as pickle does, was rejected: it lets whoever wrote the store choose what runs.

Nothing of the class runs when an instance is put together: no `__init__`, no `__post_init__`. Classes for which that
cannot be had (a dataclass that extends `dict`, a Struct with `__post_init__`) are known, with the reason of their
refusal.
"""

import dataclasses
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from workbench.model.refusals import Refusal
from workbench.model.tags import LEAVES, Tag

_HEAP_TYPE: Final = 1 << 9
"""CPython's flag of classes made by a `class` statement; others have a layout that fields do not show."""


class Shape:
    """One known class: its tag, its name in the data, its fields, and why its instances are refused, if they are."""

    __slots__ = ("cls", "fields", "name", "refusal", "tag")

    def __init__(self, cls: type, tag: int, fields: tuple[str, ...] = (), refusal: str = "") -> None:
        self.cls, self.tag, self.fields, self.refusal = cls, tag, fields, refusal
        self.name = cls.__qualname__

    def take_apart(self, value: Any) -> object:
        """The content of an instance: a dict by field, a member's name, or a flag's number.

        Raises:
            Refusal: the instance holds something that its fields do not show.
        """
        if self.refusal:
            raise Refusal(f"{self.name} {self.refusal}", "make it a plain dataclass, or pass its parts")
        if self.tag == Tag.ENUM:
            if self.cls.__members__.get(value.name) is not value:  # type: ignore[attr-defined]
                raise Refusal(f"it is no member of {self.name} by its name", "pass a member that the class lists")
            return value.name
        if self.tag == Tag.FLAG:
            return value.value
        extra = [
            name for name in getattr(value, "__dict__", ()) if name not in self.fields and not self._is_cache(name)
        ]
        if extra:
            raise Refusal(f"{self.name} has an attribute {extra[0]!r:.60} that is no field", "declare it as a field")
        if self.tag == Tag.NAMED_TUPLE:
            return dict(zip(self.fields, tuple.__iter__(value), strict=True))
        try:
            return {name: getattr(value, name) for name in self.fields}
        except Exception as error:  # noqa: BLE001 - a field may be a property
            raise Refusal(
                f"a field of {self.name} is unset or cannot be read ({error!s:.100})", "set all fields first"
            ) from None

    def put_together(self, content: object) -> object:
        """The inverse of `take_apart`; runs no code of the class.

        Raises:
            ValueError: the content does not fit the class as it is now.
        """
        if self.refusal:
            raise ValueError(f"{self.name} {self.refusal}")
        if self.tag == Tag.ENUM:
            member = self.cls.__members__.get(content)  # type: ignore[attr-defined]
            if member is None:
                raise ValueError(f"{self.name} has no member {content!r:.60}")
            return member
        if self.tag == Tag.FLAG:
            if type(content) is not int:
                raise ValueError(f"a value of {self.name} is no whole number")
            return self.cls(content)
        if type(content) is not dict or content.keys() != set(self.fields):
            raise ValueError(self._misfit(content))
        if self.tag == Tag.NAMED_TUPLE:
            return tuple.__new__(self.cls, [content[name] for name in self.fields])
        if self.tag == Tag.STRUCT:
            return self.cls(**content)  # C code only: a Struct with `__post_init__` is refused
        instance: Any = object.__new__(self.cls)
        for name in self.fields:
            object.__setattr__(instance, name, content[name])
        return instance

    def _is_cache(self, name: str) -> bool:
        return isinstance(inspect.getattr_static(self.cls, name, None), functools.cached_property)

    def _misfit(self, content: object) -> str:
        if not isinstance(content, dict):
            return f"the stored {self.name} is no table of fields"
        stored = {str(name)[:60] for name in content}
        missing, extra = sorted(set(self.fields) - stored), sorted(stored - set(self.fields))
        return f"{self.name} changed: the stored one lacks {missing or 'nothing'} and has {extra or 'nothing'} besides"


class KnownTypes:
    """The classes that an annotation allows, by name. Immutable; equal when they hold the same classes.

    Attributes:
        unresolved: the annotations, as text, that could not be resolved; no part of the value.
        reader: a place where the codec keeps the decoder it made for this; no part of the value.
    """

    __slots__ = ("_by_class", "_by_name", "_hash", "reader", "unresolved")

    def __init__(self, shapes: Iterable[Shape] = (), unresolved: tuple[str, ...] = ()) -> None:
        self.unresolved = unresolved
        self._by_class = {shape.cls: shape for shape in shapes}
        self._by_name: dict[str, Shape] = {}
        for shape in self._by_class.values():
            other = self._by_name.setdefault(shape.name, shape)
            if other is not shape:
                shape.refusal = other.refusal = "is the name of two classes in these annotations"
        self._hash = hash(frozenset(self._by_class))
        self.reader: Callable[[bytes], object] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Qualified names of the classes, sorted."""
        return tuple(sorted(self._by_name))

    def of_class(self, cls: type) -> Shape | None:
        """The shape of exactly this class."""
        return self._by_class.get(cls)

    def of_name(self, name: str) -> Shape | None:
        """The shape of the class with this qualified name."""
        return self._by_name.get(name)

    def __eq__(self, other: object) -> bool:
        return self._by_class.keys() == other._by_class.keys() if isinstance(other, KnownTypes) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"KnownTypes({', '.join(self.names)})"


NOTHING_KNOWN: Final = KnownTypes()
"""Built-in kinds only."""


NO_NAMES: Final[Mapping[str, Any]] = types.MappingProxyType({})
"""No names but those of the module."""


def known_types(annotations: Iterable[object], names: Mapping[str, Any] = NO_NAMES) -> KnownTypes:
    """Find the classes that these annotations mention, through generics, unions, type variables and fields.

    What cannot be resolved (a name that is not defined yet) gives no class; see `KnownTypes.unresolved`.

    Args:
        annotations: classes and what is made of them.
        names: of the function where the annotations were written, for fields whose annotations are text.
    """
    queue = list(annotations)
    seen: dict[int, object] = {}  # by id, as annotations need not be hashable; holds them, so that no id is used twice
    shapes: list[Shape] = []
    unresolved: list[str] = []
    while queue:
        annotation = queue.pop()
        if id(annotation) in seen:
            continue
        seen[id(annotation)] = annotation
        if isinstance(annotation, type) and typing.get_origin(annotation) is None:
            shape = _shape(annotation)
            if shape is not None:
                shapes.append(shape)
            if shape is not None or typing.is_typeddict(annotation):
                queue.extend(_hints(annotation, names))
        elif isinstance(annotation, (str, typing.ForwardRef)):
            unresolved.append(annotation if isinstance(annotation, str) else annotation.__forward_arg__)
        else:
            queue.extend(_parts(annotation))
    return KnownTypes(shapes, tuple(unresolved)) if shapes or unresolved else NOTHING_KNOWN


def _parts(annotation: object) -> list[object]:
    """What an annotation that is no class is made of."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return [type(choice) for choice in typing.get_args(annotation)]
    if origin is typing.Annotated:
        return [typing.get_args(annotation)[0]]
    if origin is not None:
        return [origin, *typing.get_args(annotation)]
    if isinstance(annotation, typing.TypeVar):
        return [annotation.__bound__, *annotation.__constraints__, getattr(annotation, "__default__", None)]
    if isinstance(annotation, typing.NewType):
        return [annotation.__supertype__]
    if type(annotation).__name__ == "TypeAliasType":  # `type X = ...`, from Python 3.12 on
        return [getattr(annotation, "__value__", None)]
    return list(annotation) if isinstance(annotation, list) else []  # the parameters of a Callable


def _shape(cls: type) -> Shape | None:
    if cls in LEAVES:
        return None
    if issubclass(cls, enum.Enum):
        if not issubclass(cls, enum.Flag):
            return Shape(cls, Tag.ENUM)
        own = getattr(cls._missing_, "__func__", None) is not enum.Flag._missing_.__func__  # type: ignore[attr-defined]
        return Shape(cls, Tag.FLAG, refusal="has a _missing_ of its own, which reading it would run" if own else "")
    if issubclass(cls, msgspec.Struct):
        refusal = "has a __post_init__, which reading it would run" if hasattr(cls, "__post_init__") else ""
        return Shape(cls, Tag.STRUCT, cls.__struct_fields__, refusal)
    if dataclasses.is_dataclass(cls):
        return Shape(cls, Tag.DATACLASS, tuple(f.name for f in dataclasses.fields(cls)), _layout(cls, object))
    if issubclass(cls, tuple) and isinstance(fields := getattr(cls, "_fields", None), tuple):
        return Shape(cls, Tag.NAMED_TUPLE, fields, _layout(cls, tuple))
    return None


def _layout(cls: type, base: type) -> str:
    """Why instances hold more than their fields show, or nothing."""
    for parent in cls.__mro__:
        if parent not in (base, object) and not parent.__flags__ & _HEAP_TYPE:
            return f"extends {parent.__name__}, whose content its fields do not show"
    return ""


def _hints(cls: type, names: Mapping[str, Any]) -> list[object]:
    """The annotations of a class's fields; those that do not resolve as they are."""
    try:
        return list(typing.get_type_hints(cls, include_extras=True).values())
    except Exception:  # noqa: BLE001 - an annotation is the user's expression: it may raise anything
        return [hint for base in cls.__mro__ for hint in _each_hint(base, names)]


def _each_hint(cls: type, names: Mapping[str, Any]) -> list[object]:
    found: list[object] = []
    try:
        annotations: Mapping[str, object] = inspect.get_annotations(cls)
    except Exception:  # noqa: BLE001 - as above; from Python 3.14 on they are computed here
        return found
    for name, annotation in annotations.items():
        one = types.SimpleNamespace(__annotations__={name: annotation}, __globals__=_scope(cls))
        try:
            found.extend(typing.get_type_hints(one, localns=dict(names) or None, include_extras=True).values())
        except Exception:  # noqa: BLE001 - as above
            found.append(annotation)
    return found


def _scope(cls: type) -> dict[str, Any]:
    module = inspect.getmodule(cls)
    return {**vars(cls), **({} if module is None else vars(module))}
