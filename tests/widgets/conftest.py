"""A page for dashboards, and dashboards that are closed: nothing may be left over."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from ipywidgets.widgets.widget import _instances

from tests.widgets.front_end import SECONDS, Feed, FrontEnd, fed
from workbench.model.agent_type import registry
from workbench.runtime.session import Session
from workbench.widgets import code
from workbench.widgets.channel import Channel
from workbench.widgets.dashboard import Dashboard
from workbench.widgets.pump import PUMP

Show = Callable[..., Dashboard]


@pytest.fixture
def front_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontEnd]:
    """A front end in place of the browser; afterwards nothing may be left: no comm, widget, thread, channel."""
    page = FrontEnd()

    class FakeComm(BaseComm):
        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            page.receive(self, msg_type, data, buffers)

    def create_comm(**options: Any) -> BaseComm:
        page.comms.append(FakeComm(**options))
        return page.comms[-1]

    earlier = set(_instances)  # of what other tests showed in this process
    made: list[code.Code] = []
    monkeypatch.setattr(code, "_MADE", made)
    monkeypatch.setattr(comm, "create_comm", create_comm)
    yield page
    for widget in made:
        widget.close()
    assert PUMP.join(SECONDS), "the pump's thread outlived its widgets"
    assert all(c._closed for c in page.comms), "a comm was left open"
    assert not [w for w in set(_instances) - earlier if isinstance(_instances[w], Dashboard | code.Code)]
    page.comms.clear()
    page.arrived.clear()
    gc.collect()
    assert not Channel._open, "a channel outlived its widgets"


@pytest.fixture
def show(front_end: FrontEnd) -> Iterator[Show]:
    """Makes dashboards that are closed at the end, of a feed or of a session; their pages say hello."""
    widgets: list[Dashboard] = []

    def make(source: Feed | Session | Dashboard, *args: Any, hello: bool = True, **options: Any) -> Dashboard:
        shown = fed(source) if isinstance(source, Feed) else source
        widget = shown if isinstance(shown, Dashboard) else Dashboard(shown, *args, **options)
        widgets.append(widget)
        if hello:
            front_end.hello(widget)
        return widget

    yield make
    front_end.open_gate.set()
    feeds = [widget._channel.feed for widget in widgets]
    for widget in widgets:
        widget.close()
        widget.layout.close()  # ipywidgets gives each widget one, and leaves it to us
    assert not any(feed.subscribers for feed in feeds if isinstance(feed, Feed)), "somebody still follows a feed"
    widgets.clear()


@pytest.fixture
def no_classes() -> Iterator[None]:
    """No agent classes are left behind."""
    before = dict(registry._types)
    yield
    registry._types.clear()
    registry._types.update(before)
