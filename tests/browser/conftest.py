"""Fixtures for tests in a real JupyterLab and a real Chromium: ask for `page`."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import Lab, running_lab
from tests.browser.page import CHROMIUM_FLAGS, LabPage, find_chromium

HERE = Path(__file__).parent
LOG_LINES = 40


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as `browser`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the page looked like, what it complained about, and what the server wrote."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and isinstance(page, LabPage):
        picture = page.screenshot(page.lab.log.parent / "failed" / f"{item.name}.png")
        log = page.lab.log_text().splitlines()[-LOG_LINES:]
        report.sections.append(("Page", "\n".join([f"screenshot: {picture}", *page.errors])))
        report.sections.append(("JupyterLab server", "\n".join(log)))
    return report


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium. Without one: skip with the way to get it, or fail when `CI` is set."""
    path = find_chromium()
    if path is None:
        message = "no Chromium in $CHROMIUM or on the PATH; get one with: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run one JupyterLab for all tests; each writes notebooks of its own names below `lab.root`."""
    with running_lab(tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Run a Chromium for the tests of one module.

    Not for the session: while Playwright's blocking interface is in use, this thread counts as running an event loop,
    and `asyncio.run` in any later test would be refused.
    """
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()


@pytest.fixture
def page(lab: Lab, browser: Browser) -> Iterator[LabPage]:
    """Return an empty page with no memory of others; when the test ends, so do the kernels it started."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="no-preference")
    yield LabPage(lab, context.new_page())
    context.close()
    lab.shut_down_kernels()
