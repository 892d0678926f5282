"""The query language of oplogs: what it finds, what it refuses, and that neither can be upset."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import SearchError
from workbench.model import entries as e
from workbench.model.codec import encode
from workbench.model.entries import KINDS, ROLES, Body, Entry, Role
from workbench.model.failure import encode_failure
from workbench.questions.search import (
    MAX_DEPTH,
    MAX_LENGTH,
    Every,
    Found,
    Not,
    Part,
    Some,
    Term,
    matching,
    parse,
    take_word,
)


def entry(index: int, body: Body, line: str = "") -> Entry:
    """An entry of one agent."""
    return Entry(index + 100, 7, index, 0, 0, index, index, line, body)


OPLOG = [
    entry(1, e.AgentCreated("Worker(7)", "Worker", 1), "cell.py:3"),
    entry(2, e.InvocationStarted("Process", encode([["eu west", 5]]), "nightly")),
    entry(3, e.StepStarted("fetch"), "cell.py:9"),
    entry(4, e.StepFinished(3, ok=True, value=encode({"city": "Zürich"}))),
    entry(5, e.CallMade(9, "Other(1)", "store", encode([]), awaited=True, key="Key-1"), "other.py:4"),
    entry(6, e.CallDelivered(5, ok=False, value=encode_failure(ValueError("no room"), "Other(1)", "store"))),
    entry(7, e.Logged("info", "two\nlines (really)")),
    entry(8, e.PromiseDelivered(3, b'{"payload": true}')),
    entry(9, e.InvocationFinished(ok=True, value=encode("done"))),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("kind:CallMade", [5]),
        ("kind:call", [5, 6]),
        ("KIND:step and role:delivery", [4]),
        ("role:hint", [1, 7]),
        ("method:process", [2, 9]),
        ("method:store", [5, 6]),
        ("method:fetch", [3, 4]),
        ("key:key-1", [5]),
        ("line:cell.py", [1, 3]),
        ("line:cell.py:9", [3]),
        ("index:4", [4]),
        ("index:4..6", [4, 5, 6]),
        ("index:8..", [8, 9]),
        ("index:..2", [1, 2]),
        ('"eu west"', [2]),
        ("eu west", [2]),
        ("west and eu", [2]),
        ("ZÜRICH", [4]),
        ("no room or done", [6, 9]),
        ('"no room" or done', [6, 9]),
        ("ValueError", [6]),
        ("nightly", [2]),
        ("payload", [8]),
        ("Other(1)", [5]),
        ('"(really)"', [7]),
        ('"two\nlines"', [7]),
        ("cell.py:9", [3]),
        ('kind:CallMade method:store not "eu west"', [5]),
        ("not (kind:call or kind:step) not index:..2", [7, 8, 9]),
        ("not not kind:CallMade", [5]),
        ("kind:StepStarted or kind:StepFinished city", [3, 4]),
        ("(kind:StepStarted or kind:StepFinished) city", [4]),
        ("nothing_of_the_kind", []),
    ],
)
def test_what_a_query_finds(query: str, found: list[int]) -> None:
    """Words, fields, connectives, quotes and parentheses find the entries that they say."""
    assert [x.index for x in matching(OPLOG, query)] == found


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("a b or c", Some((Every((Term("", "a"), Term("", "b"))), Term("", "c")))),
        ("a and not b", Every((Term("", "a"), Not(Term("", "b"))))),
        ("NOT a OR b", Some((Not(Term("", "a")), Term("", "b")))),
        ("a (b or c)", Every((Term("", "a"), Some((Term("", "b"), Term("", "c")))))),
        ("not(a)", Not(Term("", "a"))),
        ('Worker("eu (west)",[1, 2])[x] y', Every((Term("", 'worker("eu (west)",[1, 2])[x]'), Term("", "y")))),
        (r'"say \"yes\" \\ no"', Term("", r'say "yes" \ no')),
        ("index:007", Term("index", "7..7")),
    ],
)
def test_how_a_query_is_read(query: str, part: Part) -> None:
    """`not` binds most, then what stands side by side, then `or`; an agent id is one word."""
    assert parse(query) == part


@pytest.mark.parametrize(
    ("query", "place", "told"),
    [
        ("kind:Nonsense", 1, "no kind of entry"),
        ("kind:CalMade", 1, "Write kind:CallMade"),
        ("a methd:x", 3, "Write method:"),
        ("role:boss", 1, "delivery, hint, operation"),
        ("index:", 7, "has no value"),
        ("index:x", 1, "is no index"),
        ("index:..", 1, "is no index"),
        ("index:9..2", 1, "smaller one first"),
        ('key:""', 7, "has no value"),
        ("(a", 1, "never closed"),
        ("a)", 2, "no parenthesis is open"),
        ("()", 2, "a word is missing"),
        ("or a", 1, "a word is missing"),
        ('say "yes', 5, "never closed"),
        ("print(", 6, "in quotes"),
    ],
)
def test_what_cannot_be_read(query: str, place: int, told: str) -> None:
    """The error says at which character, why, and what to write instead."""
    with pytest.raises(SearchError) as caught:
        parse(query)
    assert told in str(caught.value)
    assert f"at character {place}," in str(caught.value) or (place > len(query) and "at its end" in str(caught.value))


@pytest.mark.parametrize("query", ["a and", "not", "a or", "a not"])
def test_a_query_that_ends_too_soon(query: str) -> None:
    """What is missing at the end is said to be missing there."""
    with pytest.raises(SearchError, match="at its end: a word is missing"):
        parse(query)


def test_limits() -> None:
    """Length and nesting are limited in words, whatever the query is made of; at the limits it is read."""
    for long in ("x" * (MAX_LENGTH + 1), "a " * MAX_LENGTH):
        with pytest.raises(SearchError, match="longest"):
            parse(long)
    for sign in ("(", "not "):
        closing = ")" if sign == "(" else ""
        parse(sign * MAX_DEPTH + "a" + closing * MAX_DEPTH)
        with pytest.raises(SearchError, match="nests deeper"):
            parse(sign * (MAX_DEPTH + 1) + "a" + closing * (MAX_DEPTH + 1))
    with pytest.raises(SearchError, match="no text"):
        parse(5)  # type: ignore[arg-type]


def test_kinds_can_be_told_apart() -> None:
    """No kind's name is part of another's, so a whole name finds just that kind."""
    names = [cls.__name__.lower() for cls in KINDS.values()]
    assert all(sum(name in other for other in names) == 1 for name in names)


WORDS = st.text('abc()" :.\\nort\n', min_size=1, max_size=12)
SIGNS = st.sampled_from(
    ["and", "or", "not", "(", ")", '"', ":", "kind:", "index:5..", "Worker(", "role:hint", " ", "\\"]
)


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=60), st.lists(st.one_of(WORDS, SIGNS), max_size=25).map(" ".join), st.text('(")a ')))
def test_any_text_is_read_or_refused(query: str) -> None:
    """The parser raises nothing but its own error; what it reads can be evaluated, and is read the same again."""
    refused = ""
    try:
        part = parse(query)
    except SearchError as error:
        refused = f"{error.what} {error.why} {error.do}"
    if refused:
        assert len(refused) < 400
    else:
        assert all(x in OPLOG for x in matching(OPLOG, query))
        assert part == parse(f" {query}\n")


PLAIN = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
TERMS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Term, st.just(""), st.one_of(PLAIN, st.sampled_from(["eu", "west", "call", "worker(7)", "a"]))),
    st.builds(Term, st.just("kind"), st.sampled_from(["call", "step", "promise", "invocationfinished"])),
    st.builds(Term, st.just("role"), st.sampled_from(["hint", "delivery", "operation"])),
    st.builds(Term, st.sampled_from(["method", "line", "key"]), st.sampled_from(["s", "process", "cell.py:9", "key"])),
    st.builds(lambda a, b: Term("index", f"{min(a, b)}..{max(a, b)}"), st.integers(0, 9), st.integers(0, 9)),
)
PARTS: st.SearchStrategy[Part] = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: Every(tuple(parts))),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: Some(tuple(parts))),
    ),
    max_leaves=12,
)


def written(part: Part) -> str:
    """A query that means this part, every group in parentheses and every value in quotes."""
    match part:
        case Term(field=field, value=value):
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'{field}:"{quoted}"' if field else f'"{quoted}"'
        case Not(part=inner):
            return f"not ({written(inner)})"
        case Every(parts=parts):
            return " and ".join(f"({written(inner)})" for inner in parts)
    return " or ".join(f"({written(inner)})" for inner in part.parts)


METHODS = {2: "process", 3: "fetch", 4: "fetch", 5: "store", 6: "store", 9: "process"}
"""What each entry is about, by its index."""


def slow(part: Part, x: Entry) -> bool:
    """The meaning of a part, said again and simply."""
    match part:
        case Not(part=inner):
            return not slow(inner, x)
        case Every(parts=parts):
            return min([slow(inner, x) for inner in parts])
        case Some(parts=parts):
            return max([slow(inner, x) for inner in parts])
        case Term(field="index", value=value):
            first, last = value.split("..")
            return x.index in range(int(first), int(last) + 1)
        case Term(field="role", value=value):
            return ROLES[type(x.body)] is Role(value)
    looked_at = {
        "": Found(x, METHODS.get(x.index, "")).text,
        "kind": x.kind,
        "method": METHODS.get(x.index, ""),
        "line": x.line,
        "key": str(getattr(x.body, "key", None) or ""),
    }
    return looked_at[part.field].lower().find(part.value.lower()) >= 0


@settings(max_examples=300)
@given(PARTS)
def test_a_query_means_what_its_parts_mean(part: Part) -> None:
    """Written out and read again, any query finds what a slow evaluation of its terms, one by one, finds."""
    query = written(part)
    if len(query) <= MAX_LENGTH:
        assert [x.index for x in matching(OPLOG, query)] == [x.index for x in OPLOG if slow(part, x)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Worker(7) kind:x", "Worker(7)"),
        ('Worker("eu west",[1, 2])[0b0c] x', 'Worker("eu west",[1, 2])[0b0c]'),
        ('Worker("a)\\"b") x', 'Worker("a)\\"b")'),
        ("plain", "plain"),
        ("", ""),
        ("(x)", ""),
    ],
)
def test_an_agent_id_is_one_word(text: str, word: str) -> None:
    """Parentheses and quotes inside a word keep it together; it ends at white space after them."""
    assert take_word(text) == (word, len(word))
