"""The source of a class, and a revision: a short hash that changes when its code does, and with nothing else.

A class is found by the first lines of its own functions, which the interpreter keeps, so it is found in a notebook cell
too, where there is no module file. A file is parsed once for all the classes in it.

The revision is that of the syntax tree without docstrings, comments, places and the decorators of the class. It does
not depend on the process, nor on where the text stands. Functions that a method calls are no part of it.
"""

import ast
import functools
import inspect
import linecache
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from hashlib import blake2b
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple

PARSE_ATTEMPTS: Final = 50
"""CPython 3.11 counts the depth of all threads' trees in one place, so that a parse may fail because another thread
parses too. A lock would not do: IPython parses as well, and takes none. Trying again does."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_PLACELESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN: Final = frozenset({bool, bytes, complex, float, int, str, type(None)})


class Written(NamedTuple):
    """A class as it was written: the file, all its lines, the statement."""

    filename: str
    lines: list[str]
    node: ast.ClassDef


class _File(NamedTuple):
    """A parsed file: its classes by their own first line and those of their functions, and by qualified name."""

    lines: list[str]
    by_line: dict[int, ast.ClassDef]
    by_name: dict[str, ast.ClassDef]


_NOTHING: Final = _File([], {}, {})
_last = _NOTHING
"""The file that was parsed last: classes of one file come one after the other."""


def source_of(cls: type) -> str:
    """The text of a class with its decorators, moved to the left margin; empty when there is none."""
    found = written(cls)
    if found is None:
        return ""
    return textwrap.dedent("".join(found.lines[_first_line(found.node) - 1 : found.node.end_lineno]))


def revision_of(cls: type) -> str:
    """16 hexadecimal digits for the code of a class and of its user-defined bases.

    Where there is no source, the compiled functions are hashed instead; that hash differs between versions of Python.
    """
    digest = blake2b(digest_size=8)
    for part in cls.__mro__:
        if part is not cls and _is_of_the_house(part):
            continue
        found = written(part)
        text = _compiled_text(part) if found is None else _tree_text(found.node, decorated=part is not cls)
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def written(cls: type) -> Written | None:
    """Where and how a class was written; None when no source can be had, or it is not the one that was compiled."""
    name = cls.__qualname__.rpartition(".")[2]
    readable = False
    for function in own_functions(cls):
        file = _read(function.__code__.co_filename)
        node = file.by_line.get(function.__code__.co_firstlineno)
        if node is not None and node.name == name:
            return Written(function.__code__.co_filename, file.lines, node)
        readable = readable or bool(file.lines)
    filename = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    file = _read(filename)
    line = vars(cls).get("__firstlineno__")  # from Python 3.13 on
    node = file.by_name.get(cls.__qualname__) if line is None else file.by_line.get(line)
    if readable or node is None or node.name != name:
        return None
    return Written(filename, file.lines, node)


def own_functions(cls: type) -> list[FunctionType]:
    """The functions that the statement of the class defines, without their decorators."""
    found = [function_in(member) for member in vars(cls).values()]
    return [f for f in found if f is not None and f.__qualname__.rpartition(".")[0] == cls.__qualname__]


def function_in(member: object) -> FunctionType | None:
    """The plain function behind a member of a class: a method, property, static or class method, or a wrapped one."""
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    elif isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property | functools.partialmethod):
        member = member.func
    else:
        member = inspect.getattr_static(member, "agent_method", member)  # beside a verb of the class
    try:
        plain = inspect.unwrap(member) if callable(member) else None
    except ValueError:  # it wraps itself
        return None
    return plain if isinstance(plain, FunctionType) else None


def _is_of_the_house(cls: type) -> bool:
    top = cls.__module__.partition(".")[0]
    return top == "workbench" or top in sys.stdlib_module_names


# ---- reading ----------------------------------------------------------------------------------------------------


def _read(filename: str) -> _File:
    global _last  # noqa: PLW0603 - a cache of one
    linecache.checkcache(filename)
    lines = linecache.getlines(filename)
    last = _last
    if lines is last.lines or not lines:
        return last if lines else _NOTHING
    try:
        tree = parse("".join(lines))
    except (SyntaxError, ValueError):  # not Python, or bytes that no source may have
        return _File(lines, {}, {})
    file = _last = _index(lines, tree)
    return file


def parse(text: str) -> ast.Module:
    """`ast.parse` that other threads do not disturb.

    Raises:
        SyntaxError: it is no Python.
        ValueError: it cannot be Python at all, or nests too deep.
    """
    for _ in range(PARSE_ATTEMPTS):
        try:
            return ast.parse(text)
        except (SystemError, RecursionError):
            continue
    raise ValueError("the source cannot be parsed")


def _index(lines: list[str], tree: ast.Module) -> _File:
    file = _File(lines, {}, {})
    stack: list[tuple[ast.AST, ast.ClassDef | None, str]] = [(tree, None, "")]
    while stack:
        node, owner, prefix = stack.pop()
        for child in statements(node):
            if isinstance(child, ast.ClassDef):
                file.by_line[_first_line(child)] = file.by_name[prefix + child.name] = child
                stack.append((child, child, f"{prefix}{child.name}."))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                if owner is not None:
                    file.by_line[_first_line(child)] = owner
                stack.append((child, None, f"{prefix}{child.name}.<locals>."))
            else:
                stack.append((child, owner, prefix))
    return file


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements right inside a statement, with the arms of `try` and `match` among them."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, field, None)
        if isinstance(inner, list):
            yield from inner


def _first_line(node: Definition) -> int:
    return node.decorator_list[0].lineno if node.decorator_list else node.lineno


# ---- texts to hash ----------------------------------------------------------------------------------------------


def _tree_text(root: ast.ClassDef, *, decorated: bool) -> str:
    """A tree as text: the same for equal code, on each version of Python that parses it alike. Without recursion."""
    parts: list[str] = []
    stack: list[ast.AST | str] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        parts.append(f"({type(item).__name__}")
        stack.append(")")
        for field in reversed(item._fields):
            value = getattr(item, field, None)
            if value is None or value == [] or field in ("ctx", "kind"):
                continue
            if isinstance(value, ast.AST):
                stack += (value, field)
            elif isinstance(value, list):
                if field == "body" and _is_docstring(item, value[0]):
                    value = value[1:]
                elif field == "decorator_list" and item is root and not decorated:
                    continue
                stack.append("]")
                stack += [v if isinstance(v, ast.AST) else repr(v) for v in reversed(value)]
                stack.append(f"{field}[")
            else:
                stack.append(f"{field}={_constant(value)}")
    return " ".join(parts)


def _is_docstring(owner: ast.AST, first: ast.AST) -> bool:
    return (
        isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


def _constant(value: object) -> str:
    """A constant as text; a number in hexadecimal, because a long one has no decimal text."""
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)


def _compiled_text(cls: type) -> str:
    """What can be said of a class without source: its functions' code, and its plain attributes."""
    parts = [cls.__qualname__]
    for name, member in sorted(vars(cls).items()):
        function = function_in(member)
        if function is not None:
            parts += [name, *_function_texts(function)]
        elif type(member) in _PLAIN and not name.startswith("__"):
            parts.append(f"{name}={_constant(member)}")
    return "\n".join(parts)


def _function_texts(function: Callable[..., Any]) -> list[str]:
    """A function, its annotations, and the functions that it closes over."""
    texts: list[str] = []
    seen: set[int] = set()
    stack: list[object] = [function]
    while stack:
        item = stack.pop()
        if not isinstance(item, FunctionType) or id(item) in seen:
            continue
        seen.add(id(item))
        texts.append(_code_text(item.__code__))
        texts += [f"{name}: {_annotation(hint)}" for name, hint in item.__annotations__.items()]
        texts.append(_const_text((item.__defaults__, *(item.__kwdefaults__ or {}).items())))
        for cell in item.__closure__ or ():
            try:
                stack.append(cell.cell_contents)
            except ValueError:  # not filled yet
                continue
    return texts


def _annotation(hint: object) -> str:
    return hint.__qualname__ if type(hint) is type else _PLACELESS.sub("", str(hint))


def _code_text(code: CodeType) -> str:
    consts = [_const_text(const) for const in code.co_consts]
    return repr((code.co_name, code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars))


def _const_text(const: object) -> str:
    if isinstance(const, CodeType):
        return _code_text(const)
    if isinstance(const, tuple):
        return f"({', '.join(map(_const_text, const))})"
    if isinstance(const, frozenset):
        return f"{{{', '.join(sorted(map(_const_text, const)))}}}"
    return _constant(const) if type(const) in _PLAIN else type(const).__qualname__
