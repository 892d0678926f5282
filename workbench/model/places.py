"""How source files are called in lines and tracebacks; a notebook cell's made-up file is `In[3]` to people."""

import linecache
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

PACKAGE: Final = str(Path(__file__).parents[1] / "_").removesuffix("_")
"""What the paths of the workbench's own source files begin with."""
name_file: Final[list[Callable[[str], str | None]]] = []
"""Who may give a file a better name; the notebook extension adds itself here."""


_files: Final[dict[str, str]] = {}
_DIGITS: Final = 10
_LONGEST: Final = 10_000_000


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
    """The text of a source line, named as `file:line`; empty where the file is not here, or has changed its length.

    The name may come from somebody else's store: nothing is read but cells of this process, and Python's files.
    """
    name, _, number = line.rpartition(":")
    file = _files.get(name, name)
    if not (number.isascii() and number.isdigit() and len(number) < _DIGITS):
        return ""
    return linecache.getline(file, int(number)).strip() if file in linecache.cache or _is_source(file) else ""


def _is_source(file: str) -> bool:
    """Whether a file is one of Python's, of a size that people write."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return False
    return file.endswith(".py") and stat.S_ISREG(found.st_mode) and found.st_size <= _LONGEST
