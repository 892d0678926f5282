"""A session's log in files of other tools: a trace for Perfetto, a diagram for Mermaid, a log for ShiViz.

Each function reads the committed entries, all or those up to one, and runs nothing; a session that only reads is as
good as one that owns the store. They may be called from any thread, and from a plain function in a step.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

from workbench.errors import SearchError, StoreError
from workbench.exports import mermaid, perfetto, shiviz
from workbench.exports.answers import described
from workbench.runtime.current import refuse_blocking
from workbench.runtime.reading import Reader
from workbench.store.commit_mark import END
from workbench.store.connection import SIDES
from workbench.views.tape import Tape

MOST_CLOCKS: Final = 50_000_000
"""Signs of a log for ShiViz at most: each event names all agents that it may depend on."""
Kind = Literal["graph", "sequence"]


def save_perfetto(
    session: Reader, path: "str | os.PathLike[str]", at: int | None = None, *, overwrite: bool = False
) -> Path:
    """Write a trace, which https://ui.perfetto.dev and `chrome://tracing` open.

    Args:
        session: whose log.
        path: the file, by custom with the suffix `.json`.
        at: the last entry (`seq`) that counts; None for all.
        overwrite: whether a file that is there may be replaced.

    Returns:
        where it lies.

    Raises:
        StoreError: the file exists, or cannot be written.
    """
    _refuse_agents("to_perfetto")
    tape = tape_of(session, at)
    trace = perfetto.trace(tape, tape.moment())
    return write(session, path, (json.dumps(trace, allow_nan=False, separators=(",", ":")),), overwrite=overwrite)


def mermaid_text(session: Reader, kind: Kind = "graph", at: int | None = None) -> str:
    """The text of a Mermaid diagram.

    Args:
        session: whose log.
        kind: `graph` for who made whom and who waits for whom, `sequence` for who told whom.
        at: the last entry (`seq`) that counts; None for all.

    Raises:
        SearchError: there is no such kind of diagram.
    """
    _refuse_agents("to_mermaid")
    if kind not in ("graph", "sequence"):
        raise SearchError(f"no Mermaid diagram {kind!r}", "there are two kinds", "take 'graph' or 'sequence'")
    tape = tape_of(session, at)
    return (mermaid.graph if kind == "graph" else mermaid.sequence)(tape, tape.moment())


def save_shiviz(
    session: Reader, path: "str | os.PathLike[str]", at: int | None = None, *, overwrite: bool = False
) -> Path:
    """Write a log, which https://bestchai.bitbucket.io/shiviz opens: a line for each agent, an arrow for each message.

    Args:
        session: whose log.
        path: the file, by custom with the suffix `.log`.
        at: the last entry (`seq`) that counts; None for all.
        overwrite: whether a file that is there may be replaced.

    Returns:
        where it lies.

    Raises:
        StoreError: the file exists, cannot be written, or would be larger than ShiViz can show.
    """
    _refuse_agents("to_shiviz")
    return write(session, path, _clocked(session, at), overwrite=overwrite)


def _clocked(session: Reader, at: int | None) -> Iterator[str]:
    left = MOST_CLOCKS
    for line in shiviz.lines(session.entries(0, at)):
        left -= len(line) + 1
        if left < 0:
            raise StoreError(
                f"the log of {session.path} is too large for ShiViz",
                f"with the clocks of its agents it takes more than {MOST_CLOCKS:,} signs",
                "name an earlier entry with at=",
            )
        yield f"{line}\n"


def tape_of(session: Reader, at: int | None = None) -> Tape:
    """What happened up to an entry, or up to now, in rows."""
    tape = Tape(describe=described)
    tape.apply(session.entries(0, at))
    return tape


def _refuse_agents(name: str) -> None:
    refuse_blocking(f"session.{name}", "do it in a cell, or in a plain function as a step")


def write(session: Reader, path: "str | os.PathLike[str]", parts: Iterable[str], *, overwrite: bool) -> Path:
    """Write text to a file, whole or not at all.

    Args:
        session: its store is never written over.
        path: the file.
        parts: the text, in pieces.
        overwrite: whether a file that is there may be replaced.

    Raises:
        StoreError: the file exists, or cannot be written.
    """
    target, store = Path(path).resolve(), Path(session.path).resolve()
    if target in {store.with_name(store.name + side) for side in ("", ".lock", END, *SIDES)}:
        raise StoreError(f"{target} belongs to the store", "it holds the only copy of the log", "name another file")
    if target.exists() and not overwrite:
        raise _exists(target)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", text=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)
        part.chmod(0o644)
        _put(part, target, overwrite=overwrite)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _put(part: Path, target: Path, *, overwrite: bool) -> None:
    """Give a written file its name."""
    if overwrite:
        part.replace(target)
        return
    try:  # somebody may have made the file since it was looked for
        target.touch(exist_ok=False)
    except FileExistsError as error:
        raise _exists(target) from error
    part.replace(target)


def _exists(target: Path) -> StoreError:
    return StoreError(f"{target} exists", "nothing is overwritten unasked", "name another file, or pass overwrite=True")


def _unwritable(target: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{target} cannot be written", str(error.strerror), "name a folder that exists and may be written to"
    )
