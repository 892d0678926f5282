"""What can be asked of the bench: one set of options for `workbench bench` and `python -m workbench.bench`.

Nothing heavy is imported here: the command line has these options at hand also when something else was asked for.
"""

import argparse
from pathlib import Path


class BenchError(Exception):
    """The bench cannot do what was asked for; the message says what, why, and what to do."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options."""
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="how often each side is run (5; 3 with --quick)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this workload; may be given again")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, for CI: under a minute")
    size.add_argument("--large", action="store_true", help="also fan-outs to 30,000 and 100,000 children")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw what a child costs against their number (.png, .svg, .pdf)"
    )
    parser.add_argument("--dir", type=Path, help="where to make stores; a real disk, or fsync means nothing")


def _rounds(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds: take 1 or more")
    return number
