"""The doors of the house: what a module may import, read from its source.

import-linter checks the layers between the rooms (`pyproject.toml`). It does not see the standard library, nor whether
an import hides in a function, nor an import of the facade by its own rooms. Those rules are here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "workbench"
FACADE = "workbench"
# `from workbench import errors` names a room, `from workbench import Session` asks the facade.
ROOMS = frozenset(path.stem for path in PACKAGE.iterdir() if not path.stem.startswith((".", "_")))


@dataclass(frozen=True)
class Door:
    """Packages that only some modules (named from inside `workbench`, each with all that is in it) may import."""

    packages: frozenset[str]
    rooms: tuple[str, ...]
    advice: str


# `bench` measures against floors written by hand, so without the rooms: it may open the standard library's doors.
DOORS = (
    Door(frozenset({"sqlite3"}), ("store", "bench"), "ask store/ for it: the only SQL is there"),
    Door(frozenset({"asyncio"}), ("runtime", "magics", "bench"), "decide in core/, do in runtime/"),
    Door(
        frozenset({"_thread", "concurrent", "multiprocessing", "threading"}),
        ("runtime", "widgets", "bench"),
        "decide in core/, do in runtime/; the pump of widgets/ is the one other thread",
    ),
    Door(
        frozenset({"random", "secrets", "time"}),
        ("runtime.clock", "bench"),
        "take the moment or the number as an argument; runtime/clock.py makes them",
    ),
    Door(
        frozenset(
            {"IPython", "anywidget", "comm", "ipykernel", "ipywidgets", "jupyter_client", "jupyter_core", "traitlets"}
        ),
        ("widgets", "magics"),
        "Jupyter is known in widgets/ and magics.py only",
    ),
)

# Names that read a clock or chance though their module is harmless. A mention counts: `default_factory=uuid4` is a use.
CHANCE = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "os.getrandom",
        "os.times",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
    }
)
CHANCE_ROOMS = ("runtime.clock", "bench")

# Functions of the facade that may import: they are how heavy rooms load on first use.
LAZY = frozenset({"TYPE_CHECKING", "__getattr__", "load_ipython_extension", "unload_ipython_extension"})

# One module patches loops; which one is its own affair.
PATCHES = frozenset({"nest_asyncio", "nest_asyncio2"})


@dataclass(frozen=True)
class Import:
    """One imported name: `from a.b import c` is `a.b.c`, bound to `c`."""

    module: str
    name: str | None
    bound: str
    line: int
    within: str | None
    """The function, or `TYPE_CHECKING`, that hides it from the top of the module."""

    @property
    def origin(self) -> str:
        """The dotted name of what is imported."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


def imports(tree: ast.AST, package: str) -> Iterator[Import]:
    """Yield every import of a module, wherever it stands; `package` resolves the relative ones."""
    stack: list[tuple[ast.AST, str | None]] = [(tree, None)]
    while stack:
        node, within = stack.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, alias.asname or alias.name.partition(".")[0], node.lineno, within)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield Import(module, alias.name, alias.asname or alias.name, node.lineno, within)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            within = node.name
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            within = "TYPE_CHECKING"
        stack += [(child, within) for child in ast.iter_child_nodes(node)]


def mentions(tree: ast.AST, found: list[Import]) -> Iterator[tuple[str, int]]:
    """Yield each dotted name a module uses, by its origin: `dt.datetime.now` as `datetime.datetime.now`."""
    # `import os.path` binds `os`; every other form binds what it names.
    origins = {
        entry.bound: entry.bound if entry.name is None and entry.module.startswith(f"{entry.bound}.") else entry.origin
        for entry in found
    }
    for node in ast.walk(tree):
        parts: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and inner.id in origins:
            yield ".".join([origins[inner.id], *parts]), inner.lineno


def inside(module: str, rooms: tuple[str, ...]) -> bool:
    """Tell whether a module (`workbench.store.schema`) lies in one of the rooms (`store`)."""
    return any(f"{module}.".startswith(f"{FACADE}.{room}.") for room in rooms)


def complaints(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return what is wrong with the imports of one module, a line each."""
    tree = ast.parse(source)
    package = module if is_package else module.rpartition(".")[0]
    found = list(imports(tree, package))
    wrong = []
    for entry in found:
        top = entry.module.partition(".")[0]
        wrong += [
            f"{module}:{entry.line} imports {entry.origin}: {door.advice}"
            for door in DOORS
            if top in door.packages and not inside(module, door.rooms)
        ]
        if top != FACADE:
            continue
        if entry.module == FACADE and entry.name not in ROOMS and module != FACADE:
            wrong.append(
                f"{module}:{entry.line} imports its own facade: name the module, `from workbench.ids import ...`"
            )
        if entry.within is not None and not (module == FACADE and entry.within in LAZY):
            wrong.append(
                f"{module}:{entry.line} hides {entry.origin} in {entry.within}: move what both need down a layer"
            )
    if not inside(module, CHANCE_ROOMS):
        wrong += [
            f"{module}:{line} uses {name}: take it as an argument; runtime/clock.py makes it"
            for name, line in sorted(set(mentions(tree, found)))
            if name in CHANCE
        ]
    return wrong


def name_of(path: Path) -> str:
    """Return the dotted name of a source file of the package."""
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_module_keeps_to_its_doors(path: Path) -> None:
    """Each module imports only what its room may, at its top, and never the facade."""
    assert complaints(name_of(path), path.read_text(encoding="utf-8"), is_package=path.stem == "__init__") == []


def test_one_module_patches_loops() -> None:
    """nest-asyncio and its successor are imported by at most one module."""
    patching = {
        name_of(path)
        for path in SOURCES
        for entry in imports(ast.parse(path.read_text(encoding="utf-8")), "")
        if entry.module.partition(".")[0] in PATCHES
    }
    assert len(patching) <= 1


def test_import_stays_light() -> None:
    """`import workbench` loads no drawing, graph, array or Jupyter package."""
    heavy = {"IPython", "anywidget", "ipykernel", "ipywidgets", "matplotlib", "networkx", "numpy", "traitlets"}
    program = "import sys, workbench; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=CHECKOUT)
    assert heavy.isdisjoint(loaded.stdout.split())


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("workbench.core.state", "import sqlite3"),
        ("workbench.core.state", "def f():\n    from sqlite3 import dbapi2"),
        ("workbench.views.tree", "import asyncio.events"),
        ("workbench.widgets.pump", "import asyncio"),
        ("workbench.magics", "import threading"),
        ("workbench.store.log", "from concurrent.futures import Future"),
        ("workbench.runtime.loop", "from time import monotonic"),
        ("workbench.runtime.clocks", "import random"),
        ("workbench.storeroom", "import sqlite3"),
        ("workbench.cli", "import ipykernel"),
        ("workbench.runtime.session", "from IPython.display import display"),
        ("workbench.core.state", "import uuid\nkey = uuid.uuid4()"),
        ("workbench.core.state", "from uuid import uuid4 as u\nfield(default_factory=u)"),
        ("workbench.core.state", "import datetime as dt\nat = dt.datetime.now()"),
        ("workbench.core.state", "from datetime import datetime\nat = datetime.now"),
        ("workbench.model.entry", "import os.path\nos.urandom(8)"),
        ("workbench.core.state", "import workbench"),
        ("workbench.core.state", "import workbench as wb"),
        ("workbench.core.state", "from workbench import Session"),
        ("workbench.core.state", "from .. import Session"),
        ("workbench.core.state", "def f():\n    from workbench.model import Entry"),
        ("workbench.core.state", "def f():\n    from .rules import decide"),
        ("workbench.core.state", "if TYPE_CHECKING:\n    from workbench.model import Entry"),
        ("workbench.core.state", "if typing.TYPE_CHECKING:\n    import workbench.model"),
        ("workbench", "def start():\n    from workbench.runtime import Session"),
    ],
)
def test_violation_is_found(module: str, source: str) -> None:
    """Each way around a door is complained about once, with the module and the line."""
    found = complaints(module, source)
    assert len(found) == 1
    assert found[0].startswith(f"{module}:")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("workbench.store.log", "import sqlite3"),
        ("workbench.runtime.loop", "import asyncio, threading"),
        ("workbench.runtime.clock", "import random, time\nfrom uuid import uuid4\nuuid4()"),
        ("workbench.bench.floors", "import asyncio, sqlite3, time"),
        ("workbench.model.codec", "from datetime import datetime\nfrom uuid import UUID\ndatetime.fromisoformat(UUID)"),
        ("workbench.core.state", "from workbench.model.entry import Entry\nfrom .rules import decide"),
        ("workbench.model.failure", "from workbench import errors"),
        ("workbench.views.static", "def draw():\n    import matplotlib"),
        ("workbench.core.state", "def now(): ...\nnow()\nclock.time()"),
        ("workbench", "def __getattr__(name):\n    from workbench.widgets import dashboard"),
        ("workbench", "def load_ipython_extension(shell):\n    from workbench import magics"),
    ],
)
def test_use_by_the_door_is_allowed(module: str, source: str) -> None:
    """What a room is for raises no complaint."""
    assert complaints(module, source, is_package=module == FACADE) == []
