"""Still pictures: valid, bounded, honest SVG in which every name is text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

import pytest

from tests.views.entry_log import EntryLog, fan_out
from workbench.model import entries as e
from workbench.views.drawing import GROUND
from workbench.views.graph import GraphView, Status
from workbench.views.graph_looks import BAR, COLOURS, ORDER, SHAPES
from workbench.views.graph_picture import CHIP_W, FOLD, MOST, TIMES, graph_summary, graph_svg

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</text></svg><script>alert(1)</script><img src=x onerror=alert(1)>"


def view_of(log: EntryLog) -> GraphView:
    """The view at the log's end."""
    view = GraphView()
    view.apply(log.entries)
    return view


def elements(svg: str) -> Iterator[ET.Element]:
    """All elements of a picture, which must be well-formed."""
    return ET.fromstring(svg).iter()  # noqa: S314 - we wrote it


def texts(svg: str) -> list[str]:
    """All text that the picture shows."""
    return [node.text or "" for node in elements(svg) if node.tag == f"{SVG}text"]


def test_the_summary_counts_in_words() -> None:
    """The plain text is one line with counts, without the session itself."""
    assert graph_summary(view_of(fan_out(11, done=8, failed=1))) == "12 agents: 8 done, 2 running, 1 waiting, 1 failed"
    assert graph_summary(GraphView()) == "0 agents"


def test_every_agent_of_a_small_graph_is_named() -> None:
    """Up to the fold each agent is drawn under its own name, and the root is the notebook."""
    shown = texts(graph_svg(view_of(fan_out(FOLD))))
    assert "notebook" in shown
    assert {f"Worker({i})" for i in range(FOLD)} <= set(shown)


def test_nothing_is_drawn_twice_in_one_place() -> None:
    """Boxes of agents do not overlap, whatever the shape of the tree."""
    log = EntryLog()
    agents = [log.root]
    for i in range(120):
        agents.append(log.agent(f"Node({i})", by=agents[i * 7 // 11]))
    seen = [
        (float(r.get("x", 0)), float(r.get("y", 0)))
        for r in elements(graph_svg(view_of(log)))
        if r.get("width") == str(CHIP_W) and r.get("fill") == GROUND
    ]
    assert len(seen) == 121
    for i, (x, y) in enumerate(seen):
        assert not any(abs(x - a) < 148 and abs(y - b) < 26 for a, b in seen[:i])


def test_many_siblings_fold_and_the_failed_stand_out() -> None:
    """Above the fold siblings are a band with counts; failed ones and the longest running still have their names."""
    svg = graph_svg(view_of(fan_out(200, done=180, failed=3)))
    shown = texts(svg)
    assert f"200 {TIMES} Worker" in shown
    assert "180 done · 17 running · 3 failed" in shown
    assert {"Worker(180)", "Worker(181)", "Worker(182)", "Worker(183)"} <= set(shown)
    assert "Worker(0)" not in shown


@pytest.mark.parametrize("shape", ["wide", "tree", "chain"])
def test_ten_thousand_agents_stay_small(shape: str) -> None:
    """The picture of 10,000 agents is under 200 KB and draws a bounded number of them."""
    log = EntryLog()
    agents = [log.root]
    for i in range(10_000):
        agents.append(log.agent(f"Node({i})", by=agents[{"wide": min(1, i), "tree": i // 8, "chain": i}[shape]]))
    svg = graph_svg(view_of(log))
    assert len(svg.encode()) < 200_000
    assert sum(node.startswith("Node") for node in texts(svg)) <= MOST


def test_each_status_has_a_mark_of_its_own() -> None:
    """Without any colour the statuses can be told apart, and each has a colour and a place in the order of reading."""
    assert len(set(SHAPES.values())) == len(Status)
    assert set(SHAPES) == set(COLOURS) == set(ORDER) == set(BAR) == set(Status)


def test_what_stands_still_stands_out_and_what_has_ended_fades() -> None:
    """An interrupted child stands beside its band like a failed one; a deleted one is counted, and its name is grey."""
    log = fan_out(200, done=150, failed=1)
    workers = {node.agent_id: node.uid for node in view_of(log).nodes}
    log.delete(workers["Worker(3)"])
    log.interrupt(workers["Worker(170)"])
    shown = texts(graph_svg(view_of(log)))
    assert {"Worker(150)", "Worker(170)"} <= set(shown)
    assert "1 interrupted" in shown
    assert "1 exited" in shown
    small = fan_out(2)
    small.delete(view_of(small).nodes[2].uid)
    names = {x.text: x.get("fill") for x in elements(graph_svg(view_of(small))) if x.tag == f"{SVG}text"}
    assert names["Worker(0)"] == "#666666"
    assert names["Worker(1)"] == "#1c1c1c"


def test_counts_stay_inside_their_band() -> None:
    """With more statuses than there is room for, the failed and interrupted are still counted, and a sign says more."""
    log = fan_out(80)
    workers = [node.uid for node in view_of(log).nodes if node.agent_id.startswith("Worker")]
    acts: list[Callable[[int], object]] = [
        log.delete,
        log.interrupt,
        lambda uid: log.put(uid, e.AgentFailed(b"")),
        lambda uid: log.put(uid, e.TimerSet(0)),
        lambda uid: log.call(uid, workers[-1]),
        lambda uid: log.put(uid, e.InvocationFinished(ok=True, value=b"")),
        lambda uid: log.revert(uid, 1),
    ]
    for i, uid in enumerate(workers[:70]):
        acts[i % len(acts)](uid)
    svg = graph_svg(view_of(log))
    small = [x for x in elements(svg) if x.tag == f"{SVG}text" and x.get("font-size") == "10.5"]
    assert small[-1].text == "…"
    places = [float(x.get("x", 0)) for x in small]
    assert max(places) - min(places) < 185
    assert len(small) < len(Status)


def test_names_are_text() -> None:
    """Markup in ids and labels is shown as text, and what XML forbids does not break the picture."""
    log = EntryLog()
    uid = log.agent(f'Worker("{EVIL}")')
    log.call(log.root, uid, label=EVIL[:13])
    log.agent('Worker("\x00\x1b\ud800")')
    svg = graph_svg(view_of(log))
    tags = {node.tag.removeprefix(SVG) for node in elements(svg)}
    assert tags <= {"svg", "g", "rect", "path", "circle", "text", "title"}
    assert "<script" not in svg
    assert "<img" not in svg
    assert EVIL[:13] in texts(svg)


def test_it_needs_nothing_from_outside() -> None:
    """No styles, references or scripts: it can stand in any page."""
    svg = graph_svg(view_of(fan_out(60, done=30, failed=2)))
    assert "href" not in svg
    assert "style" not in svg
    assert "url(" not in svg


def test_an_empty_view_is_a_picture_too() -> None:
    """Before the first entry there is a small valid picture."""
    assert texts(graph_svg(GraphView())) == ["0 agents"]
