"""What stands still, is tried again or has ended, as the live graph shows it in a real JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.page import LabPage
from tests.browser.test_live_graph import DRAWN_FOR, EVIL, click, shoot, write

SETUP = f"""%load_ext workbench
import threading
import workbench as wb

session = wb.start(":memory:")
gate = threading.Event()
EVIL = {EVIL!r}

def hold() -> str:
    gate.wait()
    return "held"

def fetch() -> str:
    raise TimeoutError("no answer from " + EVIL)

@wb.agent
class Worker:
    def __init__(self, name: str) -> None: ...
    async def work(self, item: str) -> str:
        if item == "bad":
            raise ValueError("a bad item")
        return item
    async def hold(self) -> str:
        return await wb.step(hold)
    async def wait(self, promise: wb.PromiseId) -> None:
        await wb.await_promise(promise)
    async def fetch(self) -> str:
        return await wb.step(fetch, retry=wb.Retry(attempts=None, delay=3600, cap=3600, jitter=0))

@wb.agent(ephemeral=True)
class Once:
    async def work(self) -> str:
        return "done"

@wb.agent
class Chief:
    async def lead(self, promise: wb.PromiseId) -> None:
        calls = [Worker.get("finished").work("x"), Worker.get("at work").hold(), Worker.get("a promise").wait(promise),
                 Worker.get("stopped").wait(promise), Worker.get("flaky").fetch(), Worker.get("bad item").work("bad"),
                 Worker.get("taken away").work("x"), Once.get().work()]
        await wb.join(calls, return_exceptions=True)
"""
ALL = """promise = wb.create_promise()
graph = wb.agent_graph()
display(graph)
Chief.get().lead.trigger(promise)
"""
VERBS = """await Worker.get("stopped").interrupt()
await Worker.get("taken away").delete()
Worker.get("at work").work.trigger("next")
await Worker.get("reverted").work("x")
await Worker.get("reverted").revert(invocations=1)
Worker.get("next in line").hold.trigger()
"""
WORDS = ("done", "running", "retrying", "waiting", "suspended", "interrupted", "failed", "idle", "exited")


def has(page: LabPage, *words: str) -> None:
    """Wait until the counts above the first graph name all these statuses."""
    page.dom.wait_for_function(
        "(words) => words.every((w) => (document.querySelector('.wb-dash-head')?.innerText ?? '').includes(w))",
        arg=list(words),
    )


def card_says(page: LabPage, *texts: str) -> None:
    """Wait until the card holds all these texts."""
    page.dom.wait_for_function(
        "(texts) => texts.every((t) => document.querySelector('.wb-card').innerText.includes(t))", arg=list(texts)
    )


def show_all(page: LabPage, name: str) -> None:
    """A notebook whose graph shows an agent of each status."""
    write(page, name, SETUP, ALL, VERBS, "await Worker.get('stopped').resume()", "gate.set()")
    for cell in (0, 1):
        assert page.run_cell(cell)
    has(page, "suspended", "retrying")
    assert page.run_cell(2)
    has(page, *WORDS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_status_is_drawn_counted_and_told(page: LabPage, theme: str) -> None:
    """In both themes the head counts each status beside its mark, and the table for screen readers names it."""
    page.dom.set_viewport_size({"width": 1280, "height": 1100})
    show_all(page, f"statuses-{theme}.ipynb")
    page.set_theme(theme)  # type: ignore[arg-type]
    page.dom.wait_for_function(DRAWN_FOR, arg=theme)
    page.dom.wait_for_function(
        "(words) => words.every((w) => document.querySelector('table.wb-unseen').textContent.includes(w))",
        arg=list(WORDS),
    )
    shoot(page, f"statuses-{theme}")
    assert page.errors == []


def test_the_card_says_what_has_to_happen(page: LabPage) -> None:
    """A click on an agent tells why it does not go on, and what makes it; resumed, it does. Errors are text."""
    page.dom.set_viewport_size({"width": 1280, "height": 1100})
    show_all(page, "cards.ipynb")
    click(page, "stopped")
    card_says(page, "interrupted for", "goes on", "with resume, a new call", "promise")
    shoot(page, "card-interrupted")
    click(page, "flaky")
    card_says(
        page, "retrying for", "step fetch", "attempt 1 failed with TimeoutError: no answer from " + EVIL, "next in"
    )
    shoot(page, "card-retrying")
    click(page, "taken away")
    card_says(page, "exited", "deleted; the same id called again is a new agent")
    click(page, "a promise")
    card_says(page, "suspended for", "promise")
    click(page, "Once()")
    card_says(page, "exited", "an ephemeral agent lives for one invocation")
    assert page.dom.locator('img[src="x"]').count() == 0
    assert page.run_cell(3)
    page.dom.wait_for_function("() => !document.querySelector('.wb-dash-head').innerText.includes('interrupted')")
    has(page, "2 suspended", "2 exited")
    assert page.run_cell(4)
    has(page, "3 done")
    assert page.errors == []


def test_times_in_the_card_go_on(page: LabPage) -> None:
    """The time to the next attempt runs down while nothing else happens, also after the page was loaded again."""
    show_all(page, "times.ipynb")
    click(page, "flaky")
    card_says(page, "next in 59 min")
    before = page.dom.locator(".wb-card").inner_text()
    page.dom.wait_for_function("(t) => document.querySelector('.wb-card').innerText !== t", arg=before)
    page.save()
    page.open("times.ipynb")
    has(page, "retrying")
    click(page, "flaky")
    card_says(page, "next in 59 min")
