"""Figures: the same pictures by matplotlib, which nobody else's settings touch."""

from __future__ import annotations

import io
import sys
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from tests.exports.lessons import every_verb, hostile, tape_of
from tests.views.test_drawing import HOSTILE
from workbench.exports.figures import PIXELS_PER_INCH, figure, outline, rounded
from workbench.views.drawing import Drawing, Group, Path, Rect, Shape, Text, flat, hatching
from workbench.views.forks_picture import forks_drawing
from workbench.views.graph_looks import SHAPES
from workbench.views.graph_nodes import Status
from workbench.views.graph_picture import graph_drawing
from workbench.views.lettering import plain
from workbench.views.promises_picture import promises_drawing
from workbench.views.timeline_picture import timeline_drawing

KINDS = ("graph", "timeline", "forks", "promises")


def picture(kind: str, *, evil: bool = False) -> Drawing:
    """A picture of a real session, or of one with hostile names."""
    tape = tape_of(hostile().entries if evil else every_verb())
    moment = tape.moment()
    if kind == "graph":
        return graph_drawing(tape.view)
    if kind == "timeline":
        return timeline_drawing(tape, moment)
    return forks_drawing(tape, moment) if kind == "forks" else promises_drawing(tape, moment)


def saved(shown: Figure, form: str) -> bytes:
    """The file of a figure."""
    into = io.BytesIO()
    shown.savefig(into, format=form)
    return into.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_every_mark_is_there(kind: str) -> None:
    """Each text and each line or area of the drawing is an artist of the figure, in the same order and size."""
    drawing = picture(kind)
    shown = figure(drawing)
    marks = list(flat(drawing.marks))
    pieces = sum(len(SHAPES[m.status]) if isinstance(m, Shape) else not isinstance(m, Text) for m in marks)
    [axes] = shown.axes
    assert sum(isinstance(artist, PathPatch) for artist in axes.get_children()) == pieces
    assert [text.get_text() for text in axes.texts] == [plain(m.text) for m in marks if isinstance(m, Text)]
    assert shown.get_size_inches() * PIXELS_PER_INCH == pytest.approx(
        [drawing.width * drawing.scale, drawing.height * drawing.scale]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_it_can_be_saved(kind: str, form: str) -> None:
    """As SVG, PDF and PNG, without a warning; text stays text."""
    data = saved(figure(picture(kind)), form)
    assert data.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[form])
    if form == "svg":
        found = [node.text for node in ET.fromstring(data).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - ours
        assert len(found) > 3
        assert saved(figure(picture(kind)), form).count(b"<text") == len(found)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_no_formula(text: str) -> None:
    """Dollars, backslashes, markup and controls are shown letter by letter, as the SVG shows them."""
    shown = figure(Drawing(200, 50, "", (Group("", (Text(5, 20, text),)),)))
    [drawn] = shown.axes[0].texts
    assert drawn.get_text() == plain(text)
    assert not drawn.get_parse_math()
    assert not drawn.get_usetex()
    saved(shown, "svg")


def test_hostile_names_are_drawn() -> None:
    """Pictures full of them can be painted; letters that no font has are boxes, and nobody is warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in KINDS:
            saved(figure(picture(kind, evil=True)), "png")
        saved(figure(Drawing(200, 50, "", (Text(5, 20, "日本語 \U0001f98a \u05d0\u0e01\ufffd"),))), "png")


def test_texts_stay_in_their_place() -> None:
    """In the font at hand every text of the timeline lies on the page, and none runs into another."""
    shown = figure(picture("timeline"))
    canvas: Any = FigureCanvasAgg(shown)
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in shown.axes[0].texts]
    for i, (text, one) in enumerate(boxes):
        assert one.x0 >= 0, text
        assert one.x1 <= shown.bbox.width, text
        for other, two in boxes[:i]:
            apart = one.x1 <= two.x0 or two.x1 <= one.x0 or one.y1 <= two.y0 + 1 or two.y1 <= one.y0 + 1
            assert apart, (text, other)


def test_settings_of_others_have_no_part_in_it() -> None:
    """The same bytes come out whatever the style of the notebook, and no setting is changed by it."""
    drawing = picture("forks")
    plainly = saved(figure(drawing), "svg")
    strange = {
        "svg.fonttype": "path",
        "figure.autolayout": True,
        "lines.scale_dashes": False,
        "axes.facecolor": "red",
        "figure.facecolor": "black",
        "savefig.facecolor": "black",
        "font.size": 40,
        "patch.force_edgecolor": True,
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "text.color": "red",
        "text.parse_math": True,
    }
    with mpl.rc_context(strange):  # type: ignore[arg-type]
        before = dict(mpl.rcParams)
        again = saved(figure(drawing), "svg")
        assert dict(mpl.rcParams) == before
    assert _drawn(again) == _drawn(plainly)


def _drawn(data: bytes) -> list[str]:
    """What of an SVG is drawn, without when it was made."""
    tree = ET.fromstring(data)  # noqa: S314 - ours
    return [ET.tostring(node, encoding="unicode") for node in tree.iter("{http://www.w3.org/2000/svg}g")]


def test_no_window_is_opened() -> None:
    """The part of matplotlib that keeps figures and opens windows is not asked."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = list(pyplot.get_fignums()) if pyplot else []
    figure(picture("graph"))
    assert (list(pyplot.get_fignums()) if pyplot else []) == before


def test_outlines() -> None:
    """Paths are taken as they are; corners are round where they should be, and there are no bare ends."""
    path: Any = outline("M0 0L10 5C1 2 3 4 5.5 -6Z")
    assert path.vertices.tolist()[:5] == [[0, 0], [10, 5], [1, 2], [3, 4], [5.5, -6]]
    codes = [Outline.MOVETO, Outline.LINETO, *[Outline.CURVE4] * 3, Outline.CLOSEPOLY]
    assert path.codes.tolist() == codes
    hatched: Any = outline(hatching(0, 0, 30, 10))
    assert len(hatched.vertices) == 2 * 7
    box = rounded(0, 0, 10, 6, 2).get_extents()
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0, 0, 10, 6))
    plainest: Any = rounded(0, 0, 10, 6, 0)
    nothing: Any = outline("")
    assert len(plainest.vertices) == 5
    assert nothing.vertices.shape == (0, 2)


def test_dashes_and_fades() -> None:
    """A dashed line has its pattern in the figure's points, a faint area its opacity."""
    shown = figure(
        Drawing(
            96,
            96,
            "",
            (
                Path("M0 0L96 96", "#000000", 2, "4 2"),
                Rect(0, 0, 9, 9, 2, "#ff0000", fade=0.25),
                Shape(Status.DONE, 5, 5),
            ),
        )
    )
    patches: list[Any] = [artist for artist in shown.axes[0].get_children() if isinstance(artist, PathPatch)]
    line, area, *mark = patches
    assert line.get_linewidth() == pytest.approx(1.5)
    assert line._dash_pattern[1] == pytest.approx([3, 1.5])
    assert area.get_facecolor()[3] == pytest.approx(0.25)
    assert len(mark) >= 2
