"""Hostile names and values in a real Chromium: in an exported page, and in a real JupyterLab.

What is watched from the first moment on, in every frame: dialogs, requests, broken rules of the page's own policy,
`window.hacked`, and each element and attribute that ever comes up. What payloads try is in `tests/hostile/payloads.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page

from tests.browser.page import LabPage
from tests.hostile.payloads import PAYLOADS
from tests.hostile.world import crowd
from workbench.model.agent_type import registry
from workbench.signs import printable

REPOSITORY: Final = Path(__file__).parents[2]
WATCH: Final = r"""
window.guard = { tags: [], bad: [], broken: [] };
(() => {
  const { tags, bad, broken } = window.guard, known = new Set();
  const refers = /^(src|srcset|href|xlink:href|action|formaction|srcdoc|data|poster|ping|background)$/i;
  const drawing = /^data:image\/(svg\+xml|png)[;,]/, evil = /hacked|127\.0\.0\.1:9\/|javascript:/i;
  const styled = /url\(|expression|@import/i, outputs = '.wb-dash, .jp-RenderedHTML, .jp-RenderedSVG';
  const isOurs = (node) => !!node.closest(location.protocol === 'file:' ? 'body' : outputs);
  const linked = (node) => !!node.closest('.jp-RenderedText a[rel~=noopener]'); // JupyterLab links addresses in text
  const isBad = (node, name, value) => {
    if (/^on/i.test(name)) return true;
    if (name === 'style') return styled.test(value);
    return refers.test(name) && !drawing.test(value) && (isOurs(node) || (evil.test(value) && !linked(node)));
  };
  const look = (node) => {
    if (isOurs(node) && !known.has(node.localName)) { known.add(node.localName); tags.push(node.localName); }
    for (const { name, value } of node.attributes)
      if (isBad(node, name, value)) bad.push(`<${node.localName} ${name}="${value.slice(0, 100)}">`);
  };
  const lookAll = (node) => {
    if (node.nodeType !== 1) return;
    for (const one of [node, ...node.querySelectorAll('*')]) look(one);
    if (node.shadowRoot) [...node.shadowRoot.children].forEach(lookAll);
  };
  const note = ({ type, target, addedNodes }) => {
    if (type === 'attributes') look(target);
    else addedNodes.forEach(lookAll);
  };
  new MutationObserver((changes) => changes.forEach(note))
    .observe(document, { childList: true, subtree: true, attributes: true });
  document.addEventListener('securitypolicyviolation', (e) => broken.push(`${e.violatedDirective} ${e.blockedURI}`));
})();
"""
TAGS: Final = frozenset(
    """aside button canvas caption circle code details div g header input kbd label li ol option p path pre select
    span strong summary svg table td textarea th tr ul""".split()  # noqa: SIM905 - a list of words reads better
)
"""Elements that our views are made of."""
PAGE: Final = frozenset({"body", "noscript", "script"})
"""Elements of an exported page around them."""
OUTPUTS: Final = frozenset({"thead", "tbody", "img"})
"""Elements of outputs of cells besides."""

TABS: Final = ("graph", "timeline", "promises", "forks", "oplog", "why")
WALK: Final = r"""async ([tabs, workers, texts]) => {
  const face = document.querySelector('.wb-dash').wbFace, desk = face.desk, seen = new Set();
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const hints = () => [...document.querySelectorAll('.wb-dash [title]')].map((one) => one.title);
  const look = (wanted) => {
    const told = [document.body.textContent, ...hints()].join('\n');
    for (const i of wanted) if (told.includes(texts[i])) seen.add(i);
  };
  for (const [tab, every] of tabs) {
    face.show(tab);
    await frame();
    const { pane, el } = face.made.get(tab);
    const settled = async () => { for (let k = 0; k < 60 && /asking/.test(el.textContent); k++) await frame(); };
    const press = async (found, most) => {
      for (const one of [...found].slice(0, most)) { one.click(); await frame(); await settled(); }
    };
    for (let i = 0; i < workers.length; i += every) {
      const slot = desk.tape.slotOf(workers[i]);
      desk.select([slot]);
      if (tab === 'graph') { pane.view.focus = slot; pane.view.show(); }
      await frame();
      await press(el.querySelectorAll('.wb-oplog-more'), 2);
      for (const node of el.querySelectorAll('details')) node.open = true;
      look([i]);
    }
    await press(el.querySelectorAll('.wb-promises-row'), 6);
    look(texts.keys());
    desk.select([]);
    for (const part of [0.5]) { desk.goTo(Math.floor(desk.tape.lastSeq * part)); await frame(); }
    desk.goTo(null);
    await frame();
  }
  return texts.filter((_, i) => !seen.has(i));
}"""
CELLS: Final = (
    f"""%load_ext workbench
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
import workbench as wb
from IPython.display import display
from tests.hostile.payloads import PAYLOADS
from tests.hostile.world import crowd
from workbench.views import tables
made = crowd(":memory:", PAYLOADS.values())
session = made.session""",
    "session.dashboard()",
    """display(tables.agents_table(session.agents(name="worker")))
display(tables.invocations_table([one for one in session.invocations() if one.label]))
display(tables.forks_table(session.fork_tree(), 60))
for worker in made.workers[::4]:
    display(tables.oplog_table(session.oplog(worker)))
%promises""",
    """for worker in made.workers[1::4]:
    fork = next(a.agent_id for a in session.agents() if a.forked_from == worker)
    display(session.why(worker), session.why(value_of=worker))
    display(session.critical_path(worker), session.compare(worker, fork))
for agent in session.agents("failed") + session.agents("retrying"):
    display(session.why(agent.agent_id))""",
    """def item(text: str) -> str:
    return text
for text in made.texts:
    await wb.fan_out(item, [text], name=f"again {text}"[:90])""",
    "for error in made.deadlocks:\n    display(error)",
    "display(session.snapshot('promises'))\nsession.figure('forks')",
    "%workbench",
    "made.results",
    "raise made.deadlocks[1]",
)


@dataclass
class Guard:
    """What went on in a context that should not have."""

    context: BrowserContext
    allowed: tuple[str, ...]
    """How addresses begin that may be asked for."""
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.add_init_script(WATCH)
        self.context.on("dialog", self._asked)
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.console.append(str(error.error)))

    def _asked(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.console.append(message.text)

    def check(self, page: Page, tags: frozenset[str]) -> None:
        """Nothing ran, nothing was asked for, and nothing is there that our code does not make."""
        assert self.dialogs == []
        assert [url for url in self.requests if not url.startswith(self.allowed)] == []
        assert self.console == []
        for frame in page.frames:
            assert frame.evaluate("() => typeof window.hacked") == "undefined"
        guard: dict[str, list[str]] = page.evaluate("() => window.guard")
        assert guard["bad"] == []
        assert guard["broken"] == []
        assert set(guard["tags"]) - tags == set()
        assert len(page.frames) == 1


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A page with all payloads; their texts, and the agents that bear them. Made before a browser is there."""
    before, folder = dict(registry._types), tmp_path_factory.mktemp("hostile")
    with contextlib.redirect_stdout(io.StringIO()):
        made = crowd(str(folder / "<img src=x onerror=window.hacked=1>.db"), PAYLOADS.values())
    path = made.session.to_html(folder / "page.html")
    made.gate.set()
    made.session.close()
    registry._types.clear()
    registry._types.update(before)
    return path, made.texts, made.workers


def hover(page: Page, steps: tuple[int, int]) -> None:
    """Move the pointer all over the views, and click in places."""
    for box in [found for pane in page.locator(".wb-pane:visible").all() if (found := pane.bounding_box()) is not None]:
        for row in range(steps[1]):
            for column in range(steps[0]):
                x, y = (
                    box["x"] + box["width"] * (column + 0.5) / steps[0],
                    box["y"] + box["height"] * (row + 0.5) / steps[1],
                )
                page.mouse.move(x, y)
                if (row + column) % 3 == 0:
                    page.mouse.click(x, y)


@pytest.mark.parametrize("bypass", [False, True], ids=["policy in force", "no policy"])
def test_a_page_runs_nothing_and_asks_for_nothing(
    exported: tuple[Path, list[str], list[str]], browser: Browser, *, bypass: bool
) -> None:
    """An exported page with all payloads shows each as text, whatever is opened in it, with its policy and without."""
    path, texts, workers = exported
    context = browser.new_context(viewport={"width": 1000 if bypass else 1280, "height": 720}, bypass_csp=bypass)
    guard = Guard(context, (path.as_uri(),))
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator(".wb-dash[data-painted]").wait_for()
    missing = page.evaluate(WALK, [[(tab, 1 if tab == "graph" and not bypass else 27) for tab in TABS], workers, texts])
    assert bypass or [text for text in missing if text.strip()] == []
    for tab in TABS:
        page.get_by_role("tab", name=tab.title()).first.click()
        hover(page, (3, 2) if bypass else (5, 3))
        for key in ("Home", "ArrowRight", "End"):
            page.locator(".wb-track").press(key)
    guard.check(page, TAGS | PAGE)
    assert guard.requests == [path.as_uri()]
    context.close()


def test_jupyterlab_runs_nothing_and_asks_nobody(exported: tuple[Path, list[str], list[str]], page: LabPage) -> None:
    """In JupyterLab all views, cards and outputs show all payloads as text, live, and from the saved file too."""
    _, texts, workers = exported
    guard = Guard(page.dom.context, (page.lab.url, page.lab.url.replace("http", "ws"), "data:", f"blob:{page.lab.url}"))
    page.open(page.lab.write_notebook("hostile.ipynb", CELLS))
    page.dom.set_default_timeout(20_000)
    for cell in range(len(CELLS) - 1):
        assert page.run_cell(cell), page.outputs()[cell]
    assert not page.run_cell(len(CELLS) - 1)
    face = "document.querySelector('.wb-dash').wbFace"
    page.dom.wait_for_function(f"() => {face}.desk.live && {face}.desk.tape.lastSeq >= {face}.desk.tape.total")
    page.dom.evaluate(WALK, [[(tab, 27) for tab in TABS], workers, texts])
    told = page.dom.evaluate("() => document.body.textContent")
    assert [text for text in texts if printable(text)[:60] not in told] == []
    for tab in TABS:
        page.dom.locator(".wb-dash").first.get_by_role("tab", name=tab.title()).click()
        hover(page.dom, (3, 2))
    guard.check(page.dom, TAGS | OUTPUTS)
    complete_by_hand(page, PAYLOADS["script-end"])
    guard.check(page.dom, TAGS | OUTPUTS)
    page.save()
    page.open_without_kernel("hostile.ipynb")
    page.dom.wait_for_selector(".wb-still")
    complaint = "Cannot read properties of null (reading 'kernel')"  # JupyterLab's own, where widgets have no kernel
    guard.console = [text for text in guard.console if text != complaint]
    guard.check(page.dom, TAGS | OUTPUTS)


def complete_by_hand(page: LabPage, text: str) -> None:
    """Complete the newest pending promise with JSON that holds a payload; first with what is no JSON."""
    board = page.dom.locator(".wb-dash").first.locator(".wb-promises")
    page.dom.locator(".wb-dash").first.get_by_role("tab", name="Promises").click()
    page.dom.evaluate("""() => {
      const face = document.querySelector('.wb-dash').wbFace, { pane } = face.made.get('promises');
      face.desk.goTo(null);
      pane.shut(); // whatever the pointer has opened and filtered before
      pane.showAll();
    }""")
    board.locator(".wb-promises-row", has_text="pending").first.click(position={"x": 60, "y": 10})
    board.get_by_role("button", name="Complete by hand…").click()
    board.locator("textarea").fill(text)
    board.locator(".wb-promises-valid.wb-error").wait_for()
    board.locator("textarea").fill(json.dumps({"text": text}))
    board.get_by_role("button", name="Complete…", exact=True).click()
    asked = board.locator(".wb-ask")
    assert text[:40] in json.loads('"' + asked.inner_text().split('{"text": "')[1].split('"}.')[0] + '"')
    asked.get_by_role("button", name="Complete", exact=True).click()
    board.get_by_text("Completed.", exact=True).wait_for()


def test_the_guard_sees_what_it_is_there_for(browser: Browser) -> None:
    """Each payload that is markup, put into a page as markup, is noticed in one way at least."""
    context = browser.new_context()
    for name in ("script", "img", "svg-onload", "iframe", "base", "form", "double-quote"):
        guard = Guard(context, ("about:",))
        page = context.new_page()
        page.goto("about:blank")
        payload = PAYLOADS[name] if name != "double-quote" else f'<a title="{PAYLOADS[name]}">x</a>'
        page.evaluate("(text) => document.body.append(document.createRange().createContextualFragment(text))", payload)
        with pytest.raises(AssertionError):
            guard.check(page, TAGS | PAGE)
        page.close()
    context.close()
