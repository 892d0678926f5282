"""The picture of a deadlock below the traceback of a cell that it ended."""

from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import publish_display_data

from workbench.errors import DeadlockError
from workbench.views.deadlock_picture import deadlock_svg, title_of

_SVG: Final = "image/svg+xml"


def watch(shell: Any) -> None:
    """Show the picture after each cell that ends with a deadlock; `unwatch` undoes it."""
    if _after_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _after_cell)


def unwatch(shell: Any) -> None:
    """Leave it at the traceback."""
    if _after_cell in shell.events.callbacks["post_run_cell"]:
        shell.events.unregister("post_run_cell", _after_cell)


def deadlock_in(error: BaseException | None) -> DeadlockError | None:
    """The first deadlock that an error is, holds as a group, or was raised from."""
    while error is not None:
        if isinstance(error, DeadlockError):
            return error
        if isinstance(error, BaseExceptionGroup):
            return next((found for found in map(deadlock_in, error.exceptions) if found is not None), None)
        error = error.__cause__
    return None


def _after_cell(result: Any) -> None:
    error = deadlock_in(result.error_in_exec)
    formatter: Any = InteractiveShell.instance().display_formatter
    if error is not None and _SVG in formatter.active_types:
        publish_display_data({_SVG: deadlock_svg(error), "text/plain": title_of(error)})
