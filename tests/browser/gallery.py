"""The README's gallery: each view in a real JupyterLab, in light and in dark.

`python -m tests.browser.gallery` writes the pictures into `notebooks/images`; name another folder to write them there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import Lab, running_lab
from tests.browser.page import CHROMIUM_FLAGS, LabPage, Theme, find_chromium

FOLDER: Final = Path(__file__).parents[2] / "notebooks" / "images"
STORY: Final = '''%load_ext workbench
import asyncio
import workbench as wb

session = wb.start(":memory:")

def fetch(region: str) -> int:
    return 100 * len(region)

@wb.agent
class Region:
    """Reports on one region of the world."""
    def __init__(self, name: str) -> None:
        self.name = name
    async def report(self) -> str:
        await asyncio.sleep(0.02 * len(self.name))
        if self.name == "Atlantis":
            raise LookupError("Atlantis is nowhere to be found")
        sales = await wb.step(fetch, self.name)
        await asyncio.sleep(0.015 * len(self.name))
        return f"{self.name}: {sales}"
    async def sign(self, promise: wb.PromiseId) -> None:
        await asyncio.sleep(0.12)
        wb.complete_promise_json(promise, {"signed": self.name})

@wb.agent
class Editor:
    """Collects reports and has them signed."""
    async def collect(self, names: list[str]) -> int:
        signature = wb.create_promise()
        reports = await wb.join([Region.get(name).report() for name in names], return_exceptions=True)
        Region.get("Africa").sign.trigger(signature)
        await wb.await_promise_json(signature)
        return len(reports)
    async def weigh(self) -> str:
        scale = 1
        await asyncio.sleep(0.03)
        match wb.fork():
            case wb.Forked():
                scale = 10
        sales = await wb.step(fetch, "Oceania")
        return f"sales: {scale * sales}"
    async def release(self) -> str:
        word = await wb.await_promise_json(wb.create_promise())
        return f"released: {word}"
    async def survey(self, names: list[str]) -> int:
        answers = [wb.create_promise() for _ in names]
        for name, answer in zip(names, answers):
            Region.get(name).sign.trigger(answer)
        first = await wb.await_promise_json(answers[0])
        wb.complete_promise_json(answers[0], {"signed": "too late"})
        return len(first)

@wb.agent
class Printer:
    async def press(self) -> str:
        return await Editor.get().release()

@wb.agent
class Left:
    async def ask(self) -> str:
        return await Right.get().ask()

@wb.agent
class Right:
    async def ask(self) -> str:
        return await Left.get().ask()

names = ["Africa", "Americas", "Antarctica", "Asia", "Atlantis", "Europe", "Oceania", "Arctic"]
await Editor.get().collect(names)
await Editor.get().weigh()
await Editor.get().survey(names[:4])
session.simulate_crash()
try:
    await Left.get().ask()
except wb.DeadlockError as refused:
    error = refused
Printer.get().press.trigger()
while not any(promise.waiters for promise in session.promises("pending")):
    await asyncio.sleep(0.01)
'''
VIEWS: Final = {
    "graph": "",
    "timeline": "",
    "promises": "",
    "forks": "",
    "oplog": "Region.get('Africa')",
    "why": "Printer.get()",
}
"""The views, and which agent is selected in each."""


def notebook(lab: Lab) -> str:
    """A notebook with a dashboard for each view."""
    cells = [STORY]
    for name, agent in VIEWS.items():
        select = f"view.select({agent})\n" if agent else ""
        cells.append(f'view = session.dashboard(tab="{name}")\n{select}view')
    return lab.write_notebook("gallery.ipynb", [*cells, "error"])


def shoot(lab: Lab, browser: Browser, theme: Theme, folder: Path) -> None:
    """Take all pictures in one theme."""
    context = browser.new_context(viewport={"width": 1240, "height": 900}, device_scale_factor=1.5)
    page = LabPage(lab, context.new_page())
    page.open(notebook(lab))
    page.set_theme(theme)
    assert page.run_all(), page.outputs()
    for place, name in enumerate(VIEWS):
        view = page.dom.locator(".wb-dash").nth(place)
        view.scroll_into_view_if_needed()
        page.dom.wait_for_function(
            "(place) => { const face = document.querySelectorAll('.wb-dash')[place].wbFace;"
            " return face.desk.live && face.desk.tape.lastSeq >= face.desk.tape.total && !face.frameId; }",
            arg=place,
        )
        page.dom.wait_for_load_state("networkidle")
        view.screenshot(path=str(folder / f"{name}-{theme}.png"))
    picture = page.dom.locator(".jp-OutputArea-output").last
    picture.scroll_into_view_if_needed()
    picture.screenshot(path=str(folder / f"deadlock-{theme}.png"))
    context.close()
    lab.shut_down_kernels()


def main(folder: Path) -> None:
    """Make the gallery."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as root,
        tempfile.TemporaryDirectory() as scratch,
        running_lab(Path(root), Path(scratch)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        for theme in ("light", "dark"):
            shoot(lab, browser, theme, folder)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
