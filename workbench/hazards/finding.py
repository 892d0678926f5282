"""What in the code of an agent class replay cannot repeat: clocks, chance, files, the network, the order of sets.

Only the text of the class is read, and the objects that its names stand for; nothing of it runs. Not everything is
found, and what is found is meant to be right: names count by what they stand for (`from time import time as t`), a
function of the user's own called `open` is no hazard, nor is anything that is handed to `wb.step`.

A comment `# workbench: deterministic` at the end of a line says that all of it is the same on replay.
"""

import ast
import logging
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from workbench.hazards.bindings import Bindings, Place, type_name
from workbench.hazards.method_code import MethodCode, methods_of
from workbench.hazards.rules import (
    ADDRESS,
    ARGUMENTS,
    CALLS,
    ENVIRONMENT,
    HARMLESS,
    HARMLESS_ENDINGS,
    HARMLESS_PARTS,
    OUTSIDE,
    PACKAGES,
    PATH_METHODS,
    PATH_PATHS,
    SET_ORDER,
    Advice,
)
from workbench.hazards.set_order import SetOrder
from workbench.model.places import place_name
from workbench.model.source import Written, written

logger = logging.getLogger("workbench")

_SILENCED: Final = re.compile(r"#\s*workbench:\s*deterministic\b")
_KEYED: Final = frozenset({"add", "discard", "get", "pop", "remove", "setdefault"})
"""Methods of sets and dicts to which a hash or an address is a key, of which only equality counts."""
_FAILURES: Final = (
    AttributeError, IndexError, KeyError, NameError, OSError, RecursionError, RuntimeError, SyntaxError, TypeError,
    ValueError,
)  # fmt: skip


class Hazard(NamedTuple):
    """Something that replay cannot repeat.

    Attributes:
        filename: as the interpreter knows the file; `place` is the line as people know it, `In[3]:5`.
        line: number of the line.
        place: the file's name for people, and the line.
        method: class and method.
        found: what is used there.
        why: in one clause.
        use: what to use instead.
    """

    filename: str
    line: int
    place: str
    method: str
    found: str
    why: str
    use: str

    @property
    def message(self) -> str:
        """What, why, do."""
        do = f"{self.use[:1].upper()}{self.use[1:]}"
        silence = "end the line with `# workbench: deterministic` if it is the same on replay"
        return f"{self.method} uses {self.found} at {self.place}: {self.why}. {do}, or {silence}."


def hazards_of(cls: type) -> list[Hazard]:
    """What in the methods of a class replay cannot repeat, in the order of the lines; empty without its source."""
    try:
        found = written(cls)
        return [] if found is None else list(_hazards(cls, found))
    except _FAILURES:  # code that is odd enough to break the analysis is not wrong for that
        logger.debug("the code of %s was not looked through", cls, exc_info=True)
        return []


def _hazards(cls: type, found: Written) -> Iterator[Hazard]:
    methods = methods_of(cls, found.node)
    bindings = Bindings(methods, found.node)
    calls, order = _Calls(bindings), SetOrder(methods, bindings)
    at = []
    for code in methods:
        at += [(node.lineno, code.name, text, advice, node) for node, text, advice in calls.found(code)]
        at += [(node.lineno, code.name, "the order of a set", SET_ORDER, node) for node in order.leaks(code)]
    told = set()
    for line, name, text, advice, node in sorted(at, key=lambda each: each[:3]):
        lines = found.lines[line - 1 : node.end_lineno]
        if (line, text) not in told and not any(_SILENCED.search(each) for each in lines):
            told.add((line, text))
            place = f"{place_name(found.filename)}:{line}"
            yield Hazard(found.filename, line, place, f"{cls.__name__}.{name}", text, advice.why, advice.use)


class _Calls:
    """Calls that reach outside, in the methods of one class."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._asked: set[Place | None] = set()

    def found(self, code: MethodCode) -> Iterator[tuple[ast.expr, str, Advice]]:
        """Each, with how it is called for people."""
        for call in code.each(ast.Call):
            made = code.meanings.object_of(call.func)
            if type(made) is type and issubclass(made, BaseException):
                continue
            for name in code.meanings.names_of(call.func):
                advice = _advice(name, call)
                if advice is not None and not (advice is ADDRESS and (_is_number(call) or _is_key(code, call))):
                    yield call, f"{name.removeprefix('builtins.')}()", advice
                    break
            else:
                if isinstance(call.func, ast.Attribute) and self._is_outside(code, call.func):
                    yield call, f"{ast.unparse(call.func)}()", OUTSIDE
            for keyword in call.keywords:
                advice = CALLS.get(next(iter(code.meanings.names_of(keyword.value)), ""))
                if keyword.arg == "key" and advice is ADDRESS:
                    yield keyword.value, f"{ast.unparse(keyword.value)}()", advice
        mentions: list[ast.expr] = [each for each in code.each(ast.Attribute) if each.attr in ENVIRONMENT]
        mentions += code.each(ast.Name)
        for mention in mentions:
            if "os.environ" in code.meanings.names_of(mention):
                yield mention, "os.environ", OUTSIDE

    def _is_outside(self, code: MethodCode, function: ast.Attribute) -> bool:
        if function.attr == "run_in_executor":
            return True
        return function.attr in PATH_METHODS and self._is_path(code, function.value)

    def _is_path(self, code: MethodCode, node: ast.expr) -> bool:
        """Whether an expression is obviously a `pathlib.Path`."""
        match node:
            case ast.BinOp(left=left, op=ast.Div()):
                return self._is_path(code, left)
            case ast.Call(func=function):
                if isinstance(function, ast.Attribute) and function.attr in PATH_PATHS:
                    return self._is_path(code, function.value)
                return "pathlib.Path" in code.meanings.names_of(function)
        place = self._bindings.place(code, node)
        if place in self._asked:  # as in `path = path / name`: the other values tell
            return True
        if place is not None:
            self._asked.add(place)
            home = self._bindings.home
            values = [self._is_path(home(value, code), value) for value in place.values]
            self._asked.discard(place)
            return any(_is_path_type(code, each) for each in place.annotations) or (bool(values) and all(values))
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            return self._is_path(code, node.value)
        return type(code.meanings.object_of(node)).__module__.partition(".")[0] == "pathlib"


def _is_path_type(code: MethodCode, annotation: ast.expr) -> bool:
    names = code.meanings.names_of(annotation)
    return type_name(annotation) == "Path" and (not names or "pathlib.Path" in names)


def _advice(name: str, call: ast.Call) -> Advice | None:
    if len(call.args) + len(call.keywords) >= ARGUMENTS.get(name, 1 << 30):
        return None
    advice = CALLS.get(name)
    if advice is not None or name in HARMLESS or name.endswith(HARMLESS_ENDINGS):
        return advice
    parts = name.split(".")
    if not HARMLESS_PARTS.isdisjoint(parts):
        return None
    return next((PACKAGES[top] for top in (parts[0], ".".join(parts[:2])) if top in PACKAGES), None)


def _is_key(code: MethodCode, node: ast.AST, *, named: bool = False) -> bool:
    """Whether a hash or an address is only compared and looked up, also under a name that it is given."""
    if code.name in ("__hash__", "__eq__"):
        return True
    around = code.parents.get(node)
    while isinstance(around, ast.Tuple):
        node, around = around, code.parents.get(around)
    match around:
        case ast.Compare() | ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Attribute(attr=method)):
            return method in _KEYED
        case ast.Subscript(slice=inner):
            return inner is node
        case ast.Dict(keys=keys):
            return node in keys
        case ast.DictComp(key=key):
            return key is node
        case ast.Assign(targets=[ast.Name(id=name)]) if not named:
            mentions = [each for each in code.each(ast.Name) if each.id == name and isinstance(each.ctx, ast.Load)]
            return all(_is_key(code, each, named=True) for each in mentions)
    return False


def _is_number(call: ast.Call) -> bool:
    """Whether `hash` is asked for that of a number, which is the number."""
    return any(isinstance(each, ast.Constant) and isinstance(each.value, int) for each in call.args)
