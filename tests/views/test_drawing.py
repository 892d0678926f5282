"""Marks and their SVG: bounded, well-formed, and nothing but text where text is meant."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from workbench.views.drawing import (
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Shape,
    Text,
    arrow_head,
    curve,
    fitted,
    flat,
    hatching,
    polyline,
    svg,
)
from workbench.views.graph_looks import SHAPES, arc
from workbench.views.graph_nodes import Status
from workbench.views.lettering import LONGEST, fitting, plain, short_id, text_width

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</text></svg><script>alert(1)</script>",
    '" onload="alert(1)',
    r"$\frac{1}{2}$",
    "\x00\x1b[31m\x7f\x9f",
    "\ud800\udfff",
    "a\nb\r\n\tc",
    "\u202egnirts\u202c\u200f\u2066",
    "x" * 512,
    "]]><!--",
]
PLAIN_PATH = re.compile(r"(?:[MLCZ]|-?(?:\d+\.?\d*|\.\d+)|\s)*")


def drawn(*marks: Mark, title: str = "a picture") -> ET.Element:
    """The SVG of these marks, which must be well-formed."""
    return ET.fromstring(svg(Drawing(100, 50, title, marks, "more")))  # noqa: S314 - we wrote it


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_text(text: str) -> None:
    """Whatever an agent is called, in a text, a title or the description, is one line of text, and is cut."""
    root = ET.fromstring(svg(Drawing(100, 50, text, (Group(text, (Text(0, 0, text),)),), text)))  # noqa: S314 - likewise
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "g", "rect", "text", "title", "desc"}
    for node in root.iter():
        if node.tag.removeprefix(SVG) in ("text", "title", "desc"):
            assert node.text == plain(text)
            assert len(node.text) <= LONGEST
            assert "\n" not in node.text
    assert root.get("aria-label") == plain(text)
    assert not set(root.keys()) - {
        "class",
        "role",
        "aria-label",
        "width",
        "height",
        "viewBox",
        "direction",
        "font-family",
        "font-size",
    }


def test_it_speaks_to_those_who_cannot_see_it() -> None:
    """The title is the label of the image, the description stands in it."""
    root = drawn(title="two agents")
    assert (root.get("role"), root.get("aria-label")) == ("img", "two agents")
    assert root.findtext(f"{SVG}desc") == "more"


def test_each_mark_is_an_element() -> None:
    """Rectangles, paths, text and shapes are drawn in their order, on a light ground."""
    root = drawn(
        Rect(1, 2, 3, 4, fill="#123456"), Path("M0 0L1 1", "#000000"), Text(0, 0, "x"), Shape(Status.DONE, 5, 5)
    )
    tags = [node.tag.removeprefix(SVG) for node in root]
    assert tags == ["desc", "rect", "rect", "path", "text", "g"]
    assert root[1].get("fill") == "#ffffff"
    assert root[2].get("fill") == "#123456"


def test_a_wide_picture_is_shown_smaller() -> None:
    """Beyond a thousand pixels a picture shrinks to six tenths at most; what is drawn stays the same."""
    assert Drawing(1000, 10, "", ()).scale == 1
    root = ET.fromstring(svg(Drawing(1250, 100, "", ())))  # noqa: S314 - likewise
    assert (root.get("width"), root.get("viewBox")) == ("1000", "0 0 1250 100")
    assert Drawing(9000, 10, "", ()).scale == 0.6


def test_paths_are_of_the_plain_kind() -> None:
    """All that makes paths, and the marks of the statuses, writes absolute moves, lines, curves and closings only."""
    paths = [
        polyline((0, 0), (1, 2), closed=True),
        curve((0, 0), (100, 20)),
        curve((100, 0), (0, 20)),
        arrow_head((5, 5), (0, 0)),
        arrow_head((5, 5), (5, 5)),
        hatching(0, 0, 50, 10),
        arc(1, 0, 290),
        *(piece.d for pieces in SHAPES.values() for piece in pieces),
    ]
    assert all(PLAIN_PATH.fullmatch(path) for path in paths)


def test_hatching_stays_inside() -> None:
    """The slanted lines fill the rectangle and do not leave it."""
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", hatching(10, 20, 33, 8, 4))]
    assert all(10 <= x <= 43 for x in numbers[::2])
    assert all(20 <= y <= 28 for y in numbers[1::2])
    assert len(numbers) // 4 == 10


def test_texts_are_cut_to_their_room() -> None:
    """A text that does not fit ends in an ellipsis and is no wider than its room; one that fits is left alone."""
    for text in ("Worker(7)", "W" * 60, "日本語" * 20, "ill" * 60):
        cut = fitting(text, 120)
        assert text_width(cut) <= 120
        assert cut == text or cut.endswith("…")
    assert fitting("Worker(7)", 120) == "Worker(7)"
    assert fitted(Text(0, 0, "W" * 60, size=10.5), 60).text.startswith("WW")
    assert fitting("anything", 0) == "…"


def test_phantoms_have_short_names() -> None:
    """The id of a phantom is told by its first digits; nothing else that stands in brackets is."""
    assert short_id("Worker(7)[12345678-1234-4234-9234-123456789012]") == "Worker(7)[1234…]"
    assert short_id("Worker([1,2])") == "Worker([1,2])"


def test_groups_can_be_taken_apart() -> None:
    """A reader that knows no groups gets the marks in them, in order."""
    marks = Rect(0, 0, 1, 1), Group("a", (Text(0, 0, "x"), Group("b", (Shape(Status.IDLE, 0, 0),))))
    assert [type(mark) for mark in flat(marks)] == [Rect, Text, Shape]
