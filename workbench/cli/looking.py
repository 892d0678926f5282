# ruff: noqa: T201 - printing is what it does
"""`workbench agents|promises|forks|oplog|why STORE`: what is in a store, while it is in use or at rest.

It is opened to read only: nothing in it is run or changed, and no class needs to be there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from workbench.cli.command import CommandError
from workbench.errors import WorkbenchError
from workbench.questions.rows import PROMISE_STATES, STATUSES
from workbench.runtime.opening import start
from workbench.runtime.session import Session
from workbench.signs import printable
from workbench.views import tables


class Answer(NamedTuple):
    """What a command found."""

    text: Callable[[int], str]
    """For people, in so many columns; 0 for any number."""
    records: object


EVERYTHING = sys.maxsize
"""Rows of a table in a terminal, which scrolls."""


def look_at_agents(session: Session, arguments: argparse.Namespace) -> Answer:
    """List agents."""
    found = session.agents(arguments.status, arguments.type, arguments.name)
    return Answer(tables.agents_table(found, EVERYTHING).text, tables.records(found))


def look_at_promises(session: Session, arguments: argparse.Namespace) -> Answer:
    """List promises."""
    found = session.promises(arguments.state, arguments.agent)
    return Answer(tables.promises_table(found, EVERYTHING).text, tables.records(found))


def look_at_forks(session: Session, _arguments: argparse.Namespace) -> Answer:
    """List forks, below what they were forked from."""
    tree = session.fork_tree()
    return Answer(tables.forks_table(tree, EVERYTHING).text, tables.fork_records(tree))


def look_at_oplog(session: Session, arguments: argparse.Namespace) -> Answer:
    """List an agent's entries."""
    found = session.oplog(arguments.agent, arguments.search)
    return Answer(tables.oplog_table(found, EVERYTHING).text, tables.entry_records(found))


def look_at_why(session: Session, arguments: argparse.Namespace) -> Answer:
    """Tell why an agent stands where it stands."""
    found = session.why(arguments.agent)
    return Answer(lambda width: tables.sentences(found.sentences, width), msgspec.to_builtins(found))


def run_look(arguments: argparse.Namespace) -> int:
    """Open a store to read only, print what was asked for, and return 0.

    Raises:
        CommandError: there is no such store, or it holds nothing of that name.
    """
    try:
        with start(arguments.store, read_only=True) as session:
            found: Answer = arguments.look(session, arguments)
    except WorkbenchError as error:
        raise CommandError(printable(str(error))) from error
    if arguments.json:
        text = json.dumps(found.records, indent=2)
    else:
        text = found.text(shutil.get_terminal_size((0, 0)).columns)
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:  # whoever read it has seen enough, as `head`; nothing is left to be written at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _add_look(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    look: Callable[[Session, argparse.Namespace], Answer],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=f"{what.capitalize()}. The store may be in use.")
    parser.add_argument("store", metavar="STORE", help="the store's file")
    parser.add_argument("--json", action="store_true", help="print plain values instead of a table")
    parser.set_defaults(run=run_look, look=look)
    return parser


def add_looks(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `agents`, `promises`, `forks`, `oplog` and `why`."""
    agents = _add_look(commands, "agents", "list the agents of a store", look_at_agents)
    agents.add_argument("--status", choices=STATUSES, help="only agents with this status")
    agents.add_argument("--type", help="only agents of this class")
    agents.add_argument("--name", help="only agents whose id holds this, or is like it: 'Worker(*)'")
    promises = _add_look(commands, "promises", "list the promises of a store", look_at_promises)
    promises.add_argument("agent", metavar="AGENT", nargs="?", help="only those that it made, was given or awaits")
    promises.add_argument("--state", choices=PROMISE_STATES, help="only promises in this state")
    _add_look(commands, "forks", "list the forks of a store", look_at_forks)
    oplog = _add_look(commands, "oplog", "list the entries of an agent", look_at_oplog)
    oplog.add_argument("agent", metavar="AGENT", help="its id, as 'Worker(7)'")
    oplog.add_argument(
        "--search", metavar="QUERY", help="only entries like: kind:CallMade method:process not 'eu west'"
    )
    why = _add_look(commands, "why", "tell why an agent waits", look_at_why)
    why.add_argument("agent", metavar="AGENT", help="its id, as 'Worker(7)'")
