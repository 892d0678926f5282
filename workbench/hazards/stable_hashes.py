"""Which values hash alike in each process: numbers, and the tasks of an agent. A set of them is ordered alike too."""

import ast
from typing import Final

from workbench.hazards.bindings import Bindings, Place, element_type, type_name
from workbench.hazards.method_code import MethodCode

SETS: Final = frozenset({"builtins.set", "builtins.frozenset"})
SET_METHODS: Final = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
"""Methods of a set that give a set."""
STABLE_TYPES: Final = frozenset({"bool", "complex", "float", "int", "Future", "Task"})

_NUMBERS: Final = frozenset(
    f"builtins.{name}" for name in ("int", "float", "bool", "len", "ord", "abs", "round", "sum")
)
_SAME_ELEMENTS: Final = SETS | {f"builtins.{name}" for name in ("list", "tuple", "sorted", "reversed", "iter")}
_MAKES_TASKS: Final = frozenset({"create_task", "ensure_future"})


class StableHashes:
    """What can be said of the expressions in the methods of one class; what is not known does not hash alike."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._stable: dict[Place, bool] = {}
        self._elements: dict[Place, bool] = {}

    def is_stable(self, code: MethodCode, node: ast.expr) -> bool:
        """Whether a value hashes alike everywhere."""
        match node:
            case ast.Constant(value=value):
                return isinstance(value, int | float | complex)
            case ast.Compare():
                return True
            case ast.UnaryOp(operand=operand):
                return self.is_stable(code, operand)
            case ast.BinOp(left=left, right=right):
                return self.is_stable(code, left) and self.is_stable(code, right)
            case ast.Tuple(elts=elements):
                return all(self.is_stable(code, element) for element in elements)
            case ast.Call(func=function):
                makes_tasks = isinstance(function, ast.Attribute) and function.attr in _MAKES_TASKS
                return makes_tasks or any(name in _NUMBERS for name in code.meanings.names_of(function))
            case ast.Name() | ast.Attribute():
                place = self._bindings.place(code, node)
                return place is not None and self._holds_stable(code, place)
        return False

    def _holds_stable(self, code: MethodCode, place: Place) -> bool:
        home = self._bindings.home
        if place not in self._stable:
            self._stable[place] = True  # while it is asked of itself
            self._stable[place] = not place.unpacked and (
                any(type_name(annotation) in STABLE_TYPES for annotation in place.annotations)
                or (
                    bool(place.values or place.items)
                    and all(self.is_stable(home(value, code), value) for value in place.values)
                    and all(self.has_stable_elements(home(source, code), source) for source in place.items)
                )
            )
        return self._stable[place]

    def has_stable_elements(self, code: MethodCode, node: ast.expr) -> bool:
        """Whether all that is in a collection does."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return all(self._is_stable_part(code, element) for element in elements)
            case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
                return self.is_stable(code, element)
            case ast.BinOp(left=left, right=right):
                return self.has_stable_elements(code, left) and self.has_stable_elements(code, right)
            case ast.Call(func=function, args=arguments):
                names = code.meanings.names_of(function)
                if "builtins.range" in names:
                    return True
                if isinstance(function, ast.Attribute) and function.attr in SET_METHODS:
                    arguments = [function.value, *arguments]
                elif not any(name in _SAME_ELEMENTS for name in names):
                    return False
                return all(self.has_stable_elements(code, argument) for argument in arguments)
            case ast.Name() | ast.Attribute():
                return self._place_has_stable_elements(code, node)
        return False

    def _is_stable_part(self, code: MethodCode, node: ast.expr) -> bool:
        return (
            self.has_stable_elements(code, node.value) if isinstance(node, ast.Starred) else self.is_stable(code, node)
        )

    def _place_has_stable_elements(self, code: MethodCode, node: ast.expr) -> bool:
        place = self._bindings.place(code, node)
        if place is None:
            found = code.meanings.object_of(node)
            return type(found) in (set, frozenset, list, tuple) and all(type(e) in (int, float, bool) for e in found)
        if place not in self._elements:
            self._elements[place] = True  # while it is asked of itself
            self._elements[place] = any(element_type(a) in STABLE_TYPES for a in place.annotations) or (
                bool(place.values) and not place.unpacked and self._is_filled_stably(code, place)
            )
        return self._elements[place]

    def _is_filled_stably(self, code: MethodCode, place: Place) -> bool:
        home = self._bindings.home
        appended = [each.args[-1] for each in place.grown if isinstance(each, ast.Call) and each.args]
        return (
            len(appended) == len(place.grown)
            and all(self.is_stable(home(element, code), element) for element in (*place.added, *appended))
            and all(self.has_stable_elements(home(v, code), v) for v in (*place.values, *place.updated))
        )
