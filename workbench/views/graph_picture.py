"""Still pictures of the agent graph: SVG for saved notebooks and exports, one line of text for plain outputs.

The picture looks like the live widget, drawn once and tidily: the tree grows to the right, a parent stands in the
middle of its children. More than 50 siblings, and whatever goes beyond `MOST` agents in all, are folded into bands that
count; failed and interrupted agents, and those that run longest, stand beside their band.
"""

from typing import Final

import msgspec

from workbench.views.drawing import (
    EDGE,
    GROUND,
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Shape,
    Text,
    curve,
    fitted,
    polyline,
    svg,
    words,
)
from workbench.views.graph import GraphView
from workbench.views.graph_looks import BAR, COLOURS, DASHES, ORDER, PALE, STRONG, TINTS
from workbench.views.graph_nodes import BUSY, LOUD, GraphNode, Link, Origin, Status, status_of
from workbench.views.lettering import plain, short_id, text_width

FOLD: Final = 50
"""Siblings drawn one by one at most; as in the front end's layout."""
MOST: Final = 160
"""Agents drawn one by one at most, in the whole picture."""
COLUMN, STEP, ROW, CHIP_W, CHIP_H, TALL, GAP, BAND_W = 178, 32, 34, 148, 26, 13, 0.6, 196
NARROWEST: Final = 600
"""Pixels that the line of counts may take in any case."""
WORDS_IN_BAND: Final = 34

TIMES: Final = "\N{MULTIPLICATION SIGN}"
ROOT_COLOUR: Final = "#1976d2"
_STROKES: Final[dict[int, tuple[str, str]]] = {
    Link.CALL: (COLOURS[Status.RUNNING], ""),
    Link.TRIGGER: (COLOURS[Status.RUNNING], "7 4"),
    Link.PROMISE: (COLOURS[Status.WAITING], "1.5 4"),
}
_FORK: Final = (COLOURS[Status.UNDEFINED], "8 3 2 3")


def graph_summary(view: GraphView) -> str:
    """One line: `12 agents: 9 done, 2 running, 1 failed`."""
    counts = view.counts()
    total = sum(counts.values())
    return f"{total} {'agent' if total == 1 else 'agents'}" + (f": {_counted(counts)}" if total else "")


def graph_svg(view: GraphView) -> str:
    """The graph as an SVG document of bounded size."""
    return svg(graph_drawing(view))


def graph_drawing(view: GraphView) -> Drawing:
    """The graph as a picture of bounded size."""
    boxes, bands, routes = _arrange(view)
    width = max([240.0] + [b.x + CHIP_W for b in boxes.values()] + [b.x + BAND_W for b in bands]) + 24
    height = max([40.0] + [b.y + ROW / 2 for b in boxes.values()] + [b.y + ROW for b in bands]) + 12
    marks: list[Mark] = [Path(path, EDGE, 1.3) for slot, path in routes.items() if slot < 0]
    marks += [_stroke(path, *_tree_stroke(view.nodes[slot]), 1.3) for slot, path in routes.items() if slot >= 0]
    marks += _links(view, boxes, bands, routes)
    marks += [_band(band) for band in bands]
    marks += [_chip(box) for box in boxes.values()]
    legend, legend_width, bottom = _legend(view, height + 20, width)
    return Drawing(max(width, legend_width), bottom + 18, graph_summary(view), (*marks, *legend))


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


def _arrange(view: GraphView) -> tuple[dict[int, _Box], list[_Band], dict[int, str]]:
    """Places of nodes and bands, and the paths to them: by slot, to a band by minus its parent's slot minus one."""
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
    routes: dict[int, str] = {}
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
                routes[-slot - 1] = curve(start, (x, family.band.y))
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
                end = (boxes[member].x, boxes[member].y)
                rail = row + round((middle - row) / ROW) * ROW  # between two rows
                routes[member] = (
                    curve(start, end)
                    if not column
                    else curve(start, (x, rail)) + curve((end[0] - COLUMN + CHIP_W, rail), end, "L")
                )
            if member in families:
                todo.append((member, x, at))
            at += rows * ROW
    return boxes, bands, routes


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
    loud = sorted((n for n in nodes if status_of(n) in LOUD), key=lambda n: status_of(n) is not Status.FAILED)
    busy = sorted(
        (n for n in nodes if status_of(n) in BUSY), key=lambda n: (status_of(n) is not Status.RETRYING, n.since)
    )
    types = {node.type_name for node in nodes}
    title = f"{len(nodes)} {TIMES} {types.pop()}" if len(types) == 1 else f"{len(nodes)} agents"
    out = [n.slot for n in (*loud[: max(0, room - 3)], *busy[: min(3, room)])]
    return sorted(out), _Band(parent, title, counts)


# ---- marks --------------------------------------------------------------------------------------------------------


def _counted(counts: dict[Status, int], comma: str = ", ") -> str:
    return comma.join(f"{counts[s]} {s.word}" for s in ORDER if counts.get(s))


def _name(node: GraphNode) -> str:
    return "notebook" if node.origin == Origin.ROOT else node.label or short_id(node.agent_id)


def _stroke(path: str, colour: str, dash: str, width: float) -> Path:
    return Path(path, colour, width, dash)


def _tree_stroke(node: GraphNode) -> tuple[str, str]:
    return _FORK if node.origin == Origin.FORKED else (EDGE, "")


def _links(view: GraphView, boxes: dict[int, _Box], bands: list[_Band], routes: dict[int, str]) -> list[Path]:
    """Open calls and waits; those of folded agents join at their band."""
    stands = {band.parent: band for band in bands}
    drawn: dict[tuple[int, str], Path] = {}
    for wait in view.links():
        if wait.kind not in _STROKES or len(drawn) >= MOST:
            continue
        source, target = view.by_uid[wait.agent], view.by_uid[wait.on]
        if target.parent == source.slot and target.slot in routes:
            drawn.setdefault((wait.kind, routes[target.slot]), _stroke(routes[target.slot], *_STROKES[wait.kind], 1.8))
            continue
        one, two = (_end(view, uid, boxes, stands) for uid in (wait.agent, wait.on))
        if one is None or two is None or one == two:
            continue
        (ax, ay, aw), (bx, by, bw) = one, two
        if bx > ax + aw / 2:
            path = curve((ax + aw, ay), (bx, by))
        elif bx + bw / 2 < ax:
            path = curve((bx + bw, by + 6), (ax, ay + 6))
        else:
            path = curve((ax + aw, ay), (bx + bw, by))
        drawn.setdefault((wait.kind, path), _stroke(path, *_STROKES[wait.kind], 1.8))
    return list(drawn.values())


def _end(
    view: GraphView, uid: int, boxes: dict[int, _Box], bands: dict[int, _Band]
) -> tuple[float, float, float] | None:
    node = view.node(uid)
    while node is not None and node.slot not in boxes:
        if node.parent in bands and node.parent in boxes:
            band = bands[node.parent]
            return band.x, band.y, float(BAND_W)
        node = view.nodes[node.parent] if node.parent >= 0 else None
    return (boxes[node.slot].x, boxes[node.slot].y, CHIP_W) if node is not None else None


def _chip(box: _Box) -> Group:
    node, x, y = box.node, box.x, box.y
    status = status_of(node)
    root = node.origin == Origin.ROOT
    colour = ROOT_COLOUR if root else COLOURS[status]
    strong = root or status in STRONG
    top = y - CHIP_H / 2
    frame = Rect(
        round(x),
        top,
        CHIP_W,
        CHIP_H,
        7,
        colour,
        colour,
        1.5 if strong else 1,
        "" if root else DASHES.get(status, ""),
        0 if root else TINTS.get(status, 0),
        1 if strong else 0.6,
    )
    sign: tuple[Mark, ...] = notebook_sign(x + 14, y) if root else (Shape(status, x + 14, y),)
    name = fitted(words(x + 26, y, _name(node), faint=status is Status.EXITED), CHIP_W - 32)
    ground = Rect(round(x), top, CHIP_W, CHIP_H, 7, GROUND)
    return Group(f"{plain(node.agent_id)}: {status.word}", (ground, frame, *sign, name))


def notebook_sign(x: float, y: float) -> tuple[Mark, ...]:
    """The mark of the cells: a page with a spine."""
    page = Rect(x - 5.5, y - 7, 11, 14, 2, "none", ROOT_COLOUR)
    return page, Path(polyline((x - 2, y - 7), (x - 2, y + 7)), ROOT_COLOUR, 1.4)


def _band(band: _Band) -> Group:
    x, y, w, h = band.x, band.y - 30, BAND_W - 5, 57
    parts: list[Mark] = [Rect(x + off, y + off, w, h, 8, GROUND, EDGE) for off in (5, 2.5, 0)]  # a pile of sheets
    total, at, bar = sum(band.counts.values()), x + 11, w - 22
    for status in BAR:
        if count := band.counts[status]:
            part = min(max(2.0, bar * count / total), x + 11 + bar - at)
            parts.append(Rect(at, y + 27, max(part, 0), 5, 0, PALE.get(status, COLOURS[status])))
            at += part
    parts.append(fitted(words(x + 11, y + 15, band.title, bold=True), w - 22))
    return Group(_counted(band.counts), (*parts, *_counts(band.counts, x + 11, y + 44)))


def _counts(counts: dict[Status, int], x: float, y: float) -> list[Mark]:
    """Counts in words where they fit, else as shapes and numbers."""
    text = _counted(counts, " · ")
    if len(text) <= WORDS_IN_BAND:
        return [words(x, y, text, small=True)]
    parts: list[Mark] = []
    shown = _fitting_counts(counts)
    for status in shown:
        parts += [Shape(status, x + 4, y, 4), words(x + 11, y, str(counts[status]), small=True)]
        x += _wide(counts[status])
    if len(shown) < sum(count > 0 for count in counts.values()):
        parts.append(words(x, y, "…", small=True))
    return parts


def _wide(count: int) -> float:
    """Pixels of a count with its shape."""
    return 19 + 6.0 * len(str(count))


def _fitting_counts(counts: dict[Status, int]) -> list[Status]:
    """The statuses whose counts a band has room for; those that somebody should look at stay to the last."""
    there = [s for s in ORDER if counts[s]]
    room = BAND_W - 22
    while sum(_wide(counts[s]) for s in there) > room:
        there.remove(next((s for s in reversed(there) if s not in LOUD), there[0]))
        room = BAND_W - 34  # and a sign that there are more
    return there


def _legend(view: GraphView, y: float, width: float) -> tuple[list[Mark], float, float]:
    """The counts in words, on as many lines as they need; how far right and down they reach."""
    counts = view.counts()
    total = sum(counts.values())
    x, title = 24.0, f"{total} {'agent' if total == 1 else 'agents'}"
    parts: list[Mark] = [words(x, y, title, bold=True)]
    x += text_width(title, bold=True) + 18
    furthest = x
    for status in ORDER:
        if counts[status]:
            text = f"{counts[status]} {status.word}"
            step = 15 + text_width(text) + 16
            if x + step > max(width, NARROWEST):
                x, y = 24.0, y + 20
            parts += [Shape(status, x + 5, y, 4.8), Text(x + 15, y, text)]
            x += step
            furthest = max(furthest, x)
    return parts, furthest + 12, y
