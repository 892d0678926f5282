# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""An agent that holds the session's thread is told, with its line and what to do; a quick one is not."""

import logging
import threading
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.conftest import Opener
from tests.behaviour.looking import until

release = threading.Event()


@wb.agent
class Holder:
    """Blocks until the test lets it go."""

    def block(self) -> str:
        release.wait(20)
        return "done"

    def quick(self) -> str:
        return "done"

    async def step(self) -> bool:
        return await wb.step(release.wait, 20)


def test_who_holds_the_thread_is_told_once_with_its_line(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """While the method blocks, the log names agent, method, line and the step to use; the same line is told once."""
    opened(":memory:")
    with caplog.at_level(logging.WARNING, "workbench"):
        for _ in range(2):
            release.clear()
            call = Holder.get().block().submit()
            until(lambda: "holds the session's thread" in caplog.text)
            release.set()
            assert call.result(10) == "done"
    assert caplog.text.count("holds the session's thread") == 1
    assert "Holder().block" in caplog.text
    assert f"test_holdups.py:{Holder.block.__code__.co_firstlineno + 1}" in caplog.text
    assert "wb.step" in caplog.text


def test_quick_methods_and_steps_are_not_told(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """Many short runs hold nothing, and a step runs elsewhere, however long."""
    session: Any = opened(":memory:")
    looked = threading.Event()
    looked_on: list[int] = []
    with caplog.at_level(logging.WARNING, "workbench"):
        release.clear()
        waiting = Holder.get().step().submit()
        while len(looked_on) < 300:
            looked_on.append(len(wb.run(Holder.new_phantom().quick())))
        looked.wait(0.5)
        release.set()
        assert waiting.result(10) is True
    assert session.thread.engine.running is None
    assert "holds the session's thread" not in caplog.text
