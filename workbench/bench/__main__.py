"""`python -m workbench.bench`: measure, and print the table."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.bench import calls, fan_outs, processes, recovery
from workbench.bench.goals import Result, Workload
from workbench.bench.report import as_json, table
from workbench.bench.rounds import measure


def workloads(*, quick: bool = False, large: bool = False) -> list[Workload]:
    """All workloads, in the order of the table.

    Args:
        quick: small sizes, for CI.
        large: with the fan-out to 100,000 children.
    """
    listed = [
        fan_outs.fan_out((200, 1000) if quick else (1000, 10_000)),
        calls.calls(200 if quick else 5000),
        calls.alone(20 if quick else 300),
        fan_outs.promises(200 if quick else 1000),
        recovery.crash(300 if quick else 1000),
        recovery.reopening(500 if quick else 10_000),
        calls.forks(20 if quick else 300, 100),
        processes.importing(),
        processes.first_result(),
        fan_outs.view_tax(1000 if quick else 10_000),
    ]
    if large:
        listed.append(fan_outs.large(100_000))
    return listed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; 1 when a result is so far off that something must be broken."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.bench", description="Measure the workbench against its floors."
    )
    parser.add_argument("--rounds", type=int, default=0, help="how often each side is run (5; 1 with --quick)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this workload; may be given again")
    parser.add_argument("--quick", action="store_true", help="small sizes, for CI")
    parser.add_argument("--large", action="store_true", help="also 100,000 children")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--dir", type=Path, help="where to make stores; a real disk, or fsync means nothing")
    chosen = parser.parse_args(arguments)
    listed = workloads(quick=chosen.quick, large=chosen.large)
    if chosen.only:
        unknown = set(chosen.only) - {w.name for w in listed}
        if unknown:
            parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(w.name for w in listed)}")
        listed = [w for w in listed if w.name in chosen.only]
    rounds = chosen.rounds or (1 if chosen.quick else 5)
    with tempfile.TemporaryDirectory(prefix="workbench-bench-", dir=chosen.dir) as folder:
        results = [measure(w, rounds, Path(folder), _tell) for w in listed]
    print(table(results))
    if chosen.json:
        chosen.json.write_text(as_json(results) + "\n", "utf-8")
    return _verdict(results)


def _verdict(results: Sequence[Result]) -> int:
    broken = [line for result in results for line in result.broken()]
    for line in broken:
        _tell(f"broken: {line}")
    return 1 if broken else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
