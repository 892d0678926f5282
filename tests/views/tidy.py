"""What is asked of every still picture: nothing outside, no text over another, bounded and well-formed SVG."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from workbench.views.drawing import Drawing, Group, Mark, Path, Rect, Shape, Text, flat, svg
from workbench.views.lettering import plain, text_width

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "desc", "g", "title", "rect", "path", "text"}
ATTRIBUTES = {
    "class",
    "role",
    "aria-label",
    "width",
    "height",
    "viewBox",
    "direction",
    "font-family",
    "font-size",
    "font-weight",
    "x",
    "y",
    "rx",
    "d",
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-opacity",
    "text-anchor",
    "transform",
}


def texts(drawing: Drawing) -> list[str]:
    """All text that is seen."""
    return [mark.text for mark in flat(drawing.marks) if isinstance(mark, Text)]


def titles(drawing: Drawing) -> list[str]:
    """What is told to who points at something."""

    def of(marks: tuple[Mark, ...]) -> Iterator[str]:
        for mark in marks:
            if isinstance(mark, Group):
                yield mark.title
                yield from of(mark.marks)

    return list(of(drawing.marks))


def shapes(drawing: Drawing) -> list[Shape]:
    """The marks of statuses."""
    return [mark for mark in flat(drawing.marks) if isinstance(mark, Shape)]


def box(text: Text) -> tuple[float, float, float, float]:
    """Where a text lies: left, top, right, bottom."""
    # Fonts are narrower than the room that is left for them; a twelfth is taken off.
    wide = text_width(plain(text.text), text.size, bold=text.bold) * 11 / 12
    left = text.x - {"start": 0.0, "middle": wide / 2, "end": wide}[text.anchor]
    return left, text.y - text.size / 2, left + wide, text.y + text.size / 2


def assert_tidy(drawing: Drawing, most: int = 200_000) -> None:
    """Hold a picture to what is asked of all of them.

    Args:
        drawing: the picture.
        most: characters of its SVG at most.
    """
    boxes = [(mark.text, box(mark)) for mark in flat(drawing.marks) if isinstance(mark, Text)]
    for text, (left, top, right, bottom) in boxes:
        assert left >= 0, text
        assert top >= 0, text
        assert right <= drawing.width, text
        assert bottom <= drawing.height, text
    for i, (text, (left, top, right, bottom)) in enumerate(boxes):
        for other, (left2, top2, right2, bottom2) in boxes[:i]:
            apart = right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
            assert apart, (text, other)
    for mark in flat(drawing.marks):
        assert all(map(math.isfinite, numbers(mark))), mark
        for x, y in places(mark):
            assert -1 <= x <= drawing.width + 1, mark
            assert -1 <= y <= drawing.height + 1, mark
    written = svg(drawing)
    assert len(written) <= most
    for node in ET.fromstring(written).iter():  # noqa: S314 - we wrote it
        assert node.tag.removeprefix(SVG) in TAGS
        assert set(node.keys()) <= ATTRIBUTES
        assert not any("url(" in value for key, value in node.items() if key != "aria-label")


def numbers(mark: Mark) -> list[float]:
    """All numbers of a mark."""
    if isinstance(mark, Path):
        return [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)|nan|inf", mark.d)]
    return [value for value in vars_of(mark) if isinstance(value, float)]


def vars_of(mark: Mark) -> list[object]:
    """The values of a mark."""
    return [getattr(mark, name) for name in mark.__struct_fields__]


def places(mark: Mark) -> list[tuple[float, float]]:
    """Points that a mark reaches."""
    if isinstance(mark, Rect):
        return [(mark.x, mark.y), (mark.x + mark.width, mark.y + mark.height)]
    if isinstance(mark, Path):
        found = numbers(mark)
        return list(zip(found[::2], found[1::2], strict=True))
    if isinstance(mark, Shape):
        return [(mark.x - mark.r, mark.y - mark.r), (mark.x + mark.r, mark.y + mark.r)]
    return []
