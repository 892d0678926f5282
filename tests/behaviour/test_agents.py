# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get`, `new_phantom` and `get_phantom` are added by the decorator, which a type checker does not follow.)
"""Agents: classes, identity, phantoms, one invocation at a time, in the order of acceptance."""

import asyncio
import copy
import enum
import functools
import math
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

import workbench as wb
from tests.behaviour.looking import kinds, writes_nothing


@wb.agent
class Counter:
    def __init__(self, name: str = "shared") -> None:
        self.name = name
        self.count = 0

    def bump(self, by: int = 1) -> int:
        self.count += by
        return self.count

    async def bump_async(self, by: int = 1) -> int:
        await asyncio.sleep(0)
        self.count += by
        return self.count


@wb.agent
class Child:
    def __init__(self, id: int) -> None:  # noqa: A002 - as in the specification
        self.id = id
        self.seen: list[str] = []
        self.inside = 0

    async def note(self, word: str) -> list[str]:
        self.inside += 1
        assert self.inside == 1
        await asyncio.sleep(0.01)
        self.seen.append(word)
        self.inside -= 1
        return self.seen


@wb.agent
class Coordinator:
    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, count: int) -> list[list[str]]:
        return await wb.join([Child.get(1).note(f"{self.name}{i}") for i in range(count)])


def test_plain_and_async_methods(either: wb.Session) -> None:
    """A plain `def` and an `async def` method are called alike, and share the agent's state."""
    counter = Counter.get("a")
    assert wb.run(counter.bump()) == 1
    assert wb.run(counter.bump_async(by=2)) == 3
    assert wb.run(counter.bump(3)) == 6


def test_get_creates_nothing(session: wb.Session) -> None:
    """`get`, `new_phantom` and `get_phantom` make handles only: the first invocation creates the agent."""
    with writes_nothing(session):
        Counter.get("a")
        Counter.new_phantom("a")
        Counter.get_phantom(uuid.uuid4(), "a")
    assert session.agents() == []
    wb.run(Counter.get("a").bump())
    assert [info.agent_id for info in session.agents()] == ['Counter("a")']


def test_equal_parameters_are_one_agent(session: wb.Session) -> None:
    """Defaults, keywords and positions name the same agent when the values are equal."""
    assert wb.run(Counter.get().bump()) == 1
    assert wb.run(Counter.get("shared").bump()) == 2
    assert wb.run(Counter.get(name="shared").bump()) == 3
    assert Counter.get() == Counter.get(name="shared")
    assert len({Counter.get(), Counter.get("shared")}) == 1


def test_phantoms_share_nothing(session: wb.Session) -> None:
    """A phantom has the same parameters and its own state; `get_phantom` finds it again, by UUID or by its text."""
    shared, first, second = Counter.get("a"), Counter.new_phantom("a"), Counter.new_phantom("a")
    assert [wb.run(c.bump()) for c in (shared, first, second, first)] == [1, 1, 1, 2]
    assert wb.run(Counter.get_phantom(first.phantom_id, "a").bump()) == 3
    assert wb.run(Counter.get_phantom(str(first.phantom_id), "a").bump()) == 4
    assert shared.phantom_id is None
    assert first.phantom_id.version == 4
    assert str(first.agent_id) == f'Counter("a")[{first.phantom_id}]'
    assert wb.AgentId.parse(str(first.agent_id)) == first.agent_id


def test_phantoms_made_in_agents_are_distinct(session: wb.Session) -> None:
    """`new_phantom` in an agent gives a new id at each call."""

    @wb.agent
    class Maker:
        async def make(self) -> list[str]:
            made = [Counter.new_phantom("x") for _ in range(50)]
            await wb.join([client.bump() for client in made])
            return [str(client.phantom_id) for client in made]

    ids = wb.run(Maker.get().make()) + wb.run(Maker.get().make())
    assert len(set(ids)) == 100
    assert all(uuid.UUID(text).version == 4 for text in ids)


def test_invocations_run_in_order_of_acceptance(either: wb.Session) -> None:
    """One invocation at a time: a hundred triggers run in the order in which they were accepted."""
    child = Child.get(5)
    for i in range(100):
        child.note.trigger(str(i))
    assert wb.run(child.note("last")) == [*map(str, range(100)), "last"]


def test_two_coordinators_share_a_child(either: wb.Session) -> None:
    """Two coordinators that call one shared child queue on it; nothing is lost, and each keeps its own order."""

    async def both() -> list[list[list[str]]]:
        return await wb.join([Coordinator.get("a").run(20), Coordinator.get("b").run(20)])

    wb.run(both())
    seen = wb.run(Child.get(1).note("end"))
    assert len(seen) == 41
    for name in "ab":
        assert [w for w in seen if w.startswith(name)] == [f"{name}{i}" for i in range(20)]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@wb.agent
class Typed:
    def __init__(  # noqa: PLR0913, PLR0917 - one of each kind
        self,
        point: Point,
        colour: Colour = Colour.RED,
        when: datetime | None = None,
        key: uuid.UUID | None = None,
        path: Path | None = None,
        tags: frozenset[str] = frozenset(),
        pair: tuple[int, str] = (0, ""),
        level: Level = Level.LOW,
        day: date | None = None,
        mode: Literal["r", "w"] = "r",
    ) -> None:
        self.got = [point, colour, when, key, path, tags, pair, level, day, mode]

    def kinds(self) -> list[str]:
        return [type(v).__name__ for v in self.got]

    def values(self) -> list[str]:
        return [str(sorted(v)) if isinstance(v, frozenset) else str(v) for v in self.got]


def test_annotated_constructor_parameters_arrive_typed(session: wb.Session) -> None:
    """Dataclass, enum, datetime, UUID, Path, frozenset, tuple and date parameters come back as what they were."""
    key, when = uuid.UUID(int=7), datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
    values = (
        Point(1, 2),
        Colour.BLUE,
        when,
        key,
        Path("a/b"),
        frozenset("xyz"),
        (1, "b"),
        Level.LOW,
        date(2024, 1, 2),
        "w",
    )
    client = Typed.get(*values)
    assert wb.run(client.kinds()) == [
        type(Path("a")).__name__ if isinstance(v, Path) else type(v).__name__ for v in values
    ]
    assert wb.run(client.values()) == [str(sorted(v)) if isinstance(v, frozenset) else str(v) for v in values]
    parsed = wb.AgentId.parse(str(client.agent_id))
    assert parsed == client.agent_id


def test_a_set_as_parameter_has_one_text() -> None:
    """A set's elements are named in one order, however the set was filled: the text decides who the agent is."""
    words = [f"w{i}" for i in range(50)]
    forth, back = frozenset(words), frozenset(reversed(words))
    first, second = Typed.get(Point(1), tags=forth).agent_id, Typed.get(Point(1), tags=back).agent_id
    assert first == second
    listed = first.parameters[5]
    assert isinstance(listed, list)
    assert listed == sorted(words)


def test_a_parameter_is_copied_into_the_id() -> None:
    """Changing a list after `get` changes neither the id nor its parameters."""

    @wb.agent
    class Listed:
        def __init__(self, items: list, more: Any = None) -> None:  # type: ignore[type-arg]
            self.items = items

    items = [1, [2]]
    more = {"a": [1]}
    agent_id = Listed.get(items, more).agent_id
    items.append(3)
    more["a"].append(2)
    assert agent_id.parameters == ([1, [2]], {"a": [1]})
    agent_id.parameters[0].append(9)
    assert agent_id.parameters == ([1, [2]], {"a": [1]})
    phantom = uuid.uuid4()
    assert str(agent_id.with_phantom(phantom)) == f'Listed([1,[2]],{{"a":[1]}})[{phantom}]'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        object(),
        b"x",
        {1: 2},
        "\ud800",
        {"\ud800": 1},
        [["\udfff"]],
        1j,
        lambda: 1,
        {"a": {2}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_without_canonical_text_are_refused(session: wb.Session, value: object) -> None:
    """What has no text that equals only itself is refused when the client is made, and nothing is written."""
    with writes_nothing(session), pytest.raises(wb.AgentIdError):
        Counter.get(value)


@wb.agent
class Signed:
    """Keeps a number with its sign."""

    def __init__(self, plain: float, inside: list) -> None:  # type: ignore[type-arg]
        self.numbers = [plain, *inside]

    def signs(self) -> list[float]:
        return [math.copysign(1, x) for x in self.numbers]


def test_a_zero_has_one_sign_in_every_life(session: wb.Session) -> None:
    """The constructor gets what the id's text says, 0.0 for -0.0, when the agent is made and when it is rebuilt."""
    client = Signed.get(-0.0, [-0.0, -1.0])
    assert client == Signed.get(0.0, [0.0, -1.0])
    assert wb.run(client.signs()) == [1, 1, -1]
    session.simulate_crash()
    assert wb.run(client.signs()) == [1, 1, -1]


@pytest.mark.parametrize("wrong", [7, 1.5, b"x", None, "x", "", uuid.UUID], ids=repr)
def test_a_phantom_id_that_is_no_uuid_is_refused(session: wb.Session, wrong: Any) -> None:
    """`get_phantom` and `fork` take a UUID or its text, and say so; nothing is written."""
    wb.run(Counter.get("source").bump())
    with writes_nothing(session):
        with pytest.raises(wb.AgentIdError, match="UUID") as refused:
            Counter.get_phantom(wrong, "p")
        assert repr(wrong) in refused.value.what
        assert refused.value.do
        if wrong is not None:
            with pytest.raises(wb.AgentIdError, match="UUID"):
                wb.run(Counter.get("source").fork(at=2, phantom_id=wrong))


def test_a_phantom_id_may_be_text(session: wb.Session) -> None:
    """A UUID and each text that Python reads as that UUID name one phantom; a fork takes the text too."""
    phantom = uuid.uuid4()
    assert Counter.get_phantom(phantom, "p") == Counter.get_phantom(str(phantom), "p")
    assert Counter.get_phantom(phantom, "p") == Counter.get_phantom(phantom.hex.upper(), "p")
    wb.run(Counter.get("p").bump())
    assert wb.run(Counter.get("p").fork(at=2, phantom_id=str(phantom))) == Counter.get_phantom(phantom, "p")


def test_an_id_has_at_most_512_characters(session: wb.Session) -> None:
    """512 characters pass and 513 are refused, the phantom's brackets included."""
    room = 512 - len('Counter("")')
    assert wb.run(Counter.get("x" * room).bump()) == 1
    with pytest.raises(wb.AgentIdError, match="512"):
        Counter.get("x" * (room + 1))
    with pytest.raises(wb.AgentIdError, match="512"):
        Counter.new_phantom("x" * room)


@pytest.mark.parametrize(
    "name",
    [
        "ünïcode", "日本語", "🤖", "</script><img src=x onerror=alert(1)>",
        'quote"quote', "back\\slash", "new\nline", "nul\x00",
        "comma,", "paren)", "]", "[0b0c5b2e-0000-4000-8000-000000000000]", ")[0b0c5b2e-0000-4000-8000-000000000000]",
        "\u2028", "'; DROP TABLE log;--",
        "%s{}", "..", "", " ", "\x7f", "#", "a#b/1",
    ],
)  # fmt: skip
def test_hostile_names_are_text(either: wb.Session, name: str) -> None:
    """Any text is a parameter like another: it names one agent, parses back, and its promises can be named."""

    @wb.agent
    class Hostile:
        def __init__(self, name: str) -> None:
            self.name = name

        async def meet(self) -> tuple[str, str, wb.PromiseId]:
            return self.name, str(wb.self_id()), wb.create_promise()

    client = Hostile.get(name)
    told, own_id, promise = wb.run(client.meet())
    assert told == name
    assert wb.AgentId.parse(own_id) == client.agent_id
    assert wb.AgentId.parse(own_id).parameters == (name,)
    assert wb.PromiseId.parse(str(promise)) == promise
    assert [info.agent_id for info in either.agents()] == [own_id]
    assert kinds(either, own_id)[0] == "AgentCreated"
    assert wb.complete_promise(wb.PromiseId.parse(str(promise)), b"x") is True


def test_names_of_classes_may_be_unicode(session: wb.Session) -> None:
    """A class may be named by any identifier that Python takes."""

    @wb.agent
    class Größe:  # noqa: PLC2401 - the claim
        def get_it(self) -> str:
            return str(wb.self_id())

    odd = type("A·B℘", (), {"get_it": Größe.get_it, "__module__": __name__})
    for cls in (Größe, wb.agent(odd)):
        text = wb.run(cls.get().get_it())
        assert str(wb.AgentId.parse(text)) == text == f"{cls.__name__}()"


def test_a_method_named_get_stays_a_method(session: wb.Session) -> None:
    """Methods called `get` and `new_phantom` are reached by clients, in subclasses too; `Class.get` makes those."""

    @wb.agent
    class Table:
        def __init__(self) -> None:
            self.rows = {"a": 1}

        def get(self, key: str) -> int | None:
            return self.rows.get(key)

        async def new_phantom(self) -> str:
            return "method"

        def total(self) -> int | None:
            return self.get("a")

    @wb.agent
    class SubTable(Table):
        def put(self, key: str, value: int) -> None:
            self.rows[key] = value

    client: Any = Table.get()  # type: ignore[call-arg]
    assert wb.run(client.get("a")) == 1
    assert wb.run(client.new_phantom()) == "method"
    assert wb.run(client.total()) == 1
    sub: Any = SubTable.get()  # type: ignore[call-arg]
    wb.run(sub.put("b", 2))
    assert wb.run(sub.get("b")) == 2
    assert wb.run(sub.total()) == 1
    assert str(sub.agent_id) == "SubTable()"


def test_agent_classes_inherit(session: wb.Session) -> None:
    """A subclass that is an agent has its base's methods and its own identity; `super()` works."""

    @wb.agent
    class LoudCounter(Counter):
        def bump(self, by: int = 1) -> int:
            return 10 * super().bump(by)

        def shout(self) -> str:
            return self.name.upper()

    loud, quiet = LoudCounter.get("a"), Counter.get("a")
    assert wb.run(loud.bump()) == 10
    assert wb.run(loud.bump_async()) == 2
    assert wb.run(loud.shout()) == "A"
    assert wb.run(quiet.bump()) == 1
    assert str(loud.agent_id) == 'LoudCounter("a")'


def test_what_is_no_method(session: wb.Session) -> None:
    """Static methods, class methods, properties, attributes and private methods are not offered by clients."""

    @wb.agent
    class Mixed:
        attribute = 1

        @staticmethod
        def static() -> int:
            return 1

        @classmethod
        def made(cls) -> str:
            return cls.__name__

        @property
        def prop(self) -> int:
            return 1

        def _private(self) -> int:
            return 1

        def public(self) -> list[object]:
            return [self.static(), self.made(), self.prop, self._private(), self.attribute]

    client = Mixed.get()
    assert wb.run(client.public()) == [1, "Mixed", 1, 1, 1]
    for name in ("static", "made", "prop", "_private", "attribute", "nothing", "__len__"):
        with pytest.raises(AttributeError, match=name):
            getattr(client, name)
    assert "public" in dir(client)
    assert "static" not in dir(client)


def test_decorated_methods(session: wb.Session) -> None:
    """A method under a wrapper of `functools.wraps` stays what it was, also an async one under a plain wrapper."""

    def logged(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return function(*args, **kwargs)

        return wrapper

    @wb.agent
    class Wrapped:
        @logged
        async def double(self, x: int) -> int:
            await asyncio.sleep(0.01)
            return 2 * x

    assert wb.run(Wrapped.get().double(4)) == 8
    with pytest.raises(wb.AgentTypeError):
        Wrapped.get().double(1, 2)


@pytest.mark.parametrize(
    "name", ["agent_id", "phantom_id", "status", "delete", "interrupt", "resume", "revert", "fork"]
)
def test_reserved_method_names_are_refused(name: str) -> None:
    """A method may not take a name that every client has; the error names it."""
    with pytest.raises(wb.AgentTypeError, match=name):
        wb.agent(type("Greedy", (), {name: Counter.bump}))


def test_what_cannot_be_an_agent() -> None:
    """Functions, generator methods and variadic constructors are refused at the decorator, in words."""
    with pytest.raises(wb.AgentTypeError, match="class"):
        wb.agent(len)  # type: ignore[call-overload]

    class Yields:
        def numbers(self):  # type: ignore[no-untyped-def] # noqa: ANN202
            yield 1

    class YieldsLater:
        async def numbers(self):  # type: ignore[no-untyped-def] # noqa: ANN202
            yield 1

    class Variadic:
        def __init__(self, *items: int) -> None: ...

    class KeywordOnly:
        def __init__(self, *, item: int) -> None: ...

    for cls in (Yields, YieldsLater, Variadic, KeywordOnly):
        with pytest.raises(wb.AgentTypeError) as refused:
            wb.agent(cls)
        assert isinstance(refused.value, TypeError)
        assert refused.value.do


def test_wrong_constructor_arguments(session: wb.Session) -> None:
    """Too many, too few or unknown constructor arguments are refused by `get`, naming the class."""
    for call in (Child.get, lambda: Child.get(1, 2), lambda: Child.get(other=1), lambda: Child.get(1, id=1)):
        with writes_nothing(session), pytest.raises(wb.AgentTypeError, match="Child"):
            call()


def test_the_class_stays_a_plain_class() -> None:
    """Without a session, an agent class can be made and used as any class: for unit tests of its logic."""
    counter = Counter("plain")
    assert counter.bump(2) == 2
    assert asyncio.run(Counter("x").bump_async(3)) == 3
    assert Counter.__doc__ is None
    assert Counter.__name__ == "Counter"


def test_status_is_folded(session: wb.Session) -> None:
    """An agent is idle before and after its work, and suspended while it waits for promises and timers alone."""

    @wb.agent
    class Waiter:
        async def wait(self, promise: wb.PromiseId) -> bytes:
            return await wb.await_promise(promise)

    client, promise = Waiter.get(), wb.create_promise()
    assert wb.run(client.status()) == "idle"
    client.wait.trigger(promise)
    wb.run(session.at_rest())
    assert wb.run(client.status()) == "suspended"
    wb.complete_promise(promise, b"")
    wb.run(session.at_rest())
    assert wb.run(client.status()) == "idle"


def test_clients_can_be_copied_and_compared() -> None:
    """A client is a value: it copies, compares, hashes and prints its agent."""
    client = Counter.get("a")
    assert copy.copy(client) == client
    assert copy.deepcopy(client) == client
    assert client != Counter.get("b")
    assert 'Counter("a")' in repr(client)
    assert 'Counter("a")' in repr(client.bump)


def test_self_id_inside(session: wb.Session) -> None:
    """`self_id` is the id of the agent whose code runs, in plain and async methods, across awaits."""

    @wb.agent
    class Who:
        def __init__(self, n: int) -> None:
            self.n = n

        async def ask(self) -> list[wb.AgentId]:
            before = wb.self_id()
            await wb.join([Counter.get("c").bump()])
            return [before, wb.self_id()]

    assert wb.run(Who.get(3).ask()) == [wb.AgentId("Who", (3,))] * 2


def test_agents_are_listed_in_order_with_their_parents(session: wb.Session) -> None:
    """`session.agents()` tells each agent once, in the order of creation, and who called it first."""
    wb.run(Coordinator.get("a").run(1))
    assert [(a.agent_id, a.parent) for a in session.agents()] == [
        ('Coordinator("a")', "Session()"),
        ("Child(1)", 'Coordinator("a")'),
    ]


def test_time_moves_between_invocations(session: wb.Session) -> None:
    """`wb.now()` is aware, stands still within one delivery, and moves with durable sleeps."""

    @wb.agent
    class Clocked:
        async def look(self) -> list[datetime]:
            first = wb.now()
            again = wb.now()
            await asyncio.sleep(3600)
            return [first, again, wb.now()]

    first, again, later = wb.run(Clocked.get().look())
    assert first == again
    assert first.tzinfo is UTC
    assert later - first >= timedelta(hours=1)
    assert later - first < timedelta(hours=1, seconds=1)


def test_a_class_derived_from_an_agent_is_none_by_itself(session: wb.Session) -> None:
    """`get` of a class without `@wb.agent` is refused with the cure; its base is not called in its place."""

    @wb.agent
    class Base:
        def which(self) -> str:
            return "base"

    class Derived(Base):
        def which(self) -> str:
            return "derived"

    for verb in ("get", "new_phantom", "get_phantom"):
        with pytest.raises(wb.AgentTypeError, match=r"Derived is no agent class.*Write @wb\.agent above"):
            getattr(Derived, verb)
    assert wb.run(Base.get().which()) == "base"
    assert wb.run(wb.agent(Derived).get().which()) == "derived"
    assert session.path == ":memory:"


def test_a_name_means_one_kind_of_thing(session: wb.Session) -> None:
    """An agent class, a fan-out job and the cells of a session never run under each other's name."""

    def taken(item: int) -> int:
        return item

    with pytest.raises(wb.AgentTypeError, match="Session names the cells"):
        wb.agent(type("Session", (), {"method": lambda self: self}))
    assert wb.run(wb.fan_out(taken, [1, 2])) == [1, 2]
    with pytest.raises(wb.AgentTypeError, match=r"taken is a fan-out job here.*[Rr]ename the class"):
        wb.agent(type("taken", (), {"method": lambda self: self}))

    @wb.agent
    class Kept:
        def which(self) -> str:
            return "kept"

    assert wb.run(Kept.get().which()) == "kept"
    taken.__name__ = "Kept"
    with pytest.raises(wb.AgentTypeError, match=r"Kept is an agent class here.*another name"):
        wb.run(wb.fan_out(taken, [1, 2]))
    assert wb.run(Kept.get().which()) == "kept"
    assert [job.partition("(")[0] for job in session.clean().jobs] == ["taken"]
