"""How fast the agent graph draws: frames a second at N agents in headless Chromium with software rendering.

    python tests/widgets/measure_graph.py [--agents 10000] [--seconds 3] [--shot FOLDER]

Not a test, because a shared machine's frames say little about the code. It loads the dashboard's own module into an
empty page, with the graph alone, feeds it packets as the pump would, and counts animation frames while agents change
status, while the picture is dragged and while it is zoomed: once with all agents as a tree of eight children each, once
as one opened fan-out. `CHROMIUM` names the browser if it is not Playwright's own.
"""

from __future__ import annotations

import argparse
import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from workbench import front
from workbench.model.entries import AgentCreated, CallMade, Entry, InvocationFinished, InvocationStarted
from workbench.views.tape import Tape
from workbench.views.tape_packet import TapePacket, packet

GOAL = 30
CHANGES_A_PACKET = 500

MOUNT = """async (esm) => {
  const widget = (await import(URL.createObjectURL(new Blob([esm], {type: "text/javascript"})))).default();
  const heard = [], data = {panes: ["graph"], tab: "graph", selection: [], bookmarks: [], clock: -1, state: {}};
  const model = {get: (n) => data[n], set: (n, v) => { data[n] = v; }, save_changes() {}, send() {}, off() {},
                 on: (name, f) => { if (name === "msg:custom") heard.push(f); }};
  window.push = ([head, text]) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    for (const f of heard) f(head, [new DataView(bytes.buffer)]);
  };
  widget.initialize({model});
  widget.render({model, el: document.body.firstElementChild});
  window.view = document.body.firstElementChild.wbFace.made.get("graph").pane.view;
}"""

# one action a frame for some seconds; returns frames a second and the mean and worst time spent in script a frame
DRIVE = """async ([what, ms]) => {
  const view = window.view, stage = view.stage, box = stage.getBoundingClientRect(), x = box.left + 430, y = box.top +
  190; const mouse = (type, dx) => stage.dispatchEvent(new PointerEvent(type, {clientX: x + dx, clientY: y, bubbles:
  true})); const spent = [], from = performance.now(); let frames = 0, packet = 0, last = 0; const paint =
  view.frame.bind(view); view.frame = () => { const t = performance.now(); paint(); spent.push(performance.now() - t);
  }; if (what === "drag") mouse("pointerdown", 0); while (performance.now() - from < ms) {
    if (what === "change" && performance.now() - last > 49) { last = performance.now();
    window.push(window.packets[packet++ % window.packets.length]); } if (what === "drag") { mouse("pointermove", 100 *
    Math.sin(frames / 10)); if (frames % 40 === 39) { mouse("pointerup", 5); mouse("pointerdown", 0); } } if (what ===
    "zoom") view.zoom(frames % 40 < 20 ? 1.03 : 1 / 1.03); await new Promise(requestAnimationFrame); frames++;
  }
  if (what === "drag") mouse("pointerup", 0);
  view.frame = paint;
  const sum = spent.reduce((a, b) => a + b, 0);
  return [frames / (performance.now() - from) * 1000, sum / Math.max(1, spent.length), Math.max(0, ...spent)];
}"""


def agents(total: int, branch: int | None) -> list[Entry]:
    """Entries of a fan-out of one coordinator (`branch` None) or of a tree; all agents run."""
    seq, made, entries = count(1), [0], []

    def put(agent: int, body: Any, invocation: int = 0) -> int:
        number = next(seq)
        entries.append(
            Entry(number, agent or number, number, 0, invocation, number * 1000, number, "lesson.py:7", body)
        )
        return number

    made[0] = put(0, AgentCreated("Session()", "Session", 0))
    made.append(put(0, AgentCreated("Coordinator()", "Coordinator", made[0])))
    while len(made) < total:
        parent = made[1] if branch is None else made[(len(made) - 1) // branch]
        child = put(0, AgentCreated(f"Worker({len(made)})", "Worker", parent))
        put(child, InvocationStarted("process", b""), put(parent, CallMade(child, "", "process", b"", awaited=True)))
        made.append(child)
    return entries


def rest(tape: Tape, row: int, text: int) -> Iterator[TapePacket]:
    """The rows and texts from these numbers on."""
    while row < len(tape):
        part = packet(tape, row, text)
        yield part
        row, text = row + part.head["rows"], len(tape.texts)


def changing(tape: Tape) -> Iterator[TapePacket]:
    """Packets in which some hundred agents end or begin work, over and over."""
    seq, nodes = tape.last_seq, tape.view.nodes
    for turn in range(400):
        row, text = len(tape), len(tape.texts)
        for i in range(CHANGES_A_PACKET):
            node = nodes[2 + (turn * CHANGES_A_PACKET + i) * 7 % (len(nodes) - 2)]
            seq += 1
            body = InvocationFinished(ok=i % 10 != 0, value=b"") if node.running else InvocationStarted("process", b"")
            tape.apply([Entry(seq, node.uid, seq, 0, seq, seq * 1000, seq, "", body)])
        yield from rest(tape, row, text)


@contextmanager
def page() -> Iterator[Page]:
    """An empty page in headless Chromium without a GPU, with the widget's style."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=flags)
        page = browser.new_page(viewport={"width": 900, "height": 520})
        css = front.styles(*front.SHEETS)
        page.set_content(f'<body style="margin:16px"><div style="width:860px"></div><style>{css}</style></body>')
        yield page
        browser.close()


def main() -> None:
    """Measure and print a table; exit code 1 when something is below the goal."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--shot", type=Path, help="also leave screenshots in this folder")
    args = parser.parse_args()
    worst = float("inf")
    print(f"{args.agents} agents, frames a second (mean and worst ms in script a drawn frame); goal {GOAL}")  # noqa: T201
    for shape, branch in (("tree", 8), ("opened fan-out", None)):
        tape = Tape()
        tape.apply(agents(args.agents, branch))
        with page() as tab:
            tab.evaluate(MOUNT, front.assemble(*front.DASHBOARD))
            for part in rest(tape, 0, 1):
                tab.evaluate("(p) => window.push(p)", _wire(part))
            tab.wait_for_function("(n) => window.view.store.n === n", arg=args.agents)
            if branch is None:
                tab.evaluate("() => window.view.toggle(1)")
            tab.evaluate("(all) => { window.packets = all; }", [_wire(p) for p in changing(tape)])
            for what in ("change", "drag", "zoom"):
                rate, mean, peak = tab.evaluate(DRIVE, [what, args.seconds * 1000])
                worst = min(worst, rate)
                print(f"  {shape:16}{what:8}{rate:6.1f}   ({mean:.1f}, {peak:.1f})")  # noqa: T201
            if args.shot:
                tab.screenshot(path=args.shot / f"{shape.replace(' ', '_')}.png")
    raise SystemExit(worst < GOAL)


def _wire(part: TapePacket) -> list[Any]:
    return [{**part.head, "tape": "measured"}, base64.b64encode(part.data).decode()]


if __name__ == "__main__":
    main()
