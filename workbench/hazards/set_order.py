"""Where the order of a set gets out of a method: into calls, promises, steps, or its result.

Text, bytes and most objects hash differently in each process, so a set of them is ordered differently there. Numbers
and the tasks of an agent hash alike everywhere; a set of nothing else is no hazard. An expression is of a kind:

- `SET`: a set whose order differs.
- `ORDER`: something in the order of such a set: a list, a dict, a text made from it, or one element picked from it.
- None: all else, also what `sorted`, `sum`, `len` and their like make of a set, and all that is not known.

The order gets out where a loop over a `SET` or an `ORDER` does something that the oplog holds, and where an `ORDER` is
passed on or returned.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final

from workbench.hazards.bindings import Bindings, Place, element_type, type_name
from workbench.hazards.method_code import MethodCode, of_the_house
from workbench.hazards.stable_hashes import SET_METHODS, SETS, STABLE_TYPES, StableHashes

SET: Final = "set"
ORDER: Final = "order"

_IN_ORDER: Final = frozenset(
    {
        "builtins.dict", "builtins.enumerate", "builtins.filter", "builtins.iter", "builtins.list", "builtins.map",
        "builtins.next", "builtins.repr", "builtins.reversed", "builtins.str", "builtins.tuple", "builtins.zip",
        "collections.OrderedDict", "collections.deque", "functools.reduce",
    }
)  # fmt: skip
"""Calls whose result is in the order of their arguments."""
_ORDER_METHODS: Final = frozenset({"items", "keys", "values", "copy", "pop", "popitem", "popleft"})
_SET_OPERATORS: Final = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)
_SET_TYPES: Final = frozenset({"AbstractSet", "FrozenSet", "MutableSet", "Set", "frozenset", "set"})
_RECORDED: Final = frozenset(
    {"blocking", "create_task", "ensure_future", "new_phantom", "put_nowait", "schedule", "set_result", "trigger"}
)
"""Methods whose calls are seen outside the method."""
_UNRECORDED: Final = frozenset({"log", "now", "self_id"})
"""What agents may ask of the workbench in any order."""
_TAKES_MANY: Final = frozenset({"as_completed", "bounded", "fan_out", "join", "race", "race_ok", "try_join"})
_AROUND: Final = (
    ast.Attribute, ast.GeneratorExp, ast.keyword, ast.List, ast.ListComp, ast.Starred, ast.Tuple,
)  # fmt: skip
"""What may stand between the arguments of a call and the `await` or the call that it is made for."""
_AWAITS: Final = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)


class SetOrder:
    """The kinds of the expressions in the methods of one class."""

    def __init__(self, methods: list[MethodCode], bindings: Bindings) -> None:
        self._methods = {method.name: method for method in methods}
        self._bindings = bindings
        self._kinds: dict[Place, str | None] = {}
        self._hashes = StableHashes(bindings)

    def leaks(self, code: MethodCode) -> Iterator[ast.expr]:
        """Each expression through which the order of a set gets out of a method."""
        for loop in code.each(ast.For):
            if self.kind(code, loop.iter) and self._is_recorded(code, loop.body):
                yield loop.iter
        lists: list[ast.ListComp | ast.SetComp | ast.GeneratorExp]
        lists = [*code.each(ast.ListComp), *code.each(ast.SetComp), *code.each(ast.GeneratorExp)]
        for made in lists:
            yield from self._leaks_in(code, made.generators, [made.elt])
        for made_dict in code.each(ast.DictComp):
            yield from self._leaks_in(code, made_dict.generators, [made_dict.key, made_dict.value])
        for call in code.each(ast.Call):
            if self._passes_on(code, call):
                many = self._takes_many(code, call)
                for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                    kind = self.kind(code, argument)
                    if kind == ORDER or (kind and many):
                        yield argument
        for end in code.each(ast.Return):
            public = not code.name.startswith("_") and not code.is_inner(end)
            if public and end.value is not None and self.kind(code, end.value) == ORDER:
                yield end.value

    def _leaks_in(
        self, code: MethodCode, generators: list[ast.comprehension], made: list[ast.expr]
    ) -> Iterator[ast.expr]:
        for number, generator in enumerate(generators):
            inner = [*made, *generator.ifs, *generators[number + 1 :]]
            if self.kind(code, generator.iter) and self._is_recorded(code, inner):
                yield generator.iter

    # ---- what the oplog holds ---------------------------------------------------------------------------------------

    def _is_recorded(self, code: MethodCode, nodes: Iterable[ast.AST], *, deeper: bool = True) -> bool:
        """Whether running these does something that the oplog holds."""
        for node in code.walk(nodes):
            if isinstance(node, _AWAITS) or (isinstance(node, ast.comprehension) and node.is_async):
                return True
            if not isinstance(node, ast.Call):
                continue
            if self._is_seen_outside(code, node):
                return True
            name = self._bindings.attribute(code, node.func)
            method = self._methods.get(name or "")
            if deeper and method is not None and self._is_recorded(method, method.node.body, deeper=False):
                return True
        return False

    def _is_seen_outside(self, code: MethodCode, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Attribute) and call.func.attr in _RECORDED:
            return True
        for name in code.meanings.names_of(call.func):
            ours = of_the_house(name)
            if name.startswith("asyncio.") or (ours[:1].islower() and ours not in _UNRECORDED):
                return True
        return False

    def _passes_on(self, code: MethodCode, call: ast.Call) -> bool:
        """Whether the oplog holds what a call is given, as for an agent, a promise or a task; not for a step."""
        if code.is_step(call):
            return False
        if self._is_seen_outside(code, call):
            return True
        if not isinstance(call.func, ast.Attribute) or self._bindings.attribute(code, call.func):
            return False
        inner: ast.AST = call
        around = code.parents.get(call)
        while isinstance(around, _AROUND) or (isinstance(around, ast.Call) and inner is around.func):
            inner, around = around, code.parents.get(around)
        return isinstance(around, ast.Await) or (isinstance(around, ast.Call) and self._is_seen_outside(code, around))

    def _takes_many(self, code: MethodCode, call: ast.Call) -> bool:
        names = code.meanings.names_of(call.func)
        return any(of_the_house(name) in _TAKES_MANY or name == "asyncio.as_completed" for name in names)

    # ---- kinds ------------------------------------------------------------------------------------------------------

    def kind(self, code: MethodCode, node: ast.AST | None) -> str | None:
        """`SET`, `ORDER` or None."""
        rule = None if node is None else self._rules.get(type(node))
        return None if rule is None else rule(self, code, node)

    def _of_display(self, code: MethodCode, node: Any) -> str | None:
        return None if self._hashes.has_stable_elements(code, node) else SET

    def _of_comprehension(self, code: MethodCode, node: Any) -> str | None:
        return ORDER if any(self.kind(code, each.iter) for each in node.generators) else None

    def _of_items(self, code: MethodCode, node: Any) -> str | None:
        parts = node.values if isinstance(node, ast.Dict | ast.JoinedStr) else node.elts
        return ORDER if any(self.kind(code, part) == ORDER for part in parts) else None

    def _of_spread(self, code: MethodCode, node: Any) -> str | None:
        return ORDER if self.kind(code, node.value) else None

    def _of_value(self, code: MethodCode, node: Any) -> str | None:
        return self.kind(code, node.value)

    def _of_either(self, code: MethodCode, node: Any) -> str | None:
        parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
        kinds = [self.kind(code, part) for part in parts]
        return SET if SET in kinds else ORDER if ORDER in kinds else None

    def _of_operation(self, code: MethodCode, node: Any) -> str | None:
        kinds = [self.kind(code, node.left), self.kind(code, node.right)]
        if isinstance(node.op, ast.Add | ast.Mult | ast.Mod):
            return ORDER if ORDER in kinds else None
        if isinstance(node.op, _SET_OPERATORS):
            if SET in (kinds[:1] if isinstance(node.op, ast.Sub) else kinds):
                return SET
            if any(_is_view(part) for part in (node.left, node.right)):
                return SET
            return ORDER if ORDER in kinds else None
        return None

    def _of_item(self, code: MethodCode, node: Any) -> str | None:
        picked = isinstance(node.slice, ast.Slice | ast.UnaryOp) or (
            isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
        )
        return ORDER if picked and self.kind(code, node.value) == ORDER else None

    def _of_call(self, code: MethodCode, node: Any) -> str | None:
        names = code.meanings.names_of(node.func)
        if any(name in SETS for name in names):
            return None if self._hashes.has_stable_elements(code, node) else SET
        kinds = [self.kind(code, argument) for argument in node.args]
        if any(name in _IN_ORDER or name.startswith("itertools.") for name in names):
            return ORDER if any(kinds) else None
        if not isinstance(node.func, ast.Attribute):
            return None
        method, owner = node.func.attr, node.func.value
        if method == "fromkeys" or (method == "join" and isinstance(owner, ast.Constant)):
            return ORDER if any(kinds) else None
        kind = self.kind(code, owner)
        if kind == SET:
            return SET if method in SET_METHODS else ORDER if method == "pop" else None
        return ORDER if kind == ORDER and method in _ORDER_METHODS else None

    def _of_name(self, code: MethodCode, node: Any) -> str | None:
        place = self._bindings.place(code, node)
        if place is not None:
            if place not in self._kinds:
                self._kinds[place] = None  # while it is asked of itself
                self._kinds[place] = self._kind_of_place(code, place)
            return self._kinds[place]
        found = code.meanings.object_of(node)
        if type(found) in (set, frozenset):
            return None if all(type(element) in (int, float, bool) for element in found) else SET
        return None

    def _kind_of_place(self, code: MethodCode, place: Place) -> str | None:
        home = self._bindings.home
        if place.unpacked or place.sorted or any(_is_sorted(home(value, code), value) for value in place.values):
            return None
        for annotation in place.annotations:
            if type_name(annotation) in _SET_TYPES:
                return None if element_type(annotation) in STABLE_TYPES else SET
        grows = not all(self._hashes.is_stable(home(element, code), element) for element in place.added) or not all(
            self._hashes.has_stable_elements(home(source, code), source) for source in place.updated
        )
        kinds = [
            SET if grows and _is_set(home(value, code), value) else self.kind(home(value, code), value)
            for value in place.values
        ]
        if all(kinds):
            return None if not kinds else SET if SET in kinds else ORDER
        filled = any(self._follows_a_set(home(node, code), place, node) for node in place.grown)
        return ORDER if filled and not any(kinds) else None

    def _follows_a_set(self, code: MethodCode, place: Place, node: ast.AST) -> bool:
        """Whether something grows in a loop over a set, other than a number."""
        if isinstance(node, ast.Name | ast.Attribute) and not any(_is_sequence(value) for value in place.values):
            return False
        around = code.parents.get(node)
        while around is not None:
            if isinstance(around, ast.For) and self.kind(code, around.iter):
                return True
            around = code.parents.get(around)
        return False

    _rules: ClassVar[dict[type[ast.AST], Callable[[Any, MethodCode, Any], str | None]]] = {
        ast.Set: _of_display,
        ast.SetComp: _of_display,
        ast.ListComp: _of_comprehension,
        ast.GeneratorExp: _of_comprehension,
        ast.DictComp: _of_comprehension,
        ast.List: _of_items,
        ast.Tuple: _of_items,
        ast.Dict: _of_items,
        ast.JoinedStr: _of_items,
        ast.Starred: _of_spread,
        ast.FormattedValue: _of_spread,
        ast.NamedExpr: _of_value,
        ast.IfExp: _of_either,
        ast.BoolOp: _of_either,
        ast.BinOp: _of_operation,
        ast.Subscript: _of_item,
        ast.Call: _of_call,
        ast.Name: _of_name,
        ast.Attribute: _of_name,
    }


def _is_set(code: MethodCode, value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return any(name in SETS for name in code.meanings.names_of(value.func))
    return isinstance(value, ast.Set | ast.SetComp)


def _is_sorted(code: MethodCode, value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and "builtins.sorted" in code.meanings.names_of(value.func)


def _is_view(node: ast.expr) -> bool:
    """`d.keys()` or `d.items()`, which `&`, `-` and their like make a set of."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("keys", "items")


def _is_sequence(value: ast.expr) -> bool:
    text = isinstance(value, ast.Constant) and isinstance(value.value, str | bytes)
    return text or isinstance(value, ast.JoinedStr | ast.List | ast.ListComp | ast.Tuple)
