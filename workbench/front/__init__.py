"""What runs in the page: ES modules and style sheets, and how they become one text.

The modules are written by hand for the browser, without a bundler, and import each other by name; a widget and an
exported page carry one module, `assemble`d from those they need.
"""

import re
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
DASHBOARD: Final = (
    "graph_store",
    "graph_layout",
    "graph_paint",
    "graph",
    "tape",
    "desk",
    "marks",
    "graph_pane",
    "time_axis",
    "lanes",
    "arrows",
    "timeline_paint",
    "timeline",
    "promises",
    "forks",
    "oplog",
    "why",
    "scrubber",
    "dashboard",
)
"""Modules of the dashboard, in the order in which they need each other."""

SHEETS: Final = ("graph", "dashboard", "timeline", "promises", "forks", "oplog", "why")
"""Style sheets of the dashboard."""


def script() -> str:
    """The script of a page that shows a dashboard by itself."""
    parts = assemble(*DASHBOARD).replace("export default ", "const dashboard = ", 1)
    return f"{parts}{assemble('page')}openPage();\n"


def assemble(*names: str) -> str:
    """One ES module from several, in order: imports from each other go, only the last one's default export stays.

    Lines that hold nothing but a comment go too: a saved notebook keeps the module's text.
    """
    texts = []
    for name in names:
        text = (_HERE / f"{name}.js").read_text("utf-8")
        text = re.sub(r"^import [^;]*;\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^export \{[^}]*\};\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE)
        text = re.sub(r"^[ \t]*/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^[ \t]*//.*\n", "", text, flags=re.MULTILINE)
        texts.append(re.sub(r"^[ \t]+", "", text, flags=re.MULTILINE))
    return "".join(texts)


def styles(*names: str) -> str:
    """The style sheets of these names, one after the other."""
    return "".join((_HERE / f"{name}.css").read_text("utf-8") for name in names)
