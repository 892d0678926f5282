"""The harness itself: JupyterLab runs, is driven and is watched."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.page import LabPage


def test_cells_run_in_this_interpreter(page: LabPage) -> None:
    """A notebook is opened and run, by a kernel of the interpreter under test, and its outputs are read."""
    path = page.lab.write_notebook("smoke.ipynb", ["print(6 * 7)", "import sys; print(sys.executable)"])
    page.open(path)
    assert page.run_all()
    assert [text.strip() for text in page.outputs() if text] == ["42", sys.executable]
    assert page.errors == []
    assert "rate exceeded" not in page.lab.log_text()


def test_page_is_usable_while_a_cell_runs(page: LabPage) -> None:
    """Output of a running cell is seen before its end; an interrupt ends it, and the run says that it failed."""
    cells = ["print('started')\nimport threading\nthreading.Event().wait(60)", "print('never')"]
    page.open(page.lab.write_notebook("busy.ipynb", cells))
    page.start_all()
    page.wait_for_output(0, "started")
    assert page.is_running()
    page.interrupt()
    assert not page.wait_done()
    assert "KeyboardInterrupt" in (page.outputs()[0] or "")
    assert page.outputs()[1] == ""


def test_killed_kernel_is_replaced(page: LabPage) -> None:
    """A killed kernel is another process afterwards, and remembers nothing."""
    path = page.lab.write_notebook("killed.ipynb", ["print('x' in globals()); x = 1"])
    page.open(path)
    assert page.run_cell(0)
    killed = page.lab.kill_kernel(path)
    page.accept_restart()
    assert page.lab.kernel_pid(path) != killed
    assert page.run_cell(0)
    assert page.outputs() == ["False\n"]


def test_saved_notebook_without_kernel(page: LabPage, tmp_path: Path) -> None:
    """A saved notebook shows its outputs with no kernel, in light and in dark, and can be photographed."""
    path = page.lab.write_notebook("saved.ipynb", ["print('kept')"])
    page.open(path)
    assert page.run_all()
    page.save()
    page.open_without_kernel(path)
    page.wait_for_output(0, "kept")
    assert page.kernel_status() is None
    assert page.lab.request("api/sessions") == []
    light = page.screenshot(tmp_path / "light.png").read_bytes()
    page.set_theme("dark")
    dark = page.screenshot(tmp_path / "dark.png").read_bytes()
    assert light.startswith(b"\x89PNG")
    assert light != dark
