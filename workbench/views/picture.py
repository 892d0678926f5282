"""Still pictures of the agent graph: SVG for saved notebooks and exports, one line of text for plain outputs.

The SVG looks like the live widget, drawn once and tidily: the tree grows to the right, a parent stands in the middle of its
children. It has a light ground of its own, so that it reads on a dark page too, uses attributes only (no styles, scripts or
references, which would leak into the page or be stripped from it), and every name in it is escaped text. More than 50
siblings, and whatever goes beyond `MOST` agents in all, are folded into bands that count; failed agents and those that run
longest stand beside their band.
"""

import re
from html import escape
from typing import Final

import msgspec

from workbench.views.graph import GraphNode, GraphView, Link, Origin, Status, status_of

FOLD: Final = 50
"""Siblings drawn one by one at most; as in `agent_graph_layout.js`."""
MOST: Final = 160
"""Agents drawn one by one at most, in the whole picture."""
COLUMN, STEP, ROW, CHIP_W, CHIP_H, TALL, GAP = 178, 32, 34, 148, 26, 13, 0.6
LONGEST_TEXT: Final = 200

ORDER: Final = (Status.DONE, Status.RUNNING, Status.WAITING, Status.QUEUED, Status.FAILED, Status.UNDEFINED, Status.IDLE)
"""The order in which people want to read counts."""
_COLOURS: Final = dict(zip(Status, ("#8a8a8a", "#757575", "#0072b2", "#d98c00", "#009e73", "#d55e00", "#b0609a"), strict=True))
_STROKES: Final[dict[int, tuple[str, str]]] = {
    Link.CALL: (_COLOURS[Status.RUNNING], ""),
    Link.TRIGGER: (_COLOURS[Status.RUNNING], "7 4"),
    Link.PROMISE: (_COLOURS[Status.WAITING], "1.5 4"),
}
_FORK: Final = (_COLOURS[Status.UNDEFINED], "8 3 2 3")
_INK, _FAINT, _EDGE, _GROUND = "#1c1c1c", "#666666", "#b9bec5", "#ffffff"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def graph_summary(view: GraphView) -> str:
    """One line: `12 agents: 9 done, 2 running, 1 failed`."""
    counts = view.counts()
    total = sum(counts.values())
    return f"{total} {'agent' if total == 1 else 'agents'}" + (f": {_counted(counts)}" if total else "")


def graph_svg(view: GraphView) -> str:
    """The graph as an SVG document of bounded size."""
    boxes, bands, edges = _arrange(view)
    width = max([240.0] + [b.x + CHIP_W for b in boxes.values()] + [b.x + CHIP_W + 24 for b in bands]) + 24
    height = max([40.0] + [b.y + ROW / 2 for b in boxes.values()] + [b.y + ROW for b in bands]) + 12
    parts = [_edge(a, b, _FORK if forked else (_EDGE, ""), 1.3) for a, b, forked in edges]
    parts += _links(view, boxes, bands)
    parts += [_band(band) for band in bands]
    parts += [_chip(box) for box in boxes.values()]
    legend, legend_width = _legend(view, height + 20)
    width, total = max(width, legend_width), height + 38
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_text(graph_summary(view))}" '
        f'width="{width:.0f}" height="{total:.0f}" viewBox="0 0 {width:.0f} {total:.0f}" font-family="{_FONT}" font-size="12">'
        f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{total - 1:.0f}" rx="8" fill="{_GROUND}" stroke="#dddddd"/>'
        f"{''.join(parts)}{legend}</svg>"
    )


class _Box(msgspec.Struct):
    """A node on the picture: left edge and middle."""

    node: GraphNode
    x: float = 0
    y: float = 0


class _Band(msgspec.Struct):
    """Folded children of a parent."""

    parent: int
    title: str
    counts: dict[Status, int]
    x: float = 0
    y: float = 0


class _Family(msgspec.Struct):
    members: list[int]
    band: _Band | None
    rows: float = 1


def _arrange(view: GraphView) -> tuple[dict[int, _Box], list[_Band], list[tuple[tuple[float, float], tuple[float, float], bool]]]:
    """Places of nodes and bands, and the edges of the tree between them as pairs of points."""
    kids: dict[int, list[int]] = {}
    for node in view.nodes:
        kids.setdefault(node.parent, []).append(node.slot)
    families = _choose(view, kids)
    span: dict[int, float] = {}
    for slot in sorted(families, reverse=True):  # children have higher slots than their parents
        family = families[slot]
        leaves = not any(m in families for m in family.members)
        rows = sum(span.get(m, 1.0) for m in family.members)
        if leaves and len(family.members) > TALL:
            rows = -(-len(family.members) // -(-len(family.members) // TALL))
        family.rows = rows + (2.2 if family.band else 0)
        span[slot] = max(1.0, family.rows + GAP)
    boxes: dict[int, _Box] = {}
    bands: list[_Band] = []
    edges: list[tuple[tuple[float, float], tuple[float, float], bool]] = []
    todo: list[tuple[int, float, float]] = [(-1, 24 - COLUMN - STEP, 16 - ROW * GAP / 2)]
    while todo:
        slot, x, top = todo.pop()
        middle = top + span[slot] * ROW / 2
        if slot >= 0:
            boxes[slot].y = middle
        family, x, row = families[slot], x + COLUMN + STEP, top + ROW * (span[slot] - families[slot].rows) / 2
        start = (x - COLUMN - STEP + CHIP_W, middle)
        if family.band:
            family.band.x, family.band.y = x, row + ROW * 1.1
            bands.append(family.band)
            if slot >= 0:
                edges.append((start, (x, family.band.y), False))
            row += ROW * 2.2
        tall = family.rows - (2.2 if family.band else 0)
        leaves = not any(m in families for m in family.members)
        at = row
        for i, member in enumerate(family.members):
            rows = span.get(member, 1.0)
            column = i // round(tall) if leaves and tall else 0
            if leaves:
                at = row + (i % max(1, round(tall))) * ROW
            boxes[member] = _Box(view.nodes[member], x + column * COLUMN, at + rows * ROW / 2)
            if slot >= 0:
                edges.append((start, (x + column * COLUMN, at + rows * ROW / 2), view.nodes[member].origin == Origin.FORKED))
            if member in families:
                todo.append((member, x, at))
            at += rows * ROW
    return boxes, bands, edges


def _choose(view: GraphView, kids: dict[int, list[int]]) -> dict[int, _Family]:
    """Which children of whom are drawn one by one, breadth first, until `MOST` are."""
    families: dict[int, _Family] = {}
    left, level = MOST, [-1]
    while level:
        following = []
        for parent in level:
            members = kids.get(parent, [])
            if not members:
                continue
            band = None
            if len(members) > FOLD or len(members) > left:
                members, band = _fold(view, parent, members, max(0, min(20, left)))
            left -= len(members)
            families[parent] = _Family(members, band)
            following += members
        level = following
    return families or {-1: _Family([], None)}


def _fold(view: GraphView, parent: int, members: list[int], room: int) -> tuple[list[int], _Band]:
    nodes = [view.nodes[m] for m in members]
    counts = dict.fromkeys(Status, 0)
    for node in nodes:
        counts[status_of(node)] += 1
    failed = [n.slot for n in nodes if status_of(n) is Status.FAILED][: max(0, room - 3)]
    busy = [n for n in nodes if status_of(n) in (Status.RUNNING, Status.WAITING)]
    slow = [n.slot for n in sorted(busy, key=lambda n: n.since)[: min(3, room)]]
    types = {node.type_name for node in nodes}
    title = f"{len(nodes)} × {types.pop()}" if len(types) == 1 else f"{len(nodes)} agents"
    return sorted(failed + slow), _Band(parent, title, counts)


# ---- marks -------------------------------------------------------------------------------------------------------------


def _text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text from an agent, cut, without what XML forbids, escaped."""
    text = _NOT_XML.sub("\ufffd", text)
    return escape(text if len(text) <= longest else text[: longest - 1] + "…")


def _counted(counts: dict[Status, int], comma: str = ", ") -> str:
    return comma.join(f"{counts[s]} {s.word}" for s in ORDER if counts.get(s))


def _name(node: GraphNode) -> str:
    if node.origin == Origin.ROOT:
        return "notebook"
    return node.label or re.sub(r"\[([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}\]\Z", r"[\1…]", node.agent_id)


def _edge(a: tuple[float, float], b: tuple[float, float], stroke: tuple[str, str], width: float) -> str:
    colour, dash = stroke
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    if b[0] >= a[0]:
        bend = min((b[0] - a[0]) / 2, 40)
        path = f"M{a[0]:.0f} {a[1]:.1f}C{a[0] + bend:.0f} {a[1]:.1f} {b[0] - bend:.0f} {b[1]:.1f} {b[0]:.0f} {b[1]:.1f}"
    else:
        path = f"M{a[0]:.0f} {a[1]:.1f}C{a[0] + 40:.0f} {a[1]:.1f} {b[0] + 40:.0f} {b[1]:.1f} {b[0]:.0f} {b[1]:.1f}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _links(view: GraphView, boxes: dict[int, _Box], bands: list[_Band]) -> list[str]:
    """Open calls and waits; those of folded agents join at their band."""
    stands = {band.parent: band for band in bands}
    drawn: dict[tuple[int, float, float, float, float], str] = {}
    for wait in view.links():
        if wait.kind not in _STROKES or len(drawn) >= MOST:
            continue
        ends = [_end(view, uid, boxes, stands) for uid in (wait.agent, wait.on)]
        if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
            continue
        (ax, ay, aw), (bx, by, bw) = ends
        a, b = ((ax + aw, ay), (bx, by)) if bx > ax + aw / 2 else ((ax, ay + 6), (bx + bw, by + 6)) if bx + bw / 2 < ax else ((ax + aw, ay), (bx + bw, by))
        drawn.setdefault((wait.kind, *a, *b), _edge(a, b, _STROKES[wait.kind], 1.8))
    return list(drawn.values())


def _end(view: GraphView, uid: int, boxes: dict[int, _Box], bands: dict[int, _Band]) -> tuple[float, float, float] | None:
    node = view.node(uid)
    while node is not None and node.slot not in boxes:
        if node.parent in bands and node.parent in boxes:
            band = bands[node.parent]
            return band.x, band.y, CHIP_W + 24
        node = view.nodes[node.parent] if node.parent >= 0 else None
    return (boxes[node.slot].x, boxes[node.slot].y, CHIP_W) if node is not None else None


def _shape(status: Status, x: float, y: float, r: float = 6) -> str:
    """The mark of a status; its shape alone tells it."""
    colour = _COLOURS[status]
    if status is Status.RUNNING:
        return f'<path d="M{x - r * 0.7:.1f} {y - r * 0.95:.1f}L{x + r:.1f} {y:.1f}L{x - r * 0.7:.1f} {y + r * 0.95:.1f}Z" fill="{colour}"/>'
    if status is Status.WAITING:
        return f'<path d="M{x:.1f} {y - r * 1.08:.1f}l{r * 1.08:.1f} {r * 1.08:.1f}l{-r * 1.08:.1f} {r * 1.08:.1f}l{-r * 1.08:.1f} {-r * 1.08:.1f}Z" fill="{colour}"/>'
    if status is Status.FAILED:
        cross = f"M{x - r * 0.4:.1f} {y - r * 0.4:.1f}l{r * 0.8:.1f} {r * 0.8:.1f}m0 {-r * 0.8:.1f}l{-r * 0.8:.1f} {r * 0.8:.1f}"
        side = f'x="{x - r * 0.92:.1f}" y="{y - r * 0.92:.1f}" width="{r * 1.84:.1f}" height="{r * 1.84:.1f}"'
        return f'<rect {side} rx="1" fill="{colour}"/><path d="{cross}" stroke="{_GROUND}" stroke-width="1.7"/>'
    if status is Status.DONE:
        check = f"M{x - r * 0.42:.1f} {y + 0.1:.1f}l{r * 0.32:.1f} {r * 0.32:.1f}l{r * 0.56:.1f} {-r * 0.66:.1f}"
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/><path d="{check}" fill="none" stroke="{_GROUND}" stroke-width="1.6"/>'
    if status is Status.UNDEFINED:
        side = f"l{r / 2:.1f} {-r * 0.87:.1f}h{r}l{r / 2:.1f} {r * 0.87:.1f}l{-r / 2:.1f} {r * 0.87:.1f}h{-r}Z"
        return f'<path d="M{x - r:.1f} {y:.1f}{side}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r * (0.55 if status is Status.IDLE else 0.82):.1f}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _chip(box: _Box) -> str:
    node, x, y = box.node, box.x, box.y
    status = status_of(node)
    root = node.origin == Origin.ROOT
    colour = "#1976d2" if root else _COLOURS[status]
    strong = root or status in (Status.RUNNING, Status.FAILED)
    tint = {Status.RUNNING: 0.13, Status.FAILED: 0.13, Status.WAITING: 0.1, Status.DONE: 0.05}.get(status, 0) if not root else 0
    frame = f'x="{x:.0f}" y="{y - CHIP_H / 2:.1f}" width="{CHIP_W}" height="{CHIP_H}" rx="7"'
    dash = ' stroke-dasharray="3 3"' if not root and status in (Status.QUEUED, Status.IDLE) else ""
    mark = (
        f'<rect x="{x + 8.5:.1f}" y="{y - 7:.1f}" width="11" height="14" rx="2" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        f'<path d="M{x + 12:.1f} {y - 7:.1f}v14" stroke="{colour}" stroke-width="1.4"/>'
        if root
        else _shape(status, x + 14, y)
    )
    return (
        f"<g><title>{_text(node.agent_id)}: {status.word}</title>"
        f'<rect {frame} fill="{_GROUND}"/><rect {frame} fill="{colour}" fill-opacity="{tint}" stroke="{colour}" '
        f'stroke-width="{1.5 if strong else 1}" stroke-opacity="{1 if strong else 0.6}"{dash}/>{mark}'
        f'<text x="{x + 26:.0f}" y="{y + 4:.1f}" fill="{_INK}">{_text(_name(node), 19)}</text></g>'
    )


def _band(band: _Band) -> str:
    x, y, w, h = band.x, band.y - 30, CHIP_W + 19, 57
    parts = [
        f'<rect x="{x + off:.1f}" y="{y + off:.1f}" width="{w}" height="{h}" rx="8" fill="{_GROUND}" stroke="{_EDGE}"/>' for off in (5, 2.5, 0)
    ]
    total, at, bar = sum(band.counts.values()), x + 11, w - 22
    for status in (*ORDER[:4], Status.IDLE, Status.UNDEFINED, Status.FAILED):
        if count := band.counts[status]:
            part = min(max(2.0, bar * count / total), x + 11 + bar - at)
            faint = ' fill-opacity="0.35"' if status in (Status.QUEUED, Status.IDLE) else ""
            parts.append(f'<rect x="{at:.1f}" y="{y + 27:.1f}" width="{max(part, 0):.1f}" height="5" fill="{_COLOURS[status]}"{faint}/>')
            at += part
    return (
        f"<g><title>{_counted(band.counts)}</title>{''.join(parts)}"
        f'<text x="{x + 11:.0f}" y="{y + 19:.1f}" fill="{_INK}" font-weight="600">{_text(band.title, 24)}</text>'
        f'<text x="{x + 11:.0f}" y="{y + 48:.1f}" fill="{_FAINT}" font-size="10.5">{_text(_counted(band.counts, " · "), 32)}</text></g>'
    )


def _legend(view: GraphView, y: float) -> tuple[str, float]:
    counts = view.counts()
    total = sum(counts.values())
    x, title = 24.0, f"{total} {'agent' if total == 1 else 'agents'}"
    parts = [f'<text x="{x:.0f}" y="{y + 4:.0f}" fill="{_INK}" font-weight="600">{title}</text>']
    x += 7.2 * len(title) + 18
    for status in ORDER:
        if counts[status]:
            text = f"{counts[status]} {status.word}"
            parts.append(f'{_shape(status, x + 5, y, 4.8)}<text x="{x + 15:.0f}" y="{y + 4:.0f}" fill="{_INK}">{text}</text>')
            x += 15 + 6.6 * len(text) + 16
    return "".join(parts), x + 12


