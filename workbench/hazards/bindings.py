"""What is put into the local names of methods and into the attributes of their object, read from the code of a class.

Order plays no part: all that is ever put into a name counts at each mention of it.
"""

import ast
from typing import Final

from workbench.hazards.method_code import MethodCode


class Place:
    """A local name of a method, or an attribute of the object in all methods.

    Attributes:
        values: what is assigned to it.
        annotations: its types, as written.
        items: what a `for` takes it from.
        added: elements that go in by `.add(...)`; `updated`: what goes in by `.update(...)`.
        grown: calls that append to it, and targets that set an item of it or make a text or list longer by `+=`.
        sorted: whether it is sorted in place.
        unpacked: whether it is also bound in a way that says nothing of its value.
    """

    __slots__ = ("added", "annotations", "grown", "items", "sorted", "unpacked", "updated", "values")

    def __init__(self) -> None:
        self.values: list[ast.expr] = []
        self.annotations: list[ast.expr] = []
        self.items: list[ast.expr] = []
        self.added: list[ast.expr] = []
        self.updated: list[ast.expr] = []
        self.grown: list[ast.AST] = []
        self.sorted = False
        self.unpacked = False


GROWING: Final = frozenset({"append", "appendleft", "extend", "insert"})
"""Methods of lists and deques that keep the order in which they are called."""


_WRAPPERS: Final = frozenset({"Annotated", "ClassVar", "Final", "Optional"})


class Bindings:
    """The places of one class."""

    def __init__(self, methods: list[MethodCode], node: ast.ClassDef) -> None:
        self._class_name = node.name
        self._attributes: dict[str, Place] = {}
        self._locals: dict[MethodCode, dict[str, Place]] = {}
        self._homes: dict[ast.AST, MethodCode] = {}
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        place = self._attributes.setdefault(target.id, Place())
                        self._put(place, statement.value, None)
                        if isinstance(statement, ast.AnnAssign):
                            place.annotations.append(statement.annotation)
        for method in methods:
            self._locals[method] = {}
            self._note(method)

    def place(self, code: MethodCode, node: ast.AST) -> Place | None:
        """The place that a name or an attribute of the object is; None for what is neither."""
        if isinstance(node, ast.Name):
            return self._locals[code].get(node.id)
        name = self.attribute(code, node)
        return None if name is None else self._attributes.get(name)

    def attribute(self, code: MethodCode, node: ast.AST) -> str | None:
        """`x` for `self.x` and for `Worker.x` inside `Worker`."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr if node.value.id in (code.receiver, self._class_name) else None
        return None

    def home(self, node: ast.AST, default: MethodCode) -> MethodCode:
        """The method in which something was put into a place; `default` for what stands in the class itself."""
        return self._homes.get(node, default)

    def _made(self, code: MethodCode, node: ast.AST) -> Place | None:
        if isinstance(node, ast.Name):
            return self._locals[code].setdefault(node.id, Place())
        name = self.attribute(code, node)
        return None if name is None else self._attributes.setdefault(name, Place())

    def _put(self, place: Place | None, value: ast.expr | None, code: MethodCode | None) -> None:
        if place is not None and value is not None:
            place.values.append(value)
            if code is not None:
                self._homes[value] = code

    def _note(self, code: MethodCode) -> None:
        for arguments in code.signatures():
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if argument.annotation is not None:
                    self._locals[code].setdefault(argument.arg, Place()).annotations.append(argument.annotation)
        for assign in code.each(ast.Assign):
            for target in assign.targets:
                self._assign(code, target, assign.value)
        for declared in code.each(ast.AnnAssign):
            place = self._made(code, declared.target)
            self._put(place, declared.value, code)
            if place is not None:
                place.annotations.append(declared.annotation)
        for named in code.each(ast.NamedExpr):
            self._put(self._made(code, named.target), named.value, code)
        for longer in code.each(ast.AugAssign):
            place = self._made(code, longer.target)
            if place is not None and isinstance(longer.op, ast.Add):
                self._grow(code, place, longer.target)
        loops: list[ast.For | ast.AsyncFor | ast.comprehension]
        loops = [*code.each(ast.For), *code.each(ast.AsyncFor), *code.each(ast.comprehension)]
        for loop in loops:
            place = self._made(code, loop.target)
            if place is not None:
                place.items.append(loop.iter)
                self._homes[loop.iter] = code
        for call in code.each(ast.Call):
            if isinstance(call.func, ast.Attribute):
                self._note_call(code, call, call.func)

    def _assign(self, code: MethodCode, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            if len(values) == len(target.elts) and not any(isinstance(e, ast.Starred) for e in (*values, *target.elts)):
                for part, inner in zip(target.elts, values, strict=True):
                    self._assign(code, part, inner)
                return
            for part in target.elts:
                place = self._made(code, part.value if isinstance(part, ast.Starred) else part)
                if place is not None:
                    place.unpacked = True
        elif isinstance(target, ast.Subscript):
            place = self._made(code, target.value)
            if place is not None:
                self._grow(code, place, target)
        else:
            self._put(self._made(code, target), value, code)

    def _grow(self, code: MethodCode, place: Place, node: ast.AST) -> None:
        place.grown.append(node)
        self._homes[node] = code

    def _note_call(self, code: MethodCode, call: ast.Call, function: ast.Attribute) -> None:
        if function.attr not in GROWING and function.attr not in ("add", "update", "sort"):
            return
        place = self._made(code, function.value)
        if place is None:
            return
        if function.attr == "sort":
            place.sorted = True
        elif function.attr in GROWING:
            self._grow(code, place, call)
        else:
            into = place.added if function.attr == "add" else place.updated
            into += call.args
            self._homes |= dict.fromkeys(call.args, code)


def type_name(annotation: ast.expr) -> str:
    """`set` for `set[str]`, `Set` for `typing.Set[str] | None`, `Path` for `"Path"`."""
    match annotation:
        case ast.Constant(value=str() as text):
            return text.partition("[")[0].partition("|")[0].strip()
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value, slice=inner):
            name = type_name(value)
            return type_name(_first(inner)) if name in _WRAPPERS else name
        case ast.BinOp(left=left, right=right):
            return type_name(left) or type_name(right)
    return ""


def element_type(annotation: ast.expr) -> str:
    """`int` for `set[int]`, `tuple[int, ...]` and `dict[int, str]`."""
    match annotation:
        case ast.Constant(value=str() as text):
            return text.partition("[")[2].partition("]")[0].partition(",")[0].strip()
        case ast.BinOp(left=left, right=right):
            return element_type(left) or element_type(right)
        case ast.Subscript(value=value, slice=inner):
            return element_type(_first(inner)) if type_name(value) in _WRAPPERS else type_name(_first(inner))
    return ""


def _first(node: ast.expr) -> ast.expr:
    return node.elts[0] if isinstance(node, ast.Tuple) and node.elts else node
