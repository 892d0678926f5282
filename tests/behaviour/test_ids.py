"""Ids as a user meets them: they print, parse, compare, sort into sets, and travel."""

import copy
import pickle
import string
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.text(string.ascii_letters + "_äβ名", min_size=1, max_size=8).filter(str.isidentifier)


@given(NAMES, st.lists(JSON, max_size=4), st.none() | st.uuids(version=4))
def test_an_id_parses_back(name: str, parameters: list[Any], phantom: UUID | None) -> None:
    """Whatever an id is made of, its text parses back to an equal id with equal parameters of equal types."""
    try:
        agent_id = wb.AgentId(name, tuple(parameters), phantom)
    except wb.AgentIdError as error:
        assert "512" in str(error)  # noqa: PT017
        return
    again = wb.AgentId.parse(str(agent_id))
    assert again == agent_id
    assert hash(again) == hash(agent_id)
    assert again.parameters == agent_id.parameters == tuple(parameters)
    assert repr(again.parameters) == repr(tuple(parameters)) or any(isinstance(p, dict | list) for p in parameters)
    assert (again.type_name, again.phantom_id) == (name, phantom)
    assert pickle.loads(pickle.dumps(agent_id)) == agent_id  # noqa: S301
    assert copy.deepcopy(agent_id) == agent_id
    assert len(str(agent_id)) <= 512


@given(st.dictionaries(st.text(max_size=3).filter(str.isascii), st.integers(), max_size=5))
def test_equal_dicts_have_equal_text(items: dict[str, int]) -> None:
    """The order in which a dict was filled is no part of its text."""
    backwards = dict(reversed(items.items()))
    assert str(wb.AgentId("A", (items,))) == str(wb.AgentId("A", (backwards,)))


ZEROS = st.recursive(
    st.sampled_from([0.0, -0.0, 1.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


def _signless(value: Any) -> Any:
    if isinstance(value, list):
        return [_signless(item) for item in value]
    if isinstance(value, dict):
        return {key: _signless(item) for key, item in value.items()}
    return value + 0.0


@given(st.lists(ZEROS, max_size=3))
def test_zeros_have_one_text(parameters: list[Any]) -> None:
    """-0.0 equals 0.0, so both are written 0.0 at any depth; the parameters are what the text says, with its sign."""
    agent_id = wb.AgentId("A", tuple(parameters))
    assert str(agent_id) == str(wb.AgentId("A", tuple(_signless(parameters))))
    assert "-0.0" not in str(agent_id)
    assert repr(agent_id.parameters) == repr(wb.AgentId.parse(str(agent_id)).parameters)


@pytest.mark.parametrize("text", ["W(-0.0)", "W([-0.0])", 'W({"a":[-0.0]})', "W(-0.0e3)"])
def test_a_zero_with_a_sign_parses(text: str) -> None:
    """A text that holds -0.0 parses, and names the agent of 0.0."""
    assert wb.AgentId.parse(text) == wb.AgentId.parse(text.replace("-0.0e3", "0.0").replace("-0.0", "0.0"))


@pytest.mark.parametrize("wrong", [7, 1.5, b"x", "x", str(uuid4()), ()], ids=lambda w: type(w).__name__)
def test_what_is_no_uuid_is_no_phantom_id(wrong: Any) -> None:
    """An id's phantom is a UUID or none: anything else is refused with what, why and what to do."""
    for make in (wb.AgentId("W").with_phantom, lambda x: wb.AgentId("W", (), x)):
        with pytest.raises(wb.AgentIdError, match="UUID") as refused:
            make(wrong)
        assert repr(wrong) in refused.value.what
        assert refused.value.why
        assert refused.value.do
    with pytest.raises(wb.AgentIdError, match="None"):
        wb.AgentId("W").with_phantom(None)  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """Parsing never does anything but return an id or raise `AgentIdError`."""
    for kind in (wb.AgentId, wb.PromiseId):
        for candidate in (text, f"A({text})", f"A()#{text}", f"A()#x-1/{text}"):
            try:
                parsed = kind.parse(candidate)
            except wb.AgentIdError:
                continue
            assert kind.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "", "Worker", "Worker(", "Worker)", "(7)", "7(7)", "Worker(7", "Worker(7)x", "Worker(7)[]",
        "Worker(7)[x]", "Worker(eu)", "Worker(NaN)", "Worker(Infinity)",
        "Worker(7))", "Worker((7))", "a b(7)", "Worker(7)[0B0C5B2E-0000-4000-8000-000000000000]", "Worker('x')",
        "W(" + "[" * 5000 + "]" * 5000 + ")", "W(" + "1" * 600 + ")",
        "W(1,)", "W(,)", 'W("\ud800")', "Worker (7)",
    ],
    ids=lambda t: ascii(t[:20]),
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str) -> None:
    """A text that is no id is refused with what, why and what to do; it is a `ValueError` too."""
    with pytest.raises(wb.AgentIdError) as refused:
        wb.AgentId.parse(text)
    assert isinstance(refused.value, ValueError)
    assert refused.value.why
    assert refused.value.do


@pytest.mark.parametrize(
    ("loose", "canonical"),
    [("W( 7 , 8 )", "W(7,8)"), ('W({"b":1, "a":2})', 'W({"a":2,"b":1})'), ('W("\\u0041")', 'W("A")')],
)
def test_parsing_makes_canonical(loose: str, canonical: str) -> None:
    """White space, order of keys and escapes do not matter: equal values give equal text."""
    assert str(wb.AgentId.parse(loose)) == canonical


def test_nesting_is_bounded() -> None:
    """Parameters nest up to 32 deep, as in Golem."""
    deep: list[Any] = []
    for _ in range(31):
        deep = [deep]
    wb.AgentId("A", (deep,))
    with pytest.raises(wb.AgentIdError, match="32"):
        wb.AgentId("A", ([[deep]],))


def test_the_readme_forms() -> None:
    """The three forms of the specification."""
    phantom = uuid4()
    assert str(wb.AgentId("Worker", (7,))) == "Worker(7)"
    assert str(wb.AgentId("Worker", ("eu", [1, 2]))) == 'Worker("eu",[1,2])'
    assert str(wb.AgentId("Worker", (7,), phantom)) == f"Worker(7)[{phantom}]"


def test_promise_ids_are_values() -> None:
    """Promise ids compare, sort, hash and parse; a phantom's promise too."""
    first = wb.PromiseId(f'A("#")[{uuid4()}]', "abc-7", 3)
    assert wb.PromiseId.parse(str(first)) == first
    assert min(wb.PromiseId("A()", "x-1", 10), wb.PromiseId("A()", "x-1", 9)).index == 9
    assert len({first, wb.PromiseId.parse(str(first))}) == 1
    with pytest.raises(AttributeError):
        first.index = 4  # type: ignore[misc]
    for text in (
        "",
        "A()",
        "A()#",
        "A()#x-1",
        "A()#x-1/",
        "A()#x-1/x",
        "A()#x-1/²",
        "A()#x-1/" + "9" * 5000,
        "A(#x-1/3",
    ):
        with pytest.raises(wb.AgentIdError):
            wb.PromiseId.parse(text)
