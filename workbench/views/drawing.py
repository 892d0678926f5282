"""Still pictures as a list of marks, and the SVG of them.

A picture is described once, by a `Drawing`: a size, a few kinds of marks in the order in which they are painted, and
words for who cannot see it. `svg` writes it for a notebook; `workbench.exports.figures` paints the same marks with
matplotlib. The SVG has a light ground of its own, so that it reads on a dark page too, and uses attributes only:
styles, scripts and references would leak into the page or be stripped from it. Text is text: escaped, cut, and without
what XML forbids.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

import msgspec

from workbench.signs import NO_FORMULAS
from workbench.views.graph_looks import COLOURS, SHAPES
from workbench.views.graph_nodes import Status
from workbench.views.lettering import fitting, plain

INK, FAINT, EDGE, HAIR, GROUND = "#1c1c1c", "#666666", "#b9bec5", "#e7e9ec", "#ffffff"
FRAME: Final = "#dddddd"
SMALL: Final = 10.5
"""Size of small text; other text has 12."""
WIDEST: Final = 1000
"""Pixels beyond which a picture is shown smaller, down to six tenths."""
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_LETTER: Final = 12


class Rect(msgspec.Struct, frozen=True):
    """A rectangle. `fade` is the opacity of the fill, `line_fade` that of the frame."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 0
    fill: str = "none"
    stroke: str = "none"
    thickness: float = 1
    dash: str = ""
    fade: float = 1
    line_fade: float = 1


class Path(msgspec.Struct, frozen=True):
    """A line or an area. `d` holds absolute `M`, `L`, `C` and `Z` only; see `polyline` and `curve`."""

    d: str
    stroke: str = "none"
    thickness: float = 1
    dash: str = ""
    fill: str = "none"
    fade: float = 1


class Text(msgspec.Struct, frozen=True):
    """Words on one line whose middle is at `y`; `anchor` is `start`, `middle` or `end`."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    size: float = _LETTER
    bold: bool = False
    colour: str = INK


class Shape(msgspec.Struct, frozen=True):
    """The mark of a status, of radius `r`; its form alone tells it."""

    status: Status
    x: float
    y: float
    r: float = 6
    colour: str = ""
    """As the status has it, unless given."""


class Group(msgspec.Struct, frozen=True):
    """Marks with a title that is shown to who points at them."""

    title: str
    marks: "tuple[Mark, ...]"


Mark = Rect | Path | Text | Shape | Group


class Drawing(msgspec.Struct, frozen=True):
    """A still picture.

    Attributes:
        width: in pixels, `height` likewise.
        title: one line that says what is seen, for people and for screen readers.
        marks: what is painted, from the back to the front.
        description: more words for screen readers.
    """

    width: float
    height: float
    title: str
    marks: tuple[Mark, ...]
    description: str = ""

    @property
    def scale(self) -> float:
        """How much smaller it is shown than it is drawn."""
        return max(0.6, min(1.0, WIDEST / self.width))


def flat(marks: Iterable[Mark]) -> Iterator[Rect | Path | Text | Shape]:
    """The marks without their groups."""
    for mark in marks:
        if isinstance(mark, Group):
            yield from flat(mark.marks)
        else:
            yield mark


# ---- paths --------------------------------------------------------------------------------------------------------


def polyline(*points: tuple[float, float], closed: bool = False) -> str:
    """Straight lines from point to point."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def curve(a: tuple[float, float], b: tuple[float, float], begin: str = "M", most: float = 40) -> str:
    """A curve that leaves and arrives level."""
    bend = min((b[0] - a[0]) / 2, most) if b[0] >= a[0] else -most
    (ax, ay), (bx, by) = a, b
    return f"{begin}{ax:.0f} {ay:.1f}C{ax + abs(bend):.0f} {ay:.1f} {bx - bend:.0f} {by:.1f} {bx:.0f} {by:.1f}"


def arrow_head(tip: tuple[float, float], tail: tuple[float, float], size: float = 6) -> str:
    """A closed triangle at the end of a line."""
    (x, y), length = tip, math.dist(tip, tail) or 1
    dx, dy = (x - tail[0]) / length * size, (y - tail[1]) / length * size
    wide = 0.36
    return polyline(
        (x, y), (x - dx - dy * wide, y - dy + dx * wide), (x - dx + dy * wide, y - dy - dx * wide), closed=True
    )


def hatching(x: float, y: float, width: float, height: float, step: float = 5) -> str:
    """Slanted lines that fill a rectangle, from the upper right to the lower left."""
    lines = []
    for i in range(1, math.ceil((width + height) / step)):
        at = i * step
        top = (x + at, y) if at <= width else (x + width, y + at - width)
        low = (x, y + at) if at <= height else (x + at - height, y + height)
        lines.append(polyline(top, low))
    return "".join(lines)


def words(x: float, y: float, text: str, *, bold: bool = False, small: bool = False, faint: bool = False) -> Text:
    """Text in the house's sizes and colours, whose middle is at `y`."""
    return Text(x, y, text, size=SMALL if small else _LETTER, bold=bold, colour=FAINT if faint or small else INK)


def fitted(text: Text, width: float) -> Text:
    """The same text cut to a width."""
    return msgspec.structs.replace(text, text=fitting(text.text, width, text.size, bold=text.bold))


# ---- SVG ----------------------------------------------------------------------------------------------------------


def svg(drawing: Drawing) -> str:
    """The picture as an SVG document."""
    width, height = drawing.width, drawing.height
    size = f'width="{width * drawing.scale:.0f}" height="{height * drawing.scale:.0f}"'
    ground = _rect(Rect(0.5, 0.5, width - 1, height - 1, 8, GROUND, FRAME))
    more = f"<desc>{_text(drawing.description)}</desc>" if drawing.description else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {NO_FORMULAS} role="img" aria-label="{_text(drawing.title)}" '
        f'{size} viewBox="0 0 {width:.0f} {height:.0f}" direction="ltr" font-family="{_FONT}" font-size="{_LETTER}">'
        f"{more}{ground}{_marks(drawing.marks)}</svg>"
    )


def _marks(marks: Sequence[Mark]) -> str:
    return "".join(map(_mark, marks))


def _mark(mark: Mark) -> str:
    match mark:
        case Rect():
            return _rect(mark)
        case Path():
            return _path(mark)
        case Text():
            return _words(mark)
        case Shape():
            return _shape(mark)
        case Group(title, marks):
            return f"<g><title>{_text(title)}</title>{_marks(marks)}</g>"


def _text(text: str) -> str:
    return escape(plain(text))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _line(stroke: str, thickness: float, dash: str, fade: float) -> str:
    if stroke == "none":
        return ""
    parts = f' stroke="{stroke}"'
    if thickness != 1:
        parts += f' stroke-width="{thickness:g}"'
    if dash:
        parts += f' stroke-dasharray="{dash}"'
    return parts + (f' stroke-opacity="{fade:g}"' if fade < 1 else "")


def _rect(r: Rect) -> str:
    radius = f' rx="{r.radius:g}"' if r.radius else ""
    fade = f' fill-opacity="{r.fade:g}"' if r.fade < 1 else ""
    line = _line(r.stroke, r.thickness, r.dash, r.line_fade)
    return (
        f'<rect x="{_number(r.x)}" y="{_number(r.y)}" width="{_number(max(r.width, 0))}" '
        f'height="{_number(r.height)}"{radius} fill="{r.fill}"{fade}{line}/>'
    )


def _path(p: Path) -> str:
    fade = f' fill-opacity="{p.fade:g}"' if p.fade < 1 and p.fill != "none" else ""
    return f'<path d="{p.d}" fill="{p.fill}"{fade}{_line(p.stroke, p.thickness, p.dash, p.fade)}/>'


def _words(t: Text) -> str:
    size = f' font-size="{t.size:g}"' if t.size != _LETTER else ""
    weight = ' font-weight="600"' if t.bold else ""
    anchor = f' text-anchor="{t.anchor}"' if t.anchor != "start" else ""
    place = f'x="{_number(t.x)}" y="{_number(t.y + t.size / 3)}"'
    return f'<text {place}{anchor} fill="{t.colour}"{size}{weight}>{_text(t.text)}</text>'


def _shape(s: Shape) -> str:
    colour, parts = s.colour or COLOURS[s.status], []
    for d, look in SHAPES[s.status]:
        if isinstance(look, str):
            parts.append(f'<path d="{d}" fill="{colour}"/>')
        else:
            stroke = colour if look > 0 else GROUND
            parts.append(f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{abs(look):g}"/>')
    return f'<g transform="translate({_number(s.x)} {_number(s.y)}) scale({s.r:g})">{"".join(parts)}</g>'
