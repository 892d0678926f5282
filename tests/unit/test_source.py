"""The source of a class, wherever it was written, and the revision of its code."""

from __future__ import annotations

import abc
import ast
import functools
import gc
import itertools
import linecache
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workbench.model import source
from workbench.model.source import revision_of, source_of

_cells = itertools.count(1)


def cell(text: str, name: str = "Worker", *, readable: bool = True, **names: Any) -> Any:
    """Run a text as a notebook runs a cell, in a module without a file; the class of that name."""
    filename = f"<cell {next(_cells)} of test_source>"
    if readable:
        linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    space = {"__name__": "__main__", **names}
    exec(compile(text, filename, "exec", dont_inherit=True), space)  # noqa: S102
    return space[name]


def same(found: Any) -> Any:
    """A decorator that gives back what it gets."""
    return found


def wrapped(function: Any) -> Any:
    """A decorator that wraps a method."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


class Base:
    def shared(self) -> int:
        return 1


@same
class Plain(Base):
    """A class."""

    def method(self) -> str:
        return """
a text at the margin"""


class OnlyNames(Base):
    limit = 5


@dataclass
class Fields:
    x: int


class Decorated:
    @wrapped
    def method(self) -> int:
        return 1


class Properties:
    @property
    def size(self) -> int:
        return 1


class Statics:
    if sys.platform:

        @staticmethod
        def size() -> int:
            return 1


@pytest.mark.parametrize("cls", [Plain, Base, OnlyNames, Fields, Decorated, Properties, Statics])
def test_the_source_is_the_statement(cls: type) -> None:
    """The text begins with the decorators or the `class`, and it is all of the class and nothing else."""
    text = source_of(cls)
    assert text.startswith(("class ", "@"))
    assert f"class {cls.__name__}" in text
    assert text in Path(__file__).read_text()
    assert [line for line in text.splitlines() if line.startswith("class ")] == [
        line for line in text.splitlines() if f"class {cls.__name__}" in line
    ]


def test_an_inner_class_is_moved_to_the_margin() -> None:
    """The text of a class inside a function can be read, and compiled, by itself."""

    class Inner:
        def method(self) -> int:
            return 2

    assert source_of(Inner) == "class Inner:\n    def method(self) -> int:\n        return 2\n"


def test_a_cell_has_source() -> None:
    """A class of a notebook cell, whose module has no file, is found by its functions."""
    text = "x = 1\n\nclass Worker:\n    # here\n    def a(self): ...\n\ny = 2\n"
    assert source_of(cell(text)) == "class Worker:\n    # here\n    def a(self): ...\n"


def test_the_right_one_of_two_classes_is_found() -> None:
    """Of two classes with one name in one file, and with their text in a docstring, each has its own source."""
    text = (
        '"""\nclass Worker:\n    def a(self): return 0\n"""\nif flag:\n'
        "    class Worker:\n        def a(self): return 1\nelse:\n    class Worker:\n        def a(self): return 2\n"
    )
    assert source_of(cell(text, flag=True)) == "class Worker:\n    def a(self): return 1\n"
    assert source_of(cell(text, flag=False)) == "class Worker:\n    def a(self): return 2\n"


def test_no_source_is_an_empty_text() -> None:
    """A class made by `exec`, by `type` or in C has no source, and still a revision."""
    for cls in (cell("class Worker:\n    def a(self): ...", readable=False), type("Made", (), {}), int):
        assert source_of(cls) == ""
        assert len(revision_of(cls)) == 16


def test_a_text_that_was_not_compiled_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file was changed after its import, so that other lines stand there now, there is no source."""
    file = tmp_path / "module_that_changes.py"
    file.write_text("class Worker:\n    def a(self):\n        return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("module_that_changes")
    assert source_of(module.Worker) == file.read_text()
    file.write_text("class Other:\n    def a(self):\n        return 1\n\nclass Worker: ...\n")
    assert source_of(module.Worker) == ""
    file.write_text("this is ( no Python")
    assert source_of(module.Worker) == ""
    assert len(revision_of(module.Worker)) == 16


WORKER = """
@same
class Worker(Base):
    '''Works.'''

    limit: int = 5

    async def run(self, x: int, *, y="a") -> str:
        '''Runs.'''
        total = x + 255  # a comment
        for word in ["a", 'b']:
            total += len(word)
        return f"{total:>3}"

    class Inner:
        kept = 1
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", ""),
        ("'''Works.'''", ""),
        ("'''Runs.'''", "'other words'"),
        ("'b'", '"b"'),
        ("x + 255", "(x +\n    0xff)"),
        ("@same", "@same\n@same"),
        ("@same\n", ""),
        ("\n    limit", "\n\n\n    limit"),
        ("async def", "pass\n    async def"),
    ],
)
def test_looks_do_not_change_the_revision(old: str, new: str) -> None:
    """Comments, docstrings, quotes, layout and the decorators of the class are no part of the revision; code is."""
    changed = revision_of(cell(WORKER.replace(old, new), same=same, Base=Base))
    equal = revision_of(cell(WORKER, same=same, Base=Base)) == changed
    assert equal is (new != "pass\n    async def")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x: int", "x: float"),
        ("-> str", "-> bytes"),
        ("limit: int", "limit: float"),
        ("= 5", "= 6"),
        ('y="a"', 'y="b"'),
        ("+=", "-="),
        ("255", "256"),
        ("kept = 1", "kept = True"),
        (":>3", ":>4"),
        ("async def", "def"),
        ("async def", "@same\n    async def"),
        ("(Base)", "(Base, object)"),
        ("return", "'not a docstring'\n        return"),
    ],
)
def test_code_changes_the_revision(old: str, new: str) -> None:
    """Any change of what runs, of annotations, defaults and attributes changes the revision."""
    before, after = (cell(text, same=same, Base=Base) for text in (WORKER, WORKER.replace(old, new)))
    assert revision_of(before) != revision_of(after)


def test_bases_of_the_user_count() -> None:
    """The code of a base is part of the revision, in the order of the MRO; what Python ships is not."""
    text = "class Worker({}):\n    def a(self): ...\n"
    one = cell("class One:\n    def b(self): return 1", "One")
    other = cell("class One:\n    def b(self): return 2", "One")
    names: dict[str, Any] = {"Two": Base, "abc": abc}
    revisions = [revision_of(cell(text.format("One, Two"), One=base, **names)) for base in (one, other, one)]
    assert revisions[0] == revisions[2] != revisions[1]
    first, second = (cell(text.format("One"), One=base, **names) for base in (one, other))
    assert source_of(first) == source_of(second)
    assert revision_of(first) != revision_of(second)
    shipped = [part for part in cell(text.format("abc.ABC"), **names).__mro__ if not source._is_of_the_house(part)]
    assert [part.__name__ for part in shipped] == ["Worker"]


def test_equal_definitions_have_one_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same class in a cell, in another cell further down, in a function and in a file is the same code."""
    text = 'class Worker:\n    def a(self, x: "int") -> int:\n        return x\n'
    (tmp_path / "module_of_a_worker.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    inside = "def make():\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "    return Worker\n"
    found = [
        cell(text),
        cell(f"import os\n\n\n{text}"),
        cell(f"{inside}\nWorker = make()"),
        __import__("module_of_a_worker").Worker,
    ]
    assert len({revision_of(cls) for cls in found}) == 1


def test_compiled_code_has_a_revision_too() -> None:
    """Without source, what is compiled counts: functions, inner functions, defaults, annotations, plain attributes."""
    text = 'class Worker:\n    limit = 5\n    def a(self, x: int, y=1):\n        return [i in {"p", "q"} for i in x]\n'
    revision = revision_of(cell(text, readable=False))
    assert revision == revision_of(cell(f"\n\n{text}", readable=False))
    for old, new in (("= 5", "= 6"), ("int", "str"), ("y=1", "y=2"), ('"q"', '"r"'), ("i in {", "i not in {")):
        assert revision_of(cell(text.replace(old, new), readable=False)) != revision


def test_a_function_in_a_closure_counts() -> None:
    """Without source, a method that only passes on to a function is as new as that function."""
    text = (
        "def make(function):\n    class Worker:\n        def run(self, item):\n            return function(item)\n"
        "    return Worker\nWorker = make(lambda item: item + {})\n"
    )
    one, other, again = (cell(text.format(n), readable=False) for n in (1, 2, 1))
    assert revision_of(one) == revision_of(again) != revision_of(other)


def test_other_processes_agree() -> None:
    """The revision is the same in processes with other hash seeds, with source and without."""
    program = (
        "from tests.unit.test_source import WORKER, Base, Fields, cell, same\n"
        "from workbench.model.source import revision_of\n"
        'text = \'class Worker:\\n    def a(self, y=frozenset("xyz")): return self in {"p", "q", "r", None}\'\n'
        "print(revision_of(cell(WORKER, same=same, Base=Base)), revision_of(Fields), revision_of(cell(text)),"
        " revision_of(cell(text, readable=False)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert len(told.pop().split()) == 4


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads take turns as often as they can, also inside the collector, which runs inside `ast.parse`."""

    def collected(phase: str, info: dict[str, int]) -> None:
        sum(range(200))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gc.callbacks.append(collected)
    yield
    gc.callbacks.remove(collected)
    sys.setswitchinterval(interval)


def test_threads_do_not_disturb_each_other(busy_threads: None) -> None:
    """Parsing on several threads at once gives each its tree."""
    text = Path(__file__).read_text()
    counts: list[int] = []

    def work() -> None:
        counts.extend(len(source.parse(text).body) for _ in range(30))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [len(source.parse(text).body)] * 180


def test_what_cannot_be_parsed_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that nests too deep ends in the hash of the compiled code, not in an error."""

    def too_deep(text: str) -> None:
        raise RecursionError

    cls = cell("class Worker:\n    def a(self): ...\n")
    monkeypatch.setattr(ast, "parse", too_deep)
    assert source_of(cls) == ""
    assert len(revision_of(cls)) == 16


def test_a_usual_class_is_read_quickly() -> None:
    """The first look at a class takes a few times as long as parsing it, which a cell does anyway: nobody feels it."""
    methods = "".join(f"    async def m{n}(self, x: int) -> int:\n        y = x + {n}\n" * 2 for n in range(12))
    looked, parsed = [], []
    for n in range(20):
        text = f"class Worker:\n    n = {n}\n{methods}"
        cls = cell(text)
        begun = time.perf_counter()
        revision_of(cls)
        between = time.perf_counter()
        ast.parse(text)
        parsed.append(time.perf_counter() - between)
        looked.append(between - begun)
    assert min(looked) < 20 * min(parsed)
