"""How source files are called in lines and tracebacks; a notebook cell's made-up file is `In[3]` to people."""

from collections.abc import Callable
from typing import Final

name_file: Final[list[Callable[[str], str | None]]] = []
"""Who may give a file a better name; the notebook extension adds itself here."""


def place_name(filename: str) -> str:
    """The name of a source file for people: the file's own unless somebody knows better."""
    for give in name_file:
        if name := give(filename):
            return name
    return filename
