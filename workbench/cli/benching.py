"""`workbench bench`: measure what the workbench costs, against floors written by hand."""

from __future__ import annotations

import argparse
import importlib

from workbench.bench.options import BenchError, add_options
from workbench.cli.command import CommandError


def run_bench(arguments: argparse.Namespace) -> int:
    """Measure, print the table, and return 0; 1 when a result is so far off that something must be broken.

    The workloads load here and not with the command line: they define agents, and need more than other commands do.

    Raises:
        CommandError: what was asked for cannot be measured, or not be written.
    """
    try:
        status: int = importlib.import_module("workbench.bench.bench").run(arguments)
    except BenchError as error:
        raise CommandError(str(error)) from error
    return status


def add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `bench`."""
    what = "measure the workbench against floors written by hand"
    parser = commands.add_parser(
        "bench",
        help=what,
        description=f"{what.capitalize()}. All of it takes some minutes, and a machine that does nothing else.",
    )
    add_options(parser)
    parser.set_defaults(run=run_bench)
