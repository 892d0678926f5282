"""A session's pictures and files, as its methods give them: figures, snapshots, pages, traces."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.exports import pictures
from workbench.exports.answers import Answers
from workbench.exports.figures import figure as figure_of
from workbench.exports.page import PANES, page
from workbench.exports.saving import mermaid_text, save_perfetto, save_shiviz, tape_of, write
from workbench.questions.rows import one_of
from workbench.runtime.viewed import Viewed
from workbench.signs import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure", "mermaid_text", "save_perfetto", "save_shiviz", "snapshot", "to_html"]


class Snapshot:
    """A still picture as the output of a cell."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self._bundle = bundle

    def __repr__(self) -> str:
        return str(self._bundle["text/plain"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self._bundle


def figure(session: Viewed, kind: str, at: int | None, *, of: object = None) -> "Figure":
    """See `Viewed.figure`."""
    critical = None if of is None else session.critical_path(of).segments
    return figure_of(pictures.drawing(tape_of(session, at), kind, critical, session))


def snapshot(session: Viewed, kind: str, at: int | None) -> Snapshot:
    """See `Viewed.snapshot`."""
    return Snapshot(pictures.still(tape_of(session, at), kind, session))


def to_html(
    session: Viewed, path: "str | os.PathLike[str]", *, panes: Sequence[str] = (), overwrite: bool = False
) -> Path:
    """See `Viewed.to_html`."""
    panes = (panes,) if isinstance(panes, str) else panes
    for name in panes:
        one_of("view", name, PANES)
    tape = tape_of(session)
    name = printable(Path(session.path).name)
    facts = {"store": name, "path": name, "entries": tape.last_seq, "lag": 0}
    text = page(tape, f"{name} at entry {tape.last_seq}", facts, Answers(session, tape).notes(), panes=panes)
    return write(session, path, (text,), overwrite=overwrite)
