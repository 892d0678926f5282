"""From a row of the log to an entry: SQLite keeps anything in any column, so what a row holds is looked at first."""

from typing import Any

from workbench.model.entries import KIND_NUMBERS, LATEST, Entry, decode_body


class StrangeRowError(Exception):
    """A row that no session writes, though the chain may fit it."""


def entry_of(row: tuple[Any, ...]) -> Entry:
    """The entry of a row of `reading.rows_of`.

    Raises:
        StrangeRowError: a column holds what it cannot hold.
        msgspec.MsgspecError: the body is of no kind that is known here.
    """
    seq, agent, index, kind, cause, invocation, wall, mono, line, body, _ = row
    if not (
        type(seq) is type(agent) is type(index) is type(cause) is type(invocation) is type(wall) is type(mono) is int
        and type(line) is str
        and type(body) is bytes
    ):
        raise StrangeRowError("a column holds another type of value than it should")
    if not 0 <= wall <= LATEST:
        raise StrangeRowError(f"its time, {wall} ns after 1970, is out of range")
    try:
        said = decode_body(body)
    except (RecursionError, UnicodeDecodeError) as error:
        raise StrangeRowError(f"its body cannot be decoded: {error!s:.80}") from error
    if KIND_NUMBERS[type(said)] != kind:
        raise StrangeRowError(f"it is filed under kind {kind!s:.20}, and is a {type(said).__name__}")
    return Entry(seq, agent, index, cause, invocation, wall, mono, line, said)
