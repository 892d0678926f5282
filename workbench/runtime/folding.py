"""A log that comes from a file, folded: what no session can have written is told in words."""

from collections.abc import Iterable

from workbench.core.claims import WrongClaimError, fold_checked
from workbench.core.state import State
from workbench.errors import StoreCorruptError
from workbench.model.entries import Entry
from workbench.store.log import Log


def fold_log(state: State, entries: Iterable[Entry], log: Log) -> State:
    """Fold entries of a log into a state, which it returns.

    Raises:
        StoreCorruptError: no session wrote them; says which entry is wrong, and why.
    """
    try:
        fold_checked(state, entries)
    except WrongClaimError as error:
        raise StoreCorruptError(
            f"entry {error.seq} of {getattr(log, 'path', 'the log')} does not follow from those before it",
            error.why,
            "restore a copy of the store",
        ) from error
    state.wakes.clear()
    state.ended.clear()
    return state
