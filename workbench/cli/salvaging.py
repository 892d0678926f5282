# ruff: noqa: T201 - printing is what it does
"""`workbench salvage STORE NEW`: save what is whole of a damaged store."""

from __future__ import annotations

import argparse

from workbench.cli.command import CommandError
from workbench.errors import WorkbenchError
from workbench.signs import printable
from workbench.store.salvage import salvage


def run_salvage(arguments: argparse.Namespace) -> int:
    """Copy the longest valid prefix of a store into a new one, say how many entries that are, and return 0.

    Raises:
        CommandError: there is no such store, nothing of it is whole, or the new one cannot be written.
    """
    try:
        saved = salvage(arguments.store, arguments.new)
    except WorkbenchError as error:
        raise CommandError(printable(str(error))) from error
    entries = "1 entry" if saved.entries == 1 else f"{saved.entries} entries"
    print(printable(f"Saved {entries} into {saved.path}."))
    print(printable(f"After that: {saved.wrong}." if saved.wrong else "Nothing was wrong with what can be read."))
    if saved.salt_lost:
        print("The store's salt was lost: ids of promises that were written down before name none in the new store.")
    return 0


def add_salvage(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `salvage`."""
    what = "save what is whole of a damaged store"
    parser = commands.add_parser("salvage", help=what, description=f"{what.capitalize()}. The store is left as it is.")
    parser.add_argument("store", metavar="STORE", help="the damaged store's file, which nobody may have open")
    parser.add_argument("new", metavar="NEW", help="a file that is not there yet")
    parser.set_defaults(run=run_salvage)
