"""The picture of what a child costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.bench.figure import LINES, draw, growth
from workbench.bench.goals import Result, Workload

SIZES = (100, 1000, 10_000)


@pytest.fixture
def result() -> Result:
    """A fan-out, measured in two rounds."""
    rounds = [{f"{side} {size}": scale * size for side in LINES for size in SIZES} for scale in (10.0, 20.0)]
    medians = {name: 1.5 * figure for name, figure in rounds[0].items()}
    return Result(Workload("fan-out", "about", ()), medians, rounds)


def test_each_side_is_a_line(result: Result) -> None:
    """Each side is drawn against the number of children, in microseconds on two log scales, and named in the legend."""
    (axes,) = growth(result).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.get_lines()}
    for label, _, _ in LINES.values():
        assert lines[label] == [pytest.approx([size, 1e6 / (15 * size)]) for size in SIZES]
    assert "µs" in axes.get_ylabel()
    legend = axes.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == set(lines)


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_suffix_says_which_kind(result: Result, suffix: str, begins: bytes, tmp_path: Path) -> None:
    """The file is of the kind that its name says; an SVG keeps its words."""
    path = tmp_path / f"growth.{suffix}"
    draw(result, path)
    assert path.read_bytes().startswith(begins)
    if suffix == "svg":
        assert all(size in path.read_text("utf-8") for size in ("100", "1,000", "10,000", "children of one fan-out"))
