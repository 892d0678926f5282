"""A session's pictures: views, figures, files. The rooms that draw them lie above this one and load on first use.

The facade plugs them in (`Viewed.drawing`); a session can be run without them.
"""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.runtime.explaining import Explaining

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Viewed(Explaining):
    """The seeing half of a session."""

    drawing: ClassVar[dict[str, str]] = {}
    """Names of the modules that draw: `live` for widgets, `files` for all that is not live."""

    def _room(self, name: str) -> Any:
        return importlib.import_module(self.drawing[name])

    # ---- live ------------------------------------------------------------------------------------------------------

    def dashboard(self, *, tab: str = "graph", since: int = 0) -> Any:
        """The live views, with one selection and one clock: graph, timeline, promises, forks, oplog, why.

        Args:
            tab: the view that is open first.
            since: show only agents that did something after this `seq`, and what they descend from; 0 shows all.

        Returns:
            a widget; its `selected`, `select(...)` and `at(seq)` are for code.
        """
        return self._room("live").dashboard(self, tab=tab, since=since)

    def agent_graph(self, *, since: int = 0) -> Any:
        """The live agent graph by itself; see `dashboard`."""
        return self._room("live").dashboard(self, ("graph",), since=since)

    def timeline(self, *, since: int = 0) -> Any:
        """The live timeline by itself: who did what when, and the messages between agents; see `dashboard`."""
        return self._room("live").dashboard(self, ("timeline",), since=since)

    def promise_board(self, *, since: int = 0) -> Any:
        """The live board of promises by itself: who made, awaits and completes them; see `dashboard`."""
        return self._room("live").dashboard(self, ("promises",), since=since)

    def fork_tree_view(self, *, since: int = 0) -> Any:
        """The live fork tree by itself: branches, cuts and results; see `dashboard`."""
        return self._room("live").dashboard(self, ("forks",), since=since)

    def oplog_view(self, agent: object = None) -> Any:
        """The live oplog of an agent by itself; see `dashboard`.

        Args:
            agent: whose, as a client, an `AgentId` or text; by default the one that is selected in the view.

        Raises:
            RefusedError: there is no such agent.
        """
        view = self._room("live").dashboard(self, ("oplog",))
        if agent is not None:
            view.select(agent)
        return view

    # ---- still -----------------------------------------------------------------------------------------------------

    def figure(self, kind: str = "graph", at: int | None = None, *, of: object = None) -> "Figure":
        """A matplotlib figure of a view, for papers and slides.

        Args:
            kind: `graph`, `timeline`, `forks` or `promises`.
            at: the entry as of which to draw; None for now.
            of: an invocation, as `critical_path` takes it: its critical path is lit in the timeline.

        Raises:
            SearchError: there is no such kind.
        """
        figure: Figure = self._room("files").figure(self, kind, at, of=of)
        return figure

    def snapshot(self, kind: str = "graph", at: int | None = None) -> Any:
        """A picture of a view as it is now, with no widget in it: it stays in a saved notebook and needs no kernel.

        Args:
            kind: `graph`, `timeline`, `forks` or `promises`.
            at: the entry as of which to draw; None for now.

        Raises:
            SearchError: there is no such kind.
        """
        return self._room("files").snapshot(self, kind, at)

    def to_html(self, path: "str | os.PathLike[str]", *, panes: Sequence[str] = (), overwrite: bool = False) -> Path:
        """Write the dashboard as one file that opens from disk without a kernel and without a network.

        Args:
            path: of the file.
            panes: which views, in the order of their tabs, as `("graph", "why")`; all by default.
            overwrite: replace a file that is there.

        Returns:
            where it lies.

        Raises:
            SearchError: there is no such view; names those that there are.
            StoreError: the file exists, or cannot be written.
        """
        written: Path = self._room("files").to_html(self, path, panes=panes, overwrite=overwrite)
        return written

    def to_perfetto(self, path: "str | os.PathLike[str]", at: int | None = None, *, overwrite: bool = False) -> Path:
        """Write what happened as a trace that Perfetto and Chrome's tracing page open.

        Args:
            path: of the file.
            at: the last entry that counts; None for all.
            overwrite: replace a file that is there.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        written: Path = self._room("files").save_perfetto(self, path, at, overwrite=overwrite)
        return written

    def to_shiviz(self, path: "str | os.PathLike[str]", at: int | None = None, *, overwrite: bool = False) -> Path:
        """Write what happened with vector clocks, as ShiViz reads it.

        Args:
            path: of the file.
            at: the last entry that counts; None for all.
            overwrite: replace a file that is there.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        written: Path = self._room("files").save_shiviz(self, path, at, overwrite=overwrite)
        return written

    def to_mermaid(self, kind: str = "graph", at: int | None = None) -> str:
        """The agents (`graph`) or their messages (`sequence`) as a Mermaid diagram.

        Args:
            kind: which.
            at: the entry as of which to draw; None for now.

        Raises:
            SearchError: there is no such kind.
        """
        text: str = self._room("files").mermaid_text(self, kind, at)
        return text
