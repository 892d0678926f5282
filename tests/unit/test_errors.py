"""The family of errors: the tree that is promised, texts in three parts, pickling."""

import copy
import inspect
import pickle
import re

import pytest

import workbench as wb
from workbench import errors


def classes() -> list[type[Exception]]:
    """All errors of ours."""
    found = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.WorkbenchError)]
    return sorted(found, key=lambda c: c.__name__)


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    """Names, nesting and second bases in the module's text are those of the classes."""
    told = []
    stack: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"( *)- `(\w+)`(?: \(also `(\w+)`\))?", line)
        if found:
            depth = len(found[1]) // 4
            stack[depth:] = [found[2]]
            told.append((found[2], stack[depth - 1] if depth else None, found[3]))
    real = []
    for cls in classes():
        ours = [b.__name__ for b in cls.__bases__ if issubclass(b, errors.WorkbenchError)]
        others = [b.__name__ for b in cls.__bases__ if not issubclass(b, errors.WorkbenchError) and b is not Exception]
        real.append((cls.__name__, ours[0] if ours else None, others[0] if others else None))
    assert sorted(told, key=str) == sorted(real, key=str)


def test_every_error_is_on_the_face() -> None:
    """Whoever uses the package can catch every error by `wb.Name`."""
    hidden = {"InvocationGroupError"}
    assert {c.__name__ for c in classes()} - set(dir(wb)) <= hidden


@pytest.mark.parametrize("cls", classes(), ids=lambda c: c.__name__)
def test_every_error_pickles_and_copies(cls: type[Exception]) -> None:
    """An error goes through pickle and copy with its class, its text and its fields."""
    made = {
        "DeadlockError": lambda: errors.DeadlockError([("A()", "A.m", "f.py:1")]),
        "DecodingError": lambda: errors.DecodingError("why", "do"),
        "DivergenceError": lambda: errors.DivergenceError("A()", 3, "x", "y", "f:1", "f:2"),
        "InvocationError": lambda: errors.InvocationError("A()", "m", "Odd", "text", "trace"),
        "InvocationGroupError": lambda: errors.invocation_error(
            "A()", "m", "ExceptionGroup", "text", "", (ValueError("x"),)
        ),
    }.get(cls.__name__, lambda: cls("what", "why", "do"))()
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made)):  # noqa: S301
        assert type(again) is type(made)
        assert str(again) == str(made)
        assert {k: v for k, v in vars(again).items() if k != "__notes__"}.keys() == vars(made).keys()


def test_texts_say_what_why_and_do() -> None:
    """A message is built of its parts, each a sentence of its own."""
    assert str(errors.StoreError("a", "b", "c d")) == "a: b. C d."
    assert str(errors.StoreError("a")) == "a."
    text = str(errors.DivergenceError("A()", 42, "call B().m", "create_promise", "f.py:3", "f.py:4"))
    for part in ("A()", "42", "call B().m", "create_promise", "f.py:3", "f.py:4", "revert(to=41)"):
        assert part in text
    deadlock = str(errors.DeadlockError([("A()", "A.m", "f.py:1"), ("B()", "B.n", "f.py:2")]))
    for part in ("A() waits for B()", "B() waits for A()", "f.py:1", "f.py:2", ".n.trigger(...)"):
        assert part in deadlock


def test_every_class_says_when_it_is_raised() -> None:
    """Each error has a docstring."""
    assert all(inspect.getdoc(c) for c in classes())
