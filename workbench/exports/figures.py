"""Still pictures as matplotlib figures, for papers: the same marks as in the SVG of a notebook.

The figure belongs to nobody: it is made without `pyplot`, so no window, no global state and no style sheet has a part
in it. In PDF and SVG its text stays text. What an agent is called is shown letter by letter: a `$` begins no formula.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from workbench.views.drawing import GROUND, Drawing, Path, Rect, Shape, Text, flat
from workbench.views.graph_looks import COLOURS, SHAPES
from workbench.views.lettering import plain

PIXELS_PER_INCH: Final = 96.0
_POINTS: Final = 72.0 / PIXELS_PER_INCH
_FAMILIES: Final = ("Helvetica", "Arial", "Liberation Sans", "Segoe UI", "DejaVu Sans")
_REST: Final = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Symbols",
)
"""Families for the letters that the others lack."""
_KEPT: Final[dict[Any, Any]] = {
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "path.sketch": None,
    "patch.force_edgecolor": False,
    "pdf.fonttype": 42,
    "savefig.bbox": None,
    "savefig.edgecolor": "auto",
    "savefig.facecolor": "auto",
    "savefig.transparent": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "workbench",
    "text.usetex": False,
}
_ROUND: Final = 0.5523
_COMMAND: Final = re.compile(r"([MLCZ])([^MLCZ]*)")
_NUMBER: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_CODES: Final[dict[str, tuple[Any, ...]]] = {"M": (Outline.MOVETO,), "L": (Outline.LINETO,), "C": (Outline.CURVE4,) * 3}


@contextmanager
def _quietly() -> Iterator[None]:
    """Letters that no installed font has are drawn as boxes, which says enough."""
    with mpl.rc_context(_KEPT), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


class Sheet(Figure):
    """A figure that keeps its text as text, whatever the settings of who saves it."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """As `Figure.savefig`."""
        with _quietly():
            super().savefig(*args, **options)

    def _repr_png_(self) -> bytes:
        """Itself as a cell's output, whether or not pyplot is in use."""
        data = BytesIO()
        self.savefig(data, format="png")
        return data.getvalue()

    def draw(self, renderer: Any) -> None:
        """As `Figure.draw`."""
        with _quietly():
            super().draw(renderer)


def figure(drawing: Drawing) -> Figure:
    """The picture as a figure of its size, 96 pixels to the inch; save it with `figure.savefig("picture.pdf")`."""
    scale = drawing.scale
    with _quietly():
        sheet = Sheet(
            figsize=(drawing.width * scale / PIXELS_PER_INCH, drawing.height * scale / PIXELS_PER_INCH),
            dpi=2 * PIXELS_PER_INCH,
            facecolor=GROUND,
        )
        axes = sheet.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, drawing.width)
        axes.set_ylim(drawing.height, 0)
        painter = _Painter(axes, scale * _POINTS)
        for mark in flat(drawing.marks):
            painter.paint(mark)
    return sheet


class _Painter:
    """Puts marks on axes; `unit` is the points of a pixel."""

    def __init__(self, axes: Axes, unit: float) -> None:
        self._axes, self._unit = axes, unit
        there = {font.name for font in fontManager.ttflist}
        first = [name for name in _FAMILIES if name in there][:1]
        self._families = [
            *first,
            *(["DejaVu Sans"] if first != ["DejaVu Sans"] else []),
            *(f for f in _REST if f in there),
        ]
        self._order = 0

    def paint(self, mark: Rect | Path | Text | Shape) -> None:
        """One mark, over those before it."""
        self._order += 1
        match mark:
            case Rect():
                self._rect(mark)
            case Path():
                self._outline(outline(mark.d), mark.fill, mark.fade, mark.stroke, mark.thickness, mark.dash, mark.fade)
            case Text():
                self._text(mark)
            case Shape():
                self._shape(mark)

    def _rect(self, r: Rect) -> None:
        shape = rounded(r.x, r.y, max(r.width, 0), r.height, min(r.radius, r.width / 2, r.height / 2))
        self._outline(shape, r.fill, r.fade, r.stroke, r.thickness, r.dash, r.line_fade)

    def _outline(
        self, path: Outline, fill: str, fade: float, stroke: str, thickness: float, dash: str, line_fade: float
    ) -> None:
        width = thickness * self._unit
        patch = PathPatch(
            path,
            facecolor="none" if fill == "none" else (fill, fade),
            edgecolor="none" if stroke == "none" else (stroke, line_fade),
            linewidth=0 if stroke == "none" else width,
            capstyle="butt",
            joinstyle="miter",
            zorder=self._order,
            clip_on=False,
        )
        if dash and stroke != "none":
            per_width = width if mpl.rcParams["lines.scale_dashes"] else 1.0
            patch.set_linestyle((0, [float(part) * self._unit / per_width for part in dash.split()]))
        self._axes.add_artist(patch)

    def _text(self, t: Text) -> None:
        text = plain(t.text)
        size = t.size * self._unit
        self._axes.text(
            t.x,
            t.y + t.size / 3,
            text,
            fontsize=size,
            fontweight="bold" if t.bold else "normal",
            fontfamily=self._families,
            color=t.colour,
            ha={"start": "left", "middle": "center", "end": "right"}[t.anchor],
            va="baseline",
            parse_math=False,
            usetex=False,
            zorder=self._order,
            clip_on=False,
        )

    def _shape(self, s: Shape) -> None:
        colour = s.colour or COLOURS[s.status]
        place = Affine2D().scale(s.r).translate(s.x, s.y)
        for d, look in SHAPES[s.status]:
            path = outline(d).transformed(place)
            if isinstance(look, str):
                self._outline(path, colour, 1, "none", 0, "", 1)
            else:
                self._outline(path, "none", 1, colour if look > 0 else GROUND, abs(look) * s.r, "", 1)


def outline(d: str) -> Outline:
    """What matplotlib makes of a path of absolute `M`, `L`, `C` and `Z`."""
    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    for command, rest in _COMMAND.findall(d):
        if command == "Z":
            points.append((0.0, 0.0))
            codes.append(Outline.CLOSEPOLY)
            continue
        numbers = [float(number) for number in _NUMBER.findall(rest)]
        points += zip(numbers[::2], numbers[1::2], strict=True)
        codes += _CODES[command]
    return Outline(points, codes) if points else Outline(np.empty((0, 2)))


def rounded(x: float, y: float, width: float, height: float, radius: float) -> Outline:
    """A rectangle with round corners."""
    r, k = radius, radius * (1 - _ROUND)
    right, low = x + width, y + height
    if r <= 0:
        return Outline([(x, y), (right, y), (right, low), (x, low), (x, y)], closed=True)
    points = [(x + r, y), (right - r, y), (right - k, y), (right, y + k), (right, y + r)]
    points += [(right, low - r), (right, low - k), (right - k, low), (right - r, low)]
    points += [(x + r, low), (x + k, low), (x, low - k), (x, low - r), (x, y + r)]
    points += [(x, y + k), (x + k, y), (x + r, y), (x + r, y)]
    corner = [Outline.CURVE4] * 3
    codes = [Outline.MOVETO, Outline.LINETO, *corner, Outline.LINETO, *corner, Outline.LINETO, *corner]
    return Outline(points, [*codes, Outline.LINETO, *corner, Outline.CLOSEPOLY])
