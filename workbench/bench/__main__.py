"""`python -m workbench.bench`: the same as `workbench bench`, for who works on the workbench."""

import argparse
import sys
from collections.abc import Sequence

from workbench.bench.bench import run
from workbench.bench.options import BenchError, add_options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; 1 when it cannot be done, or a result is so far off that something must be broken."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.bench", description="Measure the workbench against its floors."
    )
    add_options(parser)
    try:
        return run(parser.parse_args(arguments))
    except BenchError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
