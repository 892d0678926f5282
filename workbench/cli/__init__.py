# ruff: noqa: T201 - printing is what it does
"""The command line: `workbench lab`, `agents|promises|forks|oplog|why STORE` to look into a store, `salvage`, `bench`.

Each subcommand is a function that adds its own parser and names the function that runs it; `COMMANDS` lists them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence

from workbench.cli.benching import add_bench
from workbench.cli.command import CommandError
from workbench.cli.lab import add_lab
from workbench.cli.looking import add_looks
from workbench.cli.salvaging import add_salvage

COMMANDS = (add_lab, add_looks, add_salvage, add_bench)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; a parsed namespace holds the function to call as `run`."""
    top = argparse.ArgumentParser(prog="workbench", description="Durable agents for notebooks.")
    top.add_argument("--version", action="version", version=importlib.metadata.version("workbench"))
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `workbench`; None takes them from the command line.

    Returns:
        The exit status: 0 for success, 1 when the command cannot be done, otherwise that of what was started. Wrong
        arguments end the process with status 2, as `argparse` does.
    """
    parsed = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except CommandError as error:
        print(f"workbench: {error}", file=sys.stderr)
        return 1
