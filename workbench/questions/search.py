r"""Searching an oplog: a small query language, and what it finds.

```text
kind:CallMade and method:process not "eu west"
```

- A **word** is found where it occurs in an entry, whatever the case: in its kind, in what it is about (agents, methods,
  steps, labels), in its line, and in its values as text. `"Quotes"` take spaces and signs along, and `\` in them takes
  the next sign as it is. Parentheses inside a word belong to it, so an agent id is a word: `Worker("eu west",3)`.
- A **field** looks in one place only: `kind:` and `role:` (`delivery`, `operation`, `hint`), `method:` (the call, its
  start, its end and its outcome; of a step, its name), `line:`, `key:`, and `index:5`, `index:5..20`, `index:5..`.
- Terms side by side must all hold; `and` says the same. `or` binds less, `not` more, parentheses as always.

The time is bounded: a query has at most `MAX_LENGTH` characters and `MAX_DEPTH` open parentheses and `not`s, a term is
looked for with `in`, and of one entry's values the first `MAX_TEXT` characters are looked at. There are no regular
expressions: one that backtracks takes minutes.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from workbench.errors import SearchError
from workbench.model import entries as e
from workbench.model.description import content, describe
from workbench.model.entries import KINDS, ROLES, Entry, Role

MAX_LENGTH: Final = 1_000
MAX_DEPTH: Final = 50
MAX_TEXT: Final = 100_000

FIELDS: Final = ("kind", "role", "method", "line", "key", "index")
"""Names that may stand before a colon."""
_KINDS: Final = {cls.__name__.lower() for cls in KINDS.values()}
_ROLES: Final = {role.value for role in Role}
_FIELD: Final = re.compile(r"([A-Za-z_]+):")
_RANGE: Final = re.compile(r"([0-9]{0,18})(\.\.)?([0-9]{0,18})")
_CONNECTIVES: Final = frozenset({"and", "or", "not"})
_SHOWN: Final = 30


# ---- the parts of a query ------------------------------------------------------------------------------------------


class Term(NamedTuple):
    """One thing to look for: `field` is empty for a word. `value` is in lower case."""

    field: str
    value: str

    def holds(self, found: "Found") -> bool:
        """Whether an entry has it."""
        return _LOOKS[self.field](found, self.value)


class Not(NamedTuple):
    """What must not hold."""

    part: "Part"

    def holds(self, found: "Found") -> bool:
        """Whether it does not."""
        return not self.part.holds(found)


class Every(NamedTuple):
    """What must hold together; all entries for no parts."""

    parts: "tuple[Part, ...]"

    def holds(self, found: "Found") -> bool:
        """Whether each does."""
        return all(part.holds(found) for part in self.parts)


class Some(NamedTuple):
    """What must hold in one of several ways."""

    parts: "tuple[Part, ...]"

    def holds(self, found: "Found") -> bool:
        """Whether one does."""
        return any(part.holds(found) for part in self.parts)


Part = Term | Not | Every | Some


# ---- what is looked at ---------------------------------------------------------------------------------------------


class Found:
    """An entry as a search sees it; the texts are made when they are first looked at.

    Args:
        entry: the entry.
        method: of the call or step that it is about, also where only the index of that stands in it.
    """

    __slots__ = ("_text", "entry", "method")

    def __init__(self, entry: Entry, method: str) -> None:
        self.entry, self.method = entry, method
        self._text: str | None = None

    @property
    def text(self) -> str:
        """All words of the entry, in lower case."""
        if self._text is None:
            entry = self.entry
            fields = [v for v in msgspec.structs.astuple(entry.body) if isinstance(v, str)]
            said = content(entry.body, MAX_TEXT, quoted=False)
            self._text = "\n".join((entry.kind, describe(entry.body), entry.line, self.method, *fields, said)).lower()
        return self._text


def _in_range(found: Found, value: str) -> bool:
    first, _, last = value.partition("..")
    return int(first) <= found.entry.index <= int(last)


_LOOKS: Final[dict[str, Callable[[Found, str], bool]]] = {
    "": lambda found, value: value in found.text,
    "kind": lambda found, value: value in found.entry.kind.lower(),
    "role": lambda found, value: ROLES[type(found.entry.body)].value == value,
    "method": lambda found, value: value in found.method.lower(),
    "line": lambda found, value: value in found.entry.line.lower(),
    "key": lambda found, value: value in (getattr(found.entry.body, "key", None) or "").lower(),
    "index": _in_range,
}


def matching(entries: Iterable[Entry], query: str) -> list[Entry]:
    """The entries of one agent's oplog that a query finds.

    Args:
        entries: the oplog, oldest first.
        query: see the module; an empty one finds all.

    Raises:
        SearchError: the query cannot be read; says where and why.
    """
    part = parse(query)
    return [found.entry for found in seen(entries) if part.holds(found)]


def seen(entries: Iterable[Entry]) -> Iterable[Found]:
    """Entries of one oplog, oldest first, each with the method that it is about."""
    begun: dict[int, str] = {}
    running = ""
    for entry in entries:
        body = entry.body
        match body:
            case e.InvocationStarted(method=method):
                running = method
            case e.CallMade(method=method) | e.CallScheduled(method=method) | e.CallRefused(method=method):
                begun[entry.index] = method
            case e.StepStarted(name=name):
                method = begun[entry.index] = name
            case e.InvocationFinished():
                method = running
            case e.CallDelivered(op=op) | e.StepFinished(op=op) | e.StepRetried(op=op) | e.WaitDropped(op=op):
                method = begun.get(op, "")
            case _:
                method = ""
        yield Found(entry, method)


# ---- from text to a query ------------------------------------------------------------------------------------------


def parse(query: str) -> Part:
    """Read a query.

    Raises:
        SearchError: it cannot be read.
    """
    if not isinstance(query, str):
        raise SearchError(f"search {query!r:.80}", f"a {type(query).__name__} is no text", "pass a string")
    if len(query) > MAX_LENGTH:
        raise SearchError(
            f"a search of {len(query):,} characters", f"the longest has {MAX_LENGTH:,}", "search for less at a time"
        )
    return _Parser(query).all()


def take_word(text: str, at: int = 0) -> tuple[str, int]:
    """The word that begins at a place, and where it ends; an agent id is one word, with all that is in its parentheses.

    Raises:
        SearchError: a parenthesis or quote in it is never closed.
    """
    start, depth = at, 0
    opened = at
    while at < len(text):
        sign = text[at]
        if sign == '"' and depth:
            at = _end_of_quote(text, at)
            continue
        if sign == "(" and at > start:
            opened = at if not depth else opened
            depth += 1
        elif depth and sign == ")":
            depth -= 1
        elif not depth and (sign.isspace() or sign in '"()'):
            break
        at += 1
    if depth:
        raise _error(text, opened, "this parenthesis is never closed", f'put the word in quotes: "{text[start:at]}"')
    return text[start:at], at


def _end_of_quote(text: str, at: int) -> int:
    """The place after the quote that closes the one at `at`."""
    end = at + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise _error(text, at, "this quote is never closed", 'close it with "')
    return end + 1


def _error(text: str, at: int, why: str, do: str) -> SearchError:
    rest = text[at : at + _SHOWN] + ("…" if at + _SHOWN < len(text) else "")
    where = f"at character {at + 1}, before {rest!r}" if rest else "at its end"
    return SearchError(f"the search cannot be read {where}", why, do)


class _Parser:
    """Reads by descent: a function for each strength of binding, each from where the one before it ended."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0

    def all(self) -> Part:
        if self._next() == "":
            return Every(())
        part = self._either()
        if self._next() == ")":
            raise self._wrong("no parenthesis is open here", "take it away, or put it in quotes")
        return part

    def _next(self) -> str:
        """What comes next: a sign, a connective, `word`, or nothing at the end."""
        text = self._text
        while self._at < len(text) and text[self._at].isspace():
            self._at += 1
        if self._at == len(text):
            return ""
        if text[self._at] in '()"':
            return text[self._at]
        end = self._at
        while end < len(text) and not text[end].isspace() and text[end] not in '()"':
            end += 1
        word = text[self._at : end].lower()
        return word if word in _CONNECTIVES else "word"

    def _wrong(self, why: str, do: str) -> SearchError:
        return _error(self._text, self._at, why, do)

    def _take(self, word: str) -> bool:
        if self._next() != word:
            return False
        self._at += len(word)
        return True

    def _either(self) -> Part:
        parts = [self._together()]
        while self._take("or"):
            parts.append(self._together())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _together(self) -> Part:
        parts = [self._one()]
        while self._take("and") or self._next() in ("word", '"', "(", "not"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self) -> Part:
        found = self._next()
        if found in ("not", "("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._wrong(f"it nests deeper than {MAX_DEPTH}", "write it flatter")
            began = self._at
            self._at += len(found)
            part: Part = Not(self._one()) if found == "not" else self._either()
            if found == "(" and not self._take(")"):
                self._at = began
                raise self._wrong("this parenthesis is never closed", "close it with )")
            self._depth -= 1
            return part
        if found in ("word", '"'):
            return self._term()
        if found == "":
            raise self._wrong("a word is missing", "add one, or put `and`, `or`, `not` in quotes")
        raise self._wrong("a word is missing here", f"put one before {found!r}, or put {found!r} in quotes")

    def _term(self) -> Term:
        began = self._at
        named = _FIELD.match(self._text, began)
        field = ""
        if named is not None:
            field = named[1].lower()
            if field not in FIELDS:
                near = difflib.get_close_matches(field, FIELDS, 1)
                do = f"write {near[0]}:, or" if near else f"the fields are {', '.join(FIELDS)};"
                raise self._wrong(f"there is no field {named[1]!r}", f"{do} put it in quotes to look for the text")
            self._at = named.end()
        value = self._value()
        if not value:
            raise self._wrong(f"{named[0] if named else 'a word'} has no value", "write one right behind it")
        self._at, end = began, self._at
        value = self._checked(field, value.lower())
        self._at = end
        return Term(field, value)

    def _value(self) -> str:
        if self._text.startswith('"', self._at):
            end = _end_of_quote(self._text, self._at)
            inside = self._text[self._at + 1 : end - 1]
            self._at = end
            return re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL)
        word, self._at = take_word(self._text, self._at)
        return word

    def _checked(self, field: str, value: str) -> str:
        """The value as it is looked for; one that nothing can ever have is an error."""
        if field == "kind" and not any(value in kind for kind in _KINDS):
            near = difflib.get_close_matches(value, _KINDS, 1)
            name = next((cls.__name__ for cls in KINDS.values() if near and cls.__name__.lower() == near[0]), "")
            do = (
                f"write kind:{name}"
                if name
                else "write a kind of entry or a part of it, as kind:CallMade, kind:Promise"
            )
            raise self._wrong(f"no kind of entry has {value!r} in its name", do)
        if field == "role" and value not in _ROLES:
            raise self._wrong(f"{value!r} is no role", f"write {', '.join(sorted(_ROLES))}")
        return self._range(value) if field == "index" else value

    def _range(self, value: str) -> str:
        found = _RANGE.fullmatch(value)
        if found is None or not (found[1] or found[3]) or not (found[2] or found[1] == value):
            raise self._wrong(f"{value!r} is no index", "write index:5 or index:5..20")
        first = int(found[1] or 0)
        last = int(found[3]) if found[3] else first if not found[2] else 10**18
        if first > last:
            raise self._wrong(f"{value!r} holds no index", "write the smaller one first")
        return f"{first}..{last}"
