"""How source files are called in lines and tracebacks; a notebook cell's made-up file is `In[3]` to people."""

import linecache
from collections.abc import Callable
from typing import Final

name_file: Final[list[Callable[[str], str | None]]] = []
"""Who may give a file a better name; the notebook extension adds itself here."""


_files: Final[dict[str, str]] = {}


def place_name(filename: str) -> str:
    """The name of a source file for people: the file's own unless somebody knows better, and always text."""
    for give in name_file:
        if name := give(filename):
            _files[name] = filename
            return name
    if filename.isascii():
        return filename
    name = filename.encode("utf-8", "backslashreplace").decode()  # a path may be bytes that are no text
    if name != filename:
        _files[name] = filename
    return name


def source_line(line: str) -> str:
    """The text of a source line, named as `file:line`; empty where the file is not here, or has changed its length."""
    name, _, number = line.rpartition(":")
    if not number.isdecimal():
        return ""
    return linecache.getline(_files.get(name, name), int(number)).strip()
