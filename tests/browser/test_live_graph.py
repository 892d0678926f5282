"""The live agent graph in a real JupyterLab and a real Chromium."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Dialog

from tests.browser.page import LabPage

SETUP = """%load_ext workbench
import asyncio
import workbench as wb

session = wb.start(":memory:")

@wb.agent
class Worker:
    def __init__(self, id: int) -> None:
        self.id = id
    async def process(self, item: str) -> str:
        await asyncio.sleep(0.3 * (1 + self.id))
        if item == "bad":
            raise ValueError("a bad item")
        return item.upper()

@wb.agent
class Coordinator:
    async def fan_out(self, items: list[str]) -> list[str]:
        return await wb.join([Worker.get(i).process(x) for i, x in enumerate(items)], return_exceptions=False)
"""
BLOCKING = """with wb.trace():
    print(wb.run(Coordinator.get().fan_out(list("abcdefgh"))))
"""
EVIL = "</script><img src=x onerror=alert(1)>"

FIND_NODE = """(text) => {
  // The node whose tooltip names it: a pointer is moved over the picture, as a hand would look for it.
  const stage = document.querySelector('.wb-stage'), tip = stage.querySelector('.wb-tip');
  const box = stage.getBoundingClientRect();
  for (let y = 6; y < box.height; y += 8) for (let x = 6; x < box.width; x += 16) {
    const at = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
    stage.dispatchEvent(new PointerEvent('pointermove', at));
    if (!tip.hidden && tip.textContent.includes(text)) return [box.left + x + 4, box.top + y + 2];
  }
  return null;
}"""


def write(page: LabPage, name: str, *cells: str) -> str:
    """Write a notebook and open it with a fresh kernel."""
    path = page.lab.write_notebook(name, cells)
    page.open(path)
    return path


def shoot(page: LabPage, name: str) -> None:
    """Keep a picture of the first graph where `WB_SCREENSHOTS` names a folder; the README's comes from here."""
    folder = os.environ.get("WB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.dom.locator(".jp-CodeCell:has(.wb-graph)").first.screenshot(path=str(Path(folder) / f"{name}.png"))


def click(page: LabPage, text: str) -> None:
    """Click the node whose tooltip says `text`."""
    page.dom.locator(".wb-stage").first.scroll_into_view_if_needed()
    spot = page.dom.evaluate(FIND_NODE, text)
    assert spot is not None, f"no node {text} in the picture"
    page.dom.mouse.click(*spot)


def test_the_graph_moves_while_the_cell_blocks(page: LabPage) -> None:
    """A cell that blocks the kernel's main thread does not stop the picture: the counts change while it runs."""
    write(page, "blocks.ipynb", SETUP, BLOCKING)
    page.run_cell(0)
    page.dom.evaluate("""() => { window.seen = new Set();
        setInterval(() => { const head = document.querySelector('.wb-dash-head');
            if (head && lab.last && !lab.last.done) window.seen.add(head.innerText); }, 30); }""")
    page.start_cell(1)
    page.dom.wait_for_function("() => [...window.seen].filter((t) => /[1-7] done/.test(t)).length >= 3", timeout=30_000)
    shoot(page, "live-graph")
    assert page.wait_done(30)
    page.wait_for_output(1, "'H'")
    page.dom.wait_for_function("() => document.querySelector('.wb-dash-head').innerText.includes('9 done')")
    assert page.errors == []


def test_a_click_shows_details_also_while_the_cell_blocks(page: LabPage) -> None:
    """A click on an agent opens its card: what it runs and waits for; the kernel answers though a cell blocks."""
    write(page, "click.ipynb", SETUP, 'with wb.trace():\n    wb.run(Coordinator.get().fan_out(["a"] * 12))')
    page.run_cell(0)
    page.start_cell(1)
    page.dom.wait_for_function(
        "() => /[1-9] done/.test(document.querySelector('.wb-dash-head')?.innerText ?? '')", timeout=30_000
    )
    click(page, "Coordinator()")
    card = page.dom.locator(".wb-card").first
    card.wait_for(state="visible")
    page.dom.wait_for_function("() => document.querySelector('.wb-card').innerText.includes('fan_out')")
    page.dom.wait_for_function("() => document.querySelector('.wb-card').innerText.includes('Worker(')")
    assert "waiting" in card.inner_text()
    shoot(page, "details")
    assert page.wait_done(30)


def test_selection_goes_both_ways(page: LabPage) -> None:
    """What is clicked is `graph.selected` in Python, as clients, and what Python selects is marked in the picture."""
    write(
        page,
        "select.ipynb",
        SETUP,
        'await Coordinator.get().fan_out(["a", "b"]); graph = wb.agent_graph(); display(graph)',
        "print('selected:', [str(client.agent_id) for client in graph.selected])",
        "graph.select(Worker.get(0))",
    )
    page.run_cell(0)
    page.run_cell(1)
    page.dom.wait_for_function("() => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes('3 done')")
    click(page, "Worker(1)")
    page.dom.wait_for_function("() => document.querySelector('.wb-card').innerText.includes('Worker(1)')")
    page.dom.wait_for_function("() => document.querySelector('.wb-dash').wbFace.desk.saving === undefined")
    page.run_cell(2)
    page.wait_for_output(2, "selected: ['Worker(1)']")
    before = page.dom.evaluate("() => document.querySelector('.wb-over').toDataURL()")
    page.run_cell(3)
    page.dom.wait_for_function("(before) => document.querySelector('.wb-over').toDataURL() !== before", arg=before)


def test_the_keyboard_walks_the_tree(page: LabPage) -> None:
    """Arrow keys go from agent to agent and Enter opens the card; the notebook's own keys do not fire."""
    write(page, "keys.ipynb", SETUP, 'await wb.show(Coordinator.get().fan_out(["a", "b"]))')
    page.run_all()
    page.dom.wait_for_function("() => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes('3 done')")
    page.dom.locator(".wb-stage").first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        page.dom.keyboard.press(key)
    page.dom.wait_for_function("() => document.querySelector('.wb-card').innerText.includes('Worker(0)')")
    page.dom.keyboard.press("ArrowDown")
    page.dom.wait_for_function("() => document.querySelector('.wb-card').innerText.includes('Worker(1)')")
    page.dom.keyboard.press("Escape")
    page.dom.wait_for_function("() => document.querySelector('.wb-card').hidden")


def test_names_from_agents_are_text(page: LabPage) -> None:
    """An agent whose name is markup, and errors and labels with markup, run no script and make no request, anywhere."""
    alerts: list[str] = []
    requests: list[str] = []

    def refuse(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    page.dom.on("dialog", refuse)
    page.dom.on("request", lambda request: requests.append(request.url))
    evil = f"EVIL = {EVIL!r}\n"
    agents = (
        "@wb.agent\nclass Named:\n    def __init__(self, name: str) -> None: ...\n"
        "    async def m(self) -> str:\n        print(EVIL)\n        raise ValueError(EVIL)\n"
    )
    write(
        page,
        "evil.ipynb",
        SETUP + evil + agents,
        "try:\n    await wb.show(Named.get(EVIL).m.with_options(label=EVIL)())\nexcept ValueError as e:\n    print(e)",
        "%agents",
        '%%fanout x in [EVIL] --on-error collect --name "job"\nreturn x',
        "%workbench",
    )
    assert page.run_all()
    page.dom.wait_for_function("() => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes('failed')")
    click(page, "Named(")
    page.dom.wait_for_function("(evil) => document.querySelector('.wb-card').textContent.includes(evil)", arg=EVIL)
    page.dom.wait_for_function(
        "(evil) => document.querySelector('table.wb-unseen').textContent.includes(evil)", arg=EVIL
    )
    assert page.dom.locator('img[src="x"]').count() == 0
    assert alerts == []
    assert not [url for url in requests if not url.startswith((page.lab.url, "data:", "blob:", "ws:"))]
    page.save()
    page.open_without_kernel("evil.ipynb")
    page.dom.wait_for_selector(".wb-still")
    assert page.dom.locator('img[src="x"]').count() == 0
    assert alerts == []


def test_a_saved_notebook_shows_its_picture_without_a_kernel(page: LabPage) -> None:
    """Saved from Lab and opened again with no kernel, the notebook shows the last state of its graph."""
    write(page, "saved.ipynb", SETUP, 'await wb.show(Coordinator.get().fan_out(["a", "b", "c"]))')
    assert page.run_all()
    page.dom.wait_for_function("() => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes('4 done')")
    page.dom.wait_for_function("() => (document.querySelector('.wb-still')?.alt ?? '').includes('4 done')")
    assert not page.dom.locator(".wb-still").first.is_visible()
    page.save()
    page.open_without_kernel("saved.ipynb")
    still = page.dom.locator(".wb-still").first
    still.wait_for(state="visible")
    assert "4 done" in (still.get_attribute("alt") or "")


@pytest.mark.parametrize("kernel", ["fresh kernel", "no kernel"])
def test_an_executed_tutorial_shows_its_graphs_before_it_is_run(page: LabPage, kernel: str) -> None:
    """A tutorial as it is committed, opened untrusted and with nothing run, shows its graphs."""
    source = Path(__file__).parents[2] / "notebooks" / "01_fan_out.ipynb"
    shutil.copy(source, page.lab.root / "tutorial.ipynb")
    if kernel == "no kernel":
        page.open_without_kernel("tutorial.ipynb")
    else:
        page.open("tutorial.ipynb")
    still = page.dom.locator(".wb-still").first
    still.wait_for(state="visible")
    assert "6 done" in (still.get_attribute("alt") or "")


def test_an_interrupted_cell_keeps_its_picture(page: LabPage) -> None:
    """The interrupt ends the cell, the picture stays, and the agents go on in it."""
    write(page, "interrupted.ipynb", SETUP, BLOCKING)
    page.run_cell(0)
    page.start_cell(1)
    page.dom.wait_for_function(
        "() => /[1-4] done/.test(document.querySelector('.wb-dash-head')?.innerText ?? '')", timeout=30_000
    )
    page.interrupt()
    page.wait_for_output(1, "KeyboardInterrupt")
    page.dom.wait_for_function(
        "() => document.querySelector('.wb-dash-head').innerText.includes('9 done')", timeout=30_000
    )


DRAWN_FOR = """(theme) => {
    const c = document.querySelector('.wb-nodes');
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let sum = 0, n = 0;
    for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 250) { sum += d[i] + d[i + 1] + d[i + 2]; n++; }
    const bright = sum / n / 3;
    return theme === 'light' ? bright > 200 : bright < 100; }"""
"""Whether the nodes are drawn in the colours of a theme: how bright their opaque pixels are on average."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_drawn_in_their_own_colours(page: LabPage, theme: str) -> None:
    """The picture follows Lab's theme: its ground is the notebook's, light or dark."""
    write(page, f"theme-{theme}.ipynb", SETUP, 'await wb.show(Coordinator.get().fan_out(["a", "b", "c"]))')
    page.set_theme(theme)  # type: ignore[arg-type]
    assert page.run_all()
    page.dom.wait_for_function("() => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes('4 done')")
    page.dom.wait_for_function(DRAWN_FOR, arg=theme)
    shoot(page, f"graph-{theme}")


def test_a_theme_whose_sheet_comes_late_is_followed(page: LabPage) -> None:
    """The colours follow the page's, also when they change without any mark on the page (a sheet that loaded late)."""
    write(page, "late.ipynb", SETUP, 'await wb.show(Coordinator.get().fan_out(["a", "b", "c"]))')
    page.set_theme("light")
    assert page.run_all()
    page.dom.wait_for_function("() => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes('4 done')")
    page.dom.wait_for_function(DRAWN_FOR, arg="light")
    page.dom.add_style_tag(content=":root, body { --jp-layout-color0: #111 !important; --jp-layout-color1: #212121; }")
    page.dom.wait_for_function(DRAWN_FOR, arg="dark")
