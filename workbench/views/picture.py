"""Still pictures of the agent graph: SVG for saved notebooks and exports, one line of text for plain outputs.

The SVG looks like the live widget, drawn once and tidily: the tree grows to the right, a parent stands in the middle
of its children. It has a light ground of its own, so that it reads on a dark page too, uses attributes only (no
styles, scripts or references, which would leak into the page or be stripped from it), and every name in it is escaped
text. More than 50 siblings, and whatever goes beyond `MOST` agents in all, are folded into bands that count; failed and
interrupted agents, and those that run longest, stand beside their band.
"""

import re
from html import escape
from typing import Final

import msgspec

from workbench.views.graph import GraphView
from workbench.views.graph_looks import BAR, COLOURS, DASHES, ORDER, PALE, SHAPES, STRONG, TINTS
from workbench.views.graph_nodes import BUSY, LOUD, GraphNode, Link, Origin, Status, status_of

FOLD: Final = 50
"""Siblings drawn one by one at most; as in `agent_graph_layout.js`."""
MOST: Final = 160
"""Agents drawn one by one at most, in the whole picture."""
COLUMN, STEP, ROW, CHIP_W, CHIP_H, TALL, GAP, BAND_W = 178, 32, 34, 148, 26, 13, 0.6, 196
WIDEST: Final = 1000
"""Pixels beyond which the picture is drawn smaller, down to six tenths."""
NARROWEST: Final = 600
"""Pixels that the line of counts may take in any case."""
LONGEST_TEXT, WORDS_IN_BAND = 200, 34

TIMES: Final = "\N{MULTIPLICATION SIGN}"
_STROKES: Final[dict[int, tuple[str, str]]] = {
    Link.CALL: (COLOURS[Status.RUNNING], ""),
    Link.TRIGGER: (COLOURS[Status.RUNNING], "7 4"),
    Link.PROMISE: (COLOURS[Status.WAITING], "1.5 4"),
}
_FORK: Final = (COLOURS[Status.UNDEFINED], "8 3 2 3")
_INK, _FAINT, _EDGE, _GROUND = "#1c1c1c", "#666666", "#b9bec5", "#ffffff"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_NARROW: Final = frozenset("\"'()[].,:;!|ijlftr1I -")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def graph_summary(view: GraphView) -> str:
    """One line: `12 agents: 9 done, 2 running, 1 failed`."""
    counts = view.counts()
    total = sum(counts.values())
    return f"{total} {'agent' if total == 1 else 'agents'}" + (f": {_counted(counts)}" if total else "")


def graph_svg(view: GraphView) -> str:
    """The graph as an SVG document of bounded size."""
    boxes, bands, routes = _arrange(view)
    width = max([240.0] + [b.x + CHIP_W for b in boxes.values()] + [b.x + BAND_W for b in bands]) + 24
    height = max([40.0] + [b.y + ROW / 2 for b in boxes.values()] + [b.y + ROW for b in bands]) + 12
    parts = [_stroke(path, _EDGE, "", 1.3) for slot, path in routes.items() if slot < 0]
    parts += [_stroke(path, *_tree_stroke(view.nodes[slot]), 1.3) for slot, path in routes.items() if slot >= 0]
    parts += _links(view, boxes, bands, routes)
    parts += [_band(band) for band in bands]
    parts += [_chip(box) for box in boxes.values()]
    legend, legend_width, bottom = _legend(view, height + 20, width)
    width, total = max(width, legend_width), bottom + 18
    scale = max(0.6, min(1.0, WIDEST / width))
    size = f'width="{width * scale:.0f}" height="{total * scale:.0f}" viewBox="0 0 {width:.0f} {total:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_text(graph_summary(view))}" '
        f'{size} font-family="{_FONT}" font-size="12">'
        f"{_rect(0.5, 0.5, width - 1, total - 1, 8, _GROUND, '#dddddd')}{''.join(parts)}{legend}</svg>"
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
                routes[-slot - 1] = _path(start, (x, family.band.y))
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
                    _path(start, end)
                    if not column
                    else _path(start, (x, rail)) + _path((end[0] - COLUMN + CHIP_W, rail), end, "L")
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


def _text(text: str) -> str:
    """Text from an agent, cut, without what XML forbids, escaped."""
    text = _NOT_XML.sub("\ufffd", text)
    return escape(text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…")


def _fitting(text: str, width: float) -> str:
    """The text cut to about so many pixels of the interface's font at 12 px."""
    for i, character in enumerate(text):
        width -= 4.2 if character in _NARROW else 7.1 if character.isascii() else 10
        if width < 0:
            return text[: max(1, i - 1)] + "…"
    return text


def _counted(counts: dict[Status, int], comma: str = ", ") -> str:
    return comma.join(f"{counts[s]} {s.word}" for s in ORDER if counts.get(s))


def _name(node: GraphNode) -> str:
    if node.origin == Origin.ROOT:
        return "notebook"
    return node.label or re.sub(r"\[([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}\]\Z", r"[\1…]", node.agent_id)


def _path(a: tuple[float, float], b: tuple[float, float], begin: str = "M") -> str:
    """A curve that leaves and arrives level."""
    bend = min((b[0] - a[0]) / 2, 40.0) if b[0] >= a[0] else -40.0
    (ax, ay), (bx, by) = a, b
    return f"{begin}{ax:.0f} {ay:.1f}C{ax + abs(bend):.0f} {ay:.1f} {bx - bend:.0f} {by:.1f} {bx:.0f} {by:.1f}"


def _stroke(path: str, colour: str, dash: str, width: float) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _tree_stroke(node: GraphNode) -> tuple[str, str]:
    return _FORK if node.origin == Origin.FORKED else (_EDGE, "")


def _links(view: GraphView, boxes: dict[int, _Box], bands: list[_Band], routes: dict[int, str]) -> list[str]:
    """Open calls and waits; those of folded agents join at their band."""
    stands = {band.parent: band for band in bands}
    drawn: dict[tuple[int, str], str] = {}
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
            path = _path((ax + aw, ay), (bx, by))
        elif bx + bw / 2 < ax:
            path = _path((bx + bw, by + 6), (ax, ay + 6))
        else:
            path = _path((ax + aw, ay), (bx + bw, by))
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


def _rect(x: float, y: float, w: float, h: float, rx: float, fill: str, stroke: str) -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{rx}"'
    return f'<rect {size} fill="{fill}" stroke="{stroke}"/>'


def _words(x: float, y: float, text: str, *, bold: bool = False, small: bool = False, faint: bool = False) -> str:
    """Text whose middle is at `y`."""
    look = f'fill="{_FAINT}" font-size="10.5"' if small else f'fill="{_FAINT if faint else _INK}"'
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" {look}{weight}>{_text(text)}</text>'


def _shape(status: Status, x: float, y: float, r: float = 6) -> str:
    """The mark of a status; its shape alone tells it."""
    mark = SHAPES[status].replace("COLOUR", COLOURS[status])
    return f'<g transform="translate({x:.1f} {y:.1f}) scale({r})">{mark}</g>'


def _chip(box: _Box) -> str:
    node, x, y = box.node, box.x, box.y
    status = status_of(node)
    root = node.origin == Origin.ROOT
    colour = "#1976d2" if root else COLOURS[status]
    strong = root or status in STRONG
    tint = 0 if root else TINTS.get(status, 0)
    frame = f'x="{x:.0f}" y="{y - CHIP_H / 2:.1f}" width="{CHIP_W}" height="{CHIP_H}" rx="7"'
    dash = f' stroke-dasharray="{DASHES[status]}"' if not root and status in DASHES else ""
    mark = (
        f"{_rect(x + 8.5, y - 7, 11, 14, 2, 'none', colour)}"
        f'<path d="M{x + 12:.1f} {y - 7:.1f}v14" stroke="{colour}" stroke-width="1.4"/>'
        if root
        else _shape(status, x + 14, y)
    )
    return (
        f"<g><title>{_text(node.agent_id)}: {status.word}</title>"
        f'<rect {frame} fill="{_GROUND}"/><rect {frame} fill="{colour}" fill-opacity="{tint}" stroke="{colour}" '
        f'stroke-width="{1.5 if strong else 1}" stroke-opacity="{1 if strong else 0.6}"{dash}/>{mark}'
        f"{_words(x + 26, y, _fitting(_name(node), CHIP_W - 32), faint=status is Status.EXITED)}</g>"
    )


def _band(band: _Band) -> str:
    x, y, w, h = band.x, band.y - 30, BAND_W - 5, 57
    parts = [_rect(x + off, y + off, w, h, 8, _GROUND, _EDGE) for off in (5, 2.5, 0)]  # a pile of sheets
    total, at, bar = sum(band.counts.values()), x + 11, w - 22
    for status in BAR:
        if count := band.counts[status]:
            part = min(max(2.0, bar * count / total), x + 11 + bar - at)
            parts.append(_rect(at, y + 27, max(part, 0), 5, 0, PALE.get(status, COLOURS[status]), "none"))
            at += part
    return (
        f"<g><title>{_counted(band.counts)}</title>{''.join(parts)}"
        f"{_words(x + 11, y + 15, _fitting(band.title, w - 22), bold=True)}"
        f"{_counts(band.counts, x + 11, y + 44)}</g>"
    )


def _counts(counts: dict[Status, int], x: float, y: float) -> str:
    """Counts in words where they fit, else as shapes and numbers."""
    words = _counted(counts, " · ")
    if len(words) <= WORDS_IN_BAND:
        return _words(x, y, words, small=True)
    parts, shown = [], _fitting_counts(counts)
    for status in shown:
        parts.append(_shape(status, x + 4, y, 4) + _words(x + 11, y, str(counts[status]), small=True))
        x += _wide(counts[status])
    if len(shown) < sum(count > 0 for count in counts.values()):
        parts.append(_words(x, y, "…", small=True))
    return "".join(parts)


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


def _legend(view: GraphView, y: float, width: float) -> tuple[str, float, float]:
    """The counts in words, on as many lines as they need; how far right and down they reach."""
    counts = view.counts()
    total = sum(counts.values())
    x, title = 24.0, f"{total} {'agent' if total == 1 else 'agents'}"
    parts = [_words(x, y, title, bold=True)]
    x += 7.2 * len(title) + 18
    furthest = x
    for status in ORDER:
        if counts[status]:
            text = f"{counts[status]} {status.word}"
            step = 15 + 6.6 * len(text) + 16
            if x + step > max(width, NARROWEST):
                x, y = 24.0, y + 20
            parts.append(_shape(status, x + 5, y, 4.8) + _words(x + 15, y, text))
            x += step
            furthest = max(furthest, x)
    return "".join(parts), furthest + 12, y
