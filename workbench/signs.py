"""Text from agents made fit for a line of a terminal, and for a page that looks for formulas."""

from typing import Final

NO_FORMULAS: Final = 'class="tex2jax_ignore mathjax_ignore"'
"""Belongs to the outermost element of HTML for a notebook, which is searched for formulas: a name that looks like one
would be typeset, links and all. The classes are those of MathJax 2 (nbconvert) and 3 (JupyterLab)."""


def printable(text: str) -> str:
    """A text with an escape for each sign that is not printable: control signs, halves of pairs, marks of direction."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def printed(lines: list[str]) -> str:
    """Lines below each other, each one printable."""
    return "\n".join(map(printable, lines))
