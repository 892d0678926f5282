"""What is read off an agent class: methods, parameters, their text and their types back."""

import enum
import functools
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from workbench.errors import AgentIdError, AgentTypeError, UnknownAgentError
from workbench.ids import AgentId
from workbench.model.agent_type import AgentType, Registry


class Size(enum.Enum):
    BIG = "big"


@dataclass(frozen=True)
class Box:
    size: Size
    tags: frozenset[str]


class Shelf:
    def __init__(
        self, box: Box, name: str = "s", path: Path | None = None, number: float = 1.0, pair: tuple[int, int] = (1, 2)
    ) -> None:
        self.values = (box, name, path, number, pair)

    async def fill(self, a: int, *, b: int = 1) -> None: ...

    def look(self) -> None: ...


def test_parameters_round_trip_through_the_id() -> None:
    """What the constructor gets from the parsed id equals what was given, in the annotated types."""
    shelf_type = AgentType(Shelf)
    box = Box(Size.BIG, frozenset("cab"))
    agent_id = shelf_type.agent_id((box,), {"path": Path("x/y")})
    assert agent_id.text == 'Shelf({"size":"big","tags":["a","b","c"]},"s","x/y",1.0,[1,2])'
    made: Any = shelf_type.construct(type(agent_id).parse(agent_id.text))
    assert made.values == (box, "s", Path("x/y"), 1.0, (1, 2))
    assert isinstance(made.values[0], Box)


def test_an_id_from_before_a_parameter_was_added() -> None:
    """An id with fewer parameters is constructed where the others have defaults; one that does not fit is refused."""
    made: Any = AgentType(Shelf).construct(AgentId.parse("Shelf(1)"))
    assert made.values == (1, "s", None, 1.0, (1, 2))
    for text in ("Shelf()", "Shelf(1,2,3,4,5,6)"):
        with pytest.raises(AgentTypeError, match=r"took other parameters than \(box: .* or delete the agent"):
            AgentType(Shelf).construct(AgentId.parse(text))


def test_a_constructor_made_after_the_agent_is_refused() -> None:
    """A decorator above `@wb.agent` that gives the class another constructor is told so; an equal one does no harm."""

    class Late:
        x: int

    class Early:
        def __init__(self, x: int) -> None: ...

    late = AgentType(Late)
    dataclass(Late)
    with pytest.raises(AgentTypeError, match=r"Write @wb\.agent above all other decorators"):
        late.agent_id((3,), {})
    early = AgentType(Early)
    Early.__init__ = functools.partialmethod(Early.__init__)  # type: ignore[assignment, method-assign]
    assert early.agent_id((3,), {}).text == "Early(3)"


@pytest.mark.parametrize(
    ("hint", "left", "right"),
    [
        (float, 1, 1.0),
        (int, 1.0, 1),
        (UUID, UUID(int=1), UUID(int=1)),
        (dict, {"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Decimal, Decimal(1), Decimal(1)),
    ],
    ids=["float", "int", "uuid", "dict", "decimal"],
)
def test_equal_values_have_equal_text(hint: type, left: object, right: object) -> None:
    """Values that an annotation makes equal name the same agent."""

    class One:
        def __init__(self, x: Any) -> None: ...

    One.__init__.__annotations__["x"] = hint
    one = AgentType(One)
    assert one.agent_id((left,), {}) == one.agent_id((right,), {})


def test_methods_know_their_shape() -> None:
    """Public functions are methods, with what they take; others are refused by name."""
    shelf_type = AgentType(Shelf)
    assert sorted(shelf_type.methods) == ["fill", "look"]
    assert shelf_type.method("fill").is_async
    assert shelf_type.method("fill").bind((1,), {}) == [1]
    assert shelf_type.method("fill").bind((1,), {"b": 2}) == {"args": [1], "kwargs": {"b": 2}}
    assert shelf_type.method("fill").bind((), {"a": 1}) == [1]
    with pytest.raises(AgentTypeError, match="fill, look"):
        shelf_type.method("nothing")
    with pytest.raises(AgentTypeError):
        shelf_type.method("look").bind((1,), {})


def test_annotations_that_do_not_resolve_are_passed_over() -> None:
    """A name that is not defined yet does not stop the class from being an agent."""

    class Forward:
        def __init__(self, x: "Undefined") -> None: ...  # type: ignore[name-defined]  # noqa: F821

        def take(self, y: "Undefined", z: Box) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    forward = AgentType(Forward)
    assert forward.agent_id((1,), {}).text == "Forward(1)"
    assert forward.method("take").takes.names == ("Box", "Size")
    with pytest.raises(AgentIdError):
        forward.agent_id((object(),), {})


def test_names_around_a_class_resolve_its_own_annotations() -> None:
    """Annotations that are text are looked up around the class and in closures; an inherited method's are not."""

    class Base(Inherited):
        def own(self, x: "Inner") -> "list[Inner]":
            return [x]

    @dataclass
    class Part: ...

    @dataclass
    class Inner:
        part: "Part"

    Base.closed = _closed(Inner)  # type: ignore[attr-defined]
    found = AgentType(Base, names={"Inner": Inner, "Part": Part, "Box": Inner})
    names = (Inner.__qualname__, Part.__qualname__)
    assert found.method("own").takes.names == found.method("own").gives.names == names
    assert found.method("inherited").takes.names == ("Box", "Size")
    assert found.method("closed").takes.names == (Inner.__qualname__,)
    assert found.method("closed").takes.unresolved == ("Part",)


class Inherited:
    def inherited(self, x: "Box") -> None: ...


def _closed(inner: type) -> Any:
    def closed(self: Any, x: "inner") -> Any:  # type: ignore[valid-type]
        return inner

    return closed


def test_a_parameter_whose_fields_do_not_resolve_is_refused_in_words() -> None:
    """Where a dataclass in a constructor parameter names a class that cannot be found, the error names that."""

    @dataclass
    class Part: ...

    @dataclass
    class Whole:
        part: "Part"

    class Owner:
        def __init__(self, whole: Whole) -> None: ...

    with pytest.raises(AgentIdError, match="'Part' is not defined"):
        AgentType(Owner).agent_id((Whole(Part()),), {})


def test_the_newest_registration_counts() -> None:
    """A cell that is run again replaces its class; who listens hears of each; an unknown name is refused in words."""
    known, heard = Registry(), []
    known.listeners.append(lambda t: heard.append(t.name))
    first, second = AgentType(Shelf), AgentType(Shelf)
    known.add(first)
    known.add(second)
    assert known.get("Shelf") is second
    assert heard == ["Shelf", "Shelf"]
    assert known.find("Nobody") is None
    with pytest.raises(UnknownAgentError, match="Nobody"):
        known.get("Nobody")
