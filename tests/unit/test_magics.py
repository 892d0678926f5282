"""Parsing of the notebook's commands, without a notebook."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from workbench.magics import Table, split_fanout


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('region in ["eu", "us"]', ("region", '["eu", "us"]', "")),
        ("x in range(10) --limit 4", ("x", "range(10)", "--limit 4")),
        ("x in xs --limit 4 --into ys --on-error collect", ("x", "xs", "--limit 4 --into ys --on-error collect")),
        ('x in ["a --limit 3", "b"] --limit 2', ("x", '["a --limit 3", "b"]', "--limit 2")),
        ("x in [y for y in ys if y in zs] --again", ("x", "[y for y in ys if y in zs]", "--again")),
        ("  x   in   {1, 2}  ", ("x", "{1, 2}", "")),
        ("x in a - -b --name n", ("x", "a - -b", "--name n")),
    ],
)
def test_a_fanout_line_is_split(line: str, parts: tuple[str, str, str]) -> None:
    """Variable, expression and options are told apart, also when the expression holds words that look like options."""
    assert split_fanout(line) == parts


@pytest.mark.parametrize(
    "line", ["", "x", "x of xs", "x in", "x in --limit 3", "1x in xs", "x.y in xs", "x in [1, 2", "in in in"]
)
def test_a_wrong_fanout_line_is_a_usage_error(line: str) -> None:
    """The error is one line that says how to write it."""
    with pytest.raises(UsageError, match="VARIABLE in EXPRESSION") as caught:
        split_fanout(line)
    assert "\n" not in str(caught.value)


def test_a_table_shows_markup_as_text() -> None:
    """Cells come from agents: in HTML they are escaped, in text they are as they are."""
    evil = "</td><img src=x onerror=alert(1)>"
    table = Table(("agent",), [(evil,)], note=evil)
    assert "<img" not in table._repr_html_()
    assert evil in repr(table)
