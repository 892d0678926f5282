"""One page of a real Chromium on a real JupyterLab.

The page is driven through JupyterLab's own application object, which the server exposes to it for tests; `dom` is
Playwright's page, for what a user does with mouse and keys. Each step waits for the condition that ends it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from playwright.sync_api import ConsoleMessage, Page
from playwright.sync_api import Error as PlaywrightError

from tests.browser.lab import Lab

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

Theme = Literal["light", "dark"]

# Defined in every page: the open notebook (the widget of the main area with a session and cells), and a run of it.
# JupyterLab's question before a page with unsaved changes is left would hold the page, as nobody answers it here; and
# a kernel may change what it shows at any time after a save.
SCRIPT = """
window.addEventListener('beforeunload', (event) => event.stopImmediatePropagation(), true);
window.lab = {
  panel: () => window.jupyterapp
    && [...window.jupyterapp.shell.widgets('main')].find(w => w.sessionContext && w.content && w.content.widgets),
  kernel: () => lab.panel()?.sessionContext.session?.kernel,
  idle: () => lab.panel()?.sessionContext.isReady && lab.kernel()?.status === 'idle',
  run: (command) => {
    const run = { done: false };
    lab.last = run;
    window.jupyterapp.commands.execute(command).then(
      (ok) => { run.done = true; run.ok = ok; },
      (error) => { run.done = true; run.ok = false; run.error = String(error); });
  },
};
"""


def find_chromium() -> str | None:
    """Return the path of a Chromium, from `$CHROMIUM` or the `PATH`; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@dataclass
class LabPage:
    """A browser page that shows one notebook."""

    lab: Lab
    dom: Page
    """Playwright's page."""
    errors: list[str] = field(default_factory=list)
    """What went wrong in the page since it was made: uncaught exceptions and `console.error` lines."""

    def __post_init__(self) -> None:
        self.dom.add_init_script(SCRIPT)
        self.dom.on("console", self._heard)
        self.dom.on("pageerror", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _failed(self, error: PlaywrightError) -> None:
        self.errors.append(f"uncaught: {error}")

    def open(self, path: str) -> None:
        """Open a notebook, and wait for its kernel: a fresh one, or the one that already runs for it."""
        self._visit(f"doc/tree/{quote(path)}")
        self.dom.wait_for_function("() => lab.idle()")

    def open_without_kernel(self, path: str) -> None:
        """Open a notebook as it was saved, with no kernel and nothing run; one that runs for it is shut down first."""
        self.lab.shut_down_kernels()
        self._visit("lab")
        self.dom.wait_for_function("() => window.jupyterapp?.commands.hasCommand('docmanager:open')")
        self.dom.evaluate(
            """async (path) => {
              await window.jupyterapp.restored;
              await window.jupyterapp.commands.execute('docmanager:open', {
                path, factory: 'Notebook', kernelPreference: { shouldStart: false, canStart: false } });
              const panel = lab.panel();
              await panel.context.ready;
              await panel.sessionContext.ready;
              await panel.revealed;
            }""",
            path,
        )

    def _visit(self, address: str) -> None:
        # `reset` drops the workspace: what an earlier page had open stays closed.
        self.dom.goto(f"{self.lab.url}{address}?token={self.lab.token}&reset")

    def start_all(self) -> None:
        """Start to run all cells, and return at once: look at the page while they run, then `wait_done`."""
        self.dom.evaluate("() => lab.run('notebook:run-all-cells')")

    def start_cell(self, index: int) -> None:
        """Start to run one cell (from 0), and return at once; it becomes the active cell."""
        self.dom.evaluate(
            "(index) => { lab.panel().content.activeCellIndex = index; lab.run('notebook:run-cell'); }", index
        )

    def wait_done(self, seconds: float = 60) -> bool:
        """Wait for the end of what was started last; False when a cell raised, and the rest was not run."""
        self.dom.wait_for_function("() => lab.last.done", timeout=seconds * 1000)
        return bool(self.dom.evaluate("() => lab.last.ok"))

    def is_running(self) -> bool:
        """Whether what was started last has not ended. The kernel's status would tell of its control channel too."""
        return not self.dom.evaluate("() => lab.last.done")

    def run_all(self, seconds: float = 60) -> bool:
        """Run all cells and wait for their end; False when one raised."""
        self.start_all()
        return self.wait_done(seconds)

    def run_cell(self, index: int, seconds: float = 60) -> bool:
        """Run one cell (from 0) and wait for its end; False when it raised."""
        self.start_cell(index)
        return self.wait_done(seconds)

    def outputs(self) -> list[str | None]:
        """Return the text below each cell, as one sees it; None for a cell that is no code cell."""
        texts: list[str | None] = self.dom.evaluate(
            "() => lab.panel().content.widgets.map(cell => cell.outputArea ? cell.outputArea.node.innerText : null)"
        )
        return texts

    def wait_for_output(self, cell: int, text: str, seconds: float = 30) -> None:
        """Wait until the text stands below a cell (from 0), also while that cell runs."""
        self.dom.wait_for_function(
            "([cell, text]) => lab.panel().content.widgets[cell].outputArea.node.innerText.includes(text)",
            arg=[cell, text],
            timeout=seconds * 1000,
        )

    def kernel_status(self) -> str | None:
        """Return what Lab says about the kernel (`idle`, `busy`, ...); None when there is none."""
        status: str | None = self.dom.evaluate("() => lab.kernel()?.status ?? null")
        return status

    def interrupt(self) -> None:
        """Interrupt the kernel, as the stop button does."""
        self.dom.evaluate("() => lab.kernel().interrupt()")

    def restart(self) -> None:
        """Restart the kernel, as its button does without asking, and wait for the new one."""
        self.dom.evaluate("() => lab.kernel().restart()")
        self.dom.wait_for_function("() => lab.idle()")

    def accept_restart(self) -> None:
        """Wait for the notice that a killed kernel was started anew, close it, and wait for the new kernel."""
        notice = self.dom.locator(".jp-Dialog", has_text="Kernel Restarting")
        notice.locator("button.jp-mod-accept").click()
        notice.wait_for(state="detached")
        self.dom.wait_for_function("() => lab.idle()")

    def save(self) -> None:
        """Save the notebook to its file."""
        self.dom.evaluate("() => lab.panel().context.save()")

    def set_theme(self, theme: Theme) -> None:
        """Switch JupyterLab's theme, and wait until the page wears it."""
        self.dom.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
            f"JupyterLab {theme.title()}",
        )
        self.dom.wait_for_function(
            "(light) => document.body.dataset.jpThemeLight === light", arg=str(theme == "light").lower()
        )

    def screenshot(self, path: Path) -> Path:
        """Write a picture (PNG) of the page as it is now, and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.dom.screenshot(path=path)
        return path
