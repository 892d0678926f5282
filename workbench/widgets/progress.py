"""The progress line of a fan-out job under its cell: updated while the cell blocks, and saved with the notebook."""

import contextvars
from collections.abc import Callable
from typing import Any

from IPython.display import display

from workbench.runtime.jobs import JobView
from workbench.views.progress import JobProgress
from workbench.widgets.pump import PUMP


class ProgressLine:
    """A source of the pump: folds the feed and updates one display."""

    def __init__(self, job: JobView) -> None:
        self._feed = job.session.feed
        self._progress = JobProgress(job.agent_id, job.title, job.items)
        self._context = contextvars.copy_context()  # whose cell the updates belong to
        self._note = ""
        self._shown = ""
        self._handle: Any = display(self, display_id=True)
        self._undo = [self._feed.subscribe(PUMP.wake), PUMP.follow(self)]
        PUMP.wake()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self._progress.text(self._note), "text/html": self._progress.html(self._note)}

    def advance(self) -> bool:
        """Take in what is new, and show it if it changed the line."""
        news = self._progress.apply(self._feed.read(self._progress.seq))
        self._show()
        return news

    def _show(self) -> None:
        text = self._progress.text(self._note)
        if text != self._shown and self._handle is not None:
            self._shown = text
            self._context.run(self._handle.update, self)

    def pressed(self) -> bool:
        """A line is cheap."""
        return False

    def rest(self) -> None:
        """The display holds what a saved notebook shows already."""

    def fail(self, error: BaseException) -> None:
        """The pump dropped this line: say so in it."""
        self._note = f"no longer updated ({type(error).__name__}: {error})"
        self._show()

    def finish(self, error: BaseException | None) -> None:
        """The cell no longer waits: show the last count, and whether the job goes on without it."""
        if error is not None and not isinstance(error, Exception):
            self._note = "the cell was interrupted, the job goes on; run the cell again to join it"
        PUMP.flush()
        for undo in self._undo:
            undo()


def observe(job: JobView) -> Callable[[BaseException | None], None]:
    """Show a job's progress; see `workbench.runtime.jobs.observers`."""
    return ProgressLine(job).finish
