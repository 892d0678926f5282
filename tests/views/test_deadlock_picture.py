"""The picture of a refused deadlock: each agent and call of the ring, the refused one, the cure; names are text."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench.errors import DeadlockError, StalledError
from workbench.views.deadlock_picture import CALLS_DRAWN, deadlock_svg, title_of
from workbench.views.ring import CHIP_H, CHIP_W, MOST, ROUND, ring_of, shape_of
from workbench.widgets import deadlocks

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</text></svg><script>alert(1)</script>\x00<img src=x onerror=alert(1)>\u202e漢"


def ring(size: int, edge: int = -1) -> DeadlockError:
    """A cycle of so many agents."""
    return DeadlockError([(f"Node({n})", "Node.visit", f"/home/me/lesson.py:{10 + n}") for n in range(size)], edge)


def shown(error: DeadlockError) -> list[str]:
    """All text of the picture, which must be well-formed."""
    tree = ET.fromstring(deadlock_svg(error))  # noqa: S314 - we wrote it
    return [node.text or "" for node in tree.iter(f"{SVG}text")]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 12])
def test_each_agent_and_call_is_drawn(size: int) -> None:
    """Every agent stands there once, every call has its line without the folders, one is refused, one is the cure."""
    texts = shown(ring(size))
    assert [t for t in texts if t.startswith("Node(")] == [f"Node({n})" for n in range(size)]
    assert [t for t in texts if t.startswith("lesson.py:")] == [f"lesson.py:{10 + n}" for n in range(size)]
    assert texts.count("refused") == 1
    assert texts.count("turn into .visit.trigger(...)") == 1


def test_the_cure_may_be_another_call_than_the_refused_one() -> None:
    """The mark for `.trigger` stands at the call that `edge` names, and in the advice below."""
    texts = shown(ring(3, 0))
    assert texts.index("turn into .visit.trigger(...)") == texts.index("lesson.py:10") + 1
    assert texts.index("refused") == texts.index("lesson.py:12") + 1
    assert "Turn the call at lesson.py:10 into" in " ".join(texts)


def test_a_long_cycle_lacks_its_middle_and_says_so() -> None:
    """A ring of thousands is a picture of bounded size that counts what it leaves out; its end is the refused call."""
    texts = shown(ring(5000))
    assert len([t for t in texts if t.startswith("Node(")]) == CALLS_DRAWN
    assert any(f"{5000 - CALLS_DRAWN:,} more" in t for t in texts)
    assert "lesson.py:5009" in texts
    assert len(deadlock_svg(ring(5000))) < 20_000


def test_a_ring_keeps_its_ends_and_its_edge() -> None:
    """What is left out is the middle; the edge is found again, or -1 when it is left out."""
    cycle = [(f"Node({n})", "visit", "") for n in range(100)]
    told = ring_of(cycle, -1)
    assert (len(told.cycle), told.edge, told.left, told.gap) == (MOST, MOST - 1, 100 - MOST, MOST // 2)
    assert told.cycle[told.edge] == cycle[-1]
    assert ring_of(cycle, 3).edge == 3
    assert ring_of(cycle, 50).edge == -1
    assert ring_of(cycle[:3], -1) == ring_of(cycle[:3], 2)


@pytest.mark.parametrize("size", range(1, ROUND + 4))
def test_nothing_lies_over_an_agent(size: int) -> None:
    """Agents lie apart, and an arrow ends at the frame of the next agent, from outside."""
    shape = shape_of(size)
    for (ax, ay), (bx, by) in itertools.combinations(shape.chips, 2):
        assert abs(ax - bx) > CHIP_W + 10 or abs(ay - by) > CHIP_H + 10
    for i, arc in enumerate(shape.arcs):
        x, y = shape.chips[(i + 1) % size]
        dx, dy = abs(arc.tip[0] - x) - CHIP_W / 2, abs(arc.tip[1] - y) - CHIP_H / 2
        assert 0 < max(dx, dy) < 12
        assert math.isfinite(arc.turn)


def test_hostile_names_are_text() -> None:
    """Markup, controls and marks of direction in names, methods and lines are shown, and are never part of the SVG."""
    error = DeadlockError([(EVIL * 9, EVIL, EVIL), ("漢" * 400, "x" * 9000, "")])
    svg = deadlock_svg(error)
    tags = {node.tag for node in ET.fromstring(svg).iter()}  # noqa: S314 - we wrote it
    assert tags <= {f"{SVG}{tag}" for tag in ("svg", "g", "rect", "path", "text", "title", "desc")}
    assert "\u202e" not in svg
    assert "<script" not in svg


def test_a_method_that_nothing_wakes_has_a_picture_too() -> None:
    """`StalledError` is drawn as a wait that nothing ends, with its own advice."""
    error = StalledError("Stuck()", "wait", "lesson.py:7")
    assert "nothing will bring it" in shown(error)
    assert title_of(error).startswith("This agent would wait for ever")


def test_a_cell_that_ends_with_the_error_shows_the_picture() -> None:
    """As the value of a cell: IPython takes SVG from the error itself, and its text stays as it is."""
    shell: Any = InteractiveShell.instance()
    shell.display_formatter.active_types = shell.display_formatter.format_types
    data, _ = shell.display_formatter.format(ring(3))
    assert data["image/svg+xml"] == deadlock_svg(ring(3))
    assert "DeadlockError(" in data["text/plain"]


def test_a_cell_that_it_ended_shows_the_picture_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the extension watches, a cell that raised it, alone, in a group or as a cause, gets the picture."""
    published: list[dict[str, str]] = []
    monkeypatch.setattr(deadlocks, "publish_display_data", published.append)
    shell: Any = InteractiveShell.instance()
    shell.display_formatter.active_types = shell.display_formatter.format_types
    deadlocks.watch(shell)
    deadlocks.watch(shell)
    caused = ValueError()
    caused.__cause__ = ring(2)
    group = ExceptionGroup("two", [ValueError(), ExceptionGroup("inner", [ring(2)])])
    for error in (ring(2), group, caused, None, ValueError()):
        shell.events.trigger("post_run_cell", SimpleNamespace(error_in_exec=error))
    deadlocks.unwatch(shell)
    deadlocks.unwatch(shell)
    shell.events.trigger("post_run_cell", SimpleNamespace(error_in_exec=ring(2)))
    assert [data["text/plain"] for data in published] == [title_of(ring(2))] * 3
    assert published[0]["image/svg+xml"] == deadlock_svg(ring(2))
