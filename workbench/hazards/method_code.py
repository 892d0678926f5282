"""The code of a class's methods as the analysis sees it: nodes in order, what names mean, what goes to `wb.step`.

A method is seen with the functions inside it as one piece: a name that any of them binds is a local name of all. What
is only handed to `wb.step` is no part of it, for it runs outside the agent.
"""

import ast
import builtins
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any, Final, TypeVar

from workbench.hazards.rules import HOMES, PACKAGES
from workbench.model.source import function_in, statements

MethodNode = ast.FunctionDef | ast.AsyncFunctionDef
INNER: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_Node = TypeVar("_Node", bound=ast.AST)

_MISSING: Final = object()
_NAMED: Final = (type, FunctionType, BuiltinFunctionType, BuiltinMethodType, MethodType)
_SKIPPED: Final = frozenset({"annotation", "ctx", "op", "ops", "returns", "type_comment", "type_params"})
"""Fields that hold no code that a call of the method runs."""
_fields: Final[dict[type[ast.AST], tuple[str, ...]]] = {}


class Meanings:
    """What the names of a method stand for, as far as the objects behind them say so before it runs."""

    def __init__(self, space: Mapping[str, Any], closure: Mapping[str, Any]) -> None:
        self._space, self._closure = space, closure
        self.bound: set[str] = set()
        """Names that the method binds: what they hold is not known."""
        self.imported: dict[str, str] = {}
        """Names that an import in the method binds, with their dotted name."""

    def object_of(self, node: ast.expr) -> Any:
        """The object behind a name or a dotted name; None where it is not known (or is None)."""
        found = self._look(node)[0]
        return None if found is _MISSING else found

    def names_of(self, node: ast.expr) -> tuple[str, ...]:
        """Dotted names of what an expression stands for, with its module first; none where that is not known."""
        return self._look(node)[1]

    def _look(self, node: ast.expr) -> tuple[Any, tuple[str, ...]]:
        if isinstance(node, ast.Name):
            name = node.id
            if name in self.imported:
                found = sys.modules.get(self.imported[name], _MISSING)
                return found, (self.imported[name],)
            if name in self.bound:
                return _MISSING, ()
            for space in (self._closure, self._space, vars(builtins)):
                if name in space:
                    return space[name], _names_of_object(space[name])
        elif isinstance(node, ast.Attribute):
            owner, names = self._look(node.value)
            inner = tuple(f"{name}.{node.attr}" for name in names)
            if type(owner) is ModuleType:
                found = vars(owner).get(node.attr, _MISSING)
                return found, inner if found is _MISSING else (*inner, *_names_of_object(found))
            return _MISSING, inner
        return _MISSING, ()


def _names_of_object(found: Any) -> tuple[str, ...]:
    """Of a module, class or function its own name; of another object the name of its class, if that is in a package."""
    kind = type(found)
    if issubclass(kind, ModuleType):
        return (str(found.__name__),)
    if issubclass(kind, _NAMED):
        if kind is FunctionType and str(found.__globals__.get("__name__", "")).startswith("IPython."):
            found = getattr(found, "__wrapped__", found)  # the shell's own `open`
        name, module = str(found.__name__), str(found.__module__)
        owner = type(getattr(found, "__self__", None)).__module__  # of `random.random`, a method that a module shows
        for home in (*HOMES.get(name, ()), owner, module):
            if vars(sys.modules.get(home, object)).get(name) is found:
                return (f"{home}.{name}",)
        return (f"{module}.{found.__qualname__}",)
    if found is os.environ or found is os.environb:
        return ("os.environ",)
    if issubclass(kind, logging.Logger):
        return ("logging.Logger",)
    if kind.__module__.partition(".")[0] in PACKAGES:
        return (f"{kind.__module__}.{kind.__qualname__}",)
    return ()


class MethodCode:
    """One method: its nodes, without what only steps run.

    Attributes:
        name: of the method.
        node: its statement.
        meanings: what names in it stand for.
        receiver: what the method calls its object, `self` by custom.
        handed: what is handed to steps.
        parents: the node around each.
    """

    def __init__(self, node: MethodNode, meanings: Meanings) -> None:
        self.name, self.node, self.meanings = node.name, node, meanings
        arguments = [*node.args.posonlyargs, *node.args.args]
        self.receiver = arguments[0].arg if arguments else ""
        self.parents: dict[ast.AST, ast.AST] = {}
        self._left_out: set[ast.AST] = set()
        self._kinds = self._sorted_by_kind()
        self._bind()
        steps = [call for call in self.each(ast.Call) if self.is_step(call)]
        self.handed = {node for step in steps for node in _handed(step)}
        if self.handed:
            self._leave_out()

    def each(self, kind: type[_Node]) -> list[_Node]:
        """All nodes of a kind that the method runs itself, outer before inner."""
        return self._kinds.get(kind, [])

    def walk(self, roots: Iterable[ast.AST]) -> Iterator[ast.AST]:
        """All that the method runs itself under these nodes, outer before inner."""
        stack = [*roots][::-1]
        while stack:
            node = stack.pop()
            if node not in self._left_out:
                yield node
                stack += [*children(node)][::-1]

    def signatures(self) -> list[ast.arguments]:
        """The parameters of the method and of the functions in it."""
        inner: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]
        inner = [*self.each(ast.FunctionDef), *self.each(ast.AsyncFunctionDef), *self.each(ast.Lambda)]
        return [self.node.args, *(each.args for each in inner)]

    def is_inner(self, node: ast.AST | None) -> bool:
        """Whether a node lies in a function inside the method."""
        while node is not None and not isinstance(node, INNER):
            node = self.parents.get(node)
        return node is not None

    def is_step(self, call: ast.Call) -> bool:
        """Whether this is `wb.step(...)`."""
        return any(of_the_house(name) == "step" for name in self.meanings.names_of(call.func))

    def _inner_functions(self) -> list[MethodNode]:
        return [*self.each(ast.FunctionDef), *self.each(ast.AsyncFunctionDef)]

    def _sorted_by_kind(self) -> dict[type[ast.AST], list[Any]]:
        kinds: dict[type[ast.AST], list[Any]] = {}
        stack: list[ast.AST] = [*reversed(self.node.body)]
        while stack:
            node = stack.pop()
            if node in self._left_out:
                continue
            kinds.setdefault(type(node), []).append(node)
            inner = [*children(node)]
            for child in inner:
                self.parents[child] = node
            stack += inner[::-1]
        return kinds

    def _bind(self) -> None:
        bound, imported = self.meanings.bound, self.meanings.imported
        for arguments in self.signatures():
            named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            bound |= {each.arg for each in named if each is not None}
        bound |= {each.id for each in self.each(ast.Name) if not isinstance(each.ctx, ast.Load)}
        bound |= {each.name for each in self._inner_functions()} | {each.name for each in self.each(ast.ClassDef)}
        bound |= {each.name for each in self.each(ast.ExceptHandler) if each.name}
        bound |= {each.name for each in self.each(ast.MatchAs) if each.name}
        for node in self.each(ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                imported[alias.asname or top] = alias.name if alias.asname else top
        for source in self.each(ast.ImportFrom):
            if source.level:
                bound |= {alias.asname or alias.name for alias in source.names}
            else:
                imported |= {alias.asname or alias.name: f"{source.module}.{alias.name}" for alias in source.names}
        for shared in self.each(ast.Global):
            bound -= set(shared.names)

    def _leave_out(self) -> None:
        """Leave out lambdas and inner functions that only steps run, and what only they use."""
        self._left_out |= {node for node in self.handed if isinstance(node, ast.Lambda)}
        mentioned = {name.id for name in self.each(ast.Name) if isinstance(name.ctx, ast.Load)}
        while True:
            self._kinds = self._sorted_by_kind()
            loads = [name for name in self.each(ast.Name) if isinstance(name.ctx, ast.Load)]
            only_handed = mentioned - {name.id for name in loads if name not in self.handed}
            more: set[ast.AST] = {each for each in self._inner_functions() if each.name in only_handed}
            more |= {
                each.value
                for each in self.each(ast.Assign)
                if isinstance(each.value, ast.Lambda)
                and isinstance(each.targets[0], ast.Name)
                and each.targets[0].id in only_handed
            }
            if more <= self._left_out:
                return
            self._left_out |= more


def methods_of(cls: type, node: ast.ClassDef) -> list[MethodCode]:
    """The methods that the statement of a class defines, without those that only steps run."""
    functions = {f.__code__.co_firstlineno: f for f in map(function_in, vars(cls).values()) if f is not None}
    space = vars(sys.modules.get(cls.__module__, object))
    found = []
    for method in _method_nodes(node):
        first = method.decorator_list[0].lineno if method.decorator_list else method.lineno
        function = functions.get(first)
        closure = {} if function is None else _closure_of(function)
        found.append(MethodCode(method, Meanings(space if function is None else function.__globals__, closure)))
    return _run_by_the_agent(found, node.name)


def _run_by_the_agent(methods: list[MethodCode], class_name: str) -> list[MethodCode]:
    """Leave out methods that are only handed to steps, as in `wb.step(self.fetch, url)`, and what only they use."""
    kept = methods
    mentions = [
        (method, each.attr, each in method.handed)
        for method in methods
        for each in method.each(ast.Attribute)
        if isinstance(each.value, ast.Name) and each.value.id in (method.receiver, class_name)
    ]
    mentioned = {name for method, name, _ in mentions if method.name != name}
    while True:
        called = {name for method, name, in_step in mentions if not in_step and method in kept and method.name != name}
        fewer = [method for method in kept if method.name in called or method.name not in mentioned]
        if len(fewer) == len(kept):
            return kept
        kept = fewer


def _method_nodes(owner: ast.AST) -> Iterator[MethodNode]:
    for child in statements(owner):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        elif not isinstance(child, ast.ClassDef):
            yield from _method_nodes(child)


def _closure_of(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found


def _handed(step: ast.Call) -> Iterator[ast.AST]:
    """Names, dotted names and lambdas among the arguments of a step, also inside `functools.partial(...)`."""
    stack: list[ast.AST] = [*step.args, *(keyword.value for keyword in step.keywords)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name | ast.Attribute | ast.Lambda):
            yield node
        elif isinstance(node, ast.Call):
            stack += [*node.args, *(keyword.value for keyword in node.keywords)]
        else:
            stack += children(node)


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes right inside a node that run when it does; annotations do not."""
    kind = type(node)
    fields = _fields.get(kind)
    if fields is None:
        fields = _fields[kind] = tuple(field for field in kind._fields if field not in _SKIPPED)
    for field in fields:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield item


def of_the_house(name: str) -> str:
    """`join` for the dotted name of `wb.join`; empty for a name from elsewhere."""
    first, _, rest = name.partition(".")
    return rest.rpartition(".")[2] if first == "workbench" else ""
