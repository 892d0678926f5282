"""The bench itself: what was asked for is looked at, measured, told and judged."""

import argparse
import gc
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workbench.bench.catalogue import workloads
from workbench.bench.goals import Result, Workload
from workbench.bench.options import BenchError
from workbench.bench.report import as_json, table
from workbench.bench.rounds import measure
from workbench.errors import StoreError
from workbench.store.lock import refuse_network_home

ROUNDS: Final = 5
QUICK_ROUNDS: Final = 3
ROOM: Final = 1_000_000_000
"""Bytes of disk that stores may take; a tenth of it with `--quick`."""
SUFFIXES: Final = (".png", ".svg", ".pdf")
DRAWN: Final = "fan-out"
"""The workload that a figure shows."""


def run(options: argparse.Namespace) -> int:
    """Measure what was asked for, print the table, write the files.

    Args:
        options: as `workbench.bench.options` parses them.

    Returns:
        1 when a result is so far off that something must be broken, 0 otherwise.

    Raises:
        BenchError: it cannot be done; found out before anything is measured.
    """
    listed = _chosen(options)
    _check_files(options, listed)
    _check_folder(options.dir, ROOM // 10 if options.quick else ROOM)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    results: list[Result] = []
    gc.collect()
    gc.freeze()  # what is there already is not looked at again and again: a figure shall not tell of who calls
    try:
        with tempfile.TemporaryDirectory(prefix="workbench-bench-", dir=options.dir) as folder:
            for workload in listed:
                results.append(_measured(workload, rounds, Path(folder)))  # noqa: PERF401 - what is there counts
    finally:  # what was measured until an interrupt is worth having
        gc.unfreeze()
        if results:
            _tell_all(results, options)
    return _verdict(results)


def _chosen(options: argparse.Namespace) -> list[Workload]:
    listed = workloads(quick=options.quick, large=options.large)
    names = [workload.name for workload in listed]
    unknown = sorted(set(options.only or ()) - set(names))
    if unknown:
        raise BenchError(
            f"cannot measure {unknown[0]!r}: there is no workload of that name. Do: name one of {', '.join(names)}."
        )
    return [workload for workload in listed if workload.name in options.only] if options.only else listed


def _check_files(options: argparse.Namespace, listed: Sequence[Workload]) -> None:
    for option, path in (("--json", options.json), ("--figure", options.figure)):
        if path is None:
            continue
        if path.is_dir():
            raise BenchError(f"cannot write {option} {path}: it is a folder. Do: name a file in it.")
        if not path.absolute().parent.is_dir():
            raise BenchError(f"cannot write {option} {path}: there is no folder {path.parent}. Do: make it first.")
        if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            raise BenchError(f"cannot write {option} {path}: you may not write there. Do: name another place.")
    if options.figure is None:
        return
    if options.figure.suffix.lower() not in SUFFIXES:
        raise BenchError(
            f"cannot draw --figure {options.figure}: its suffix names no kind of picture."
            f" Do: end it with one of {', '.join(SUFFIXES)}."
        )
    if DRAWN not in [workload.name for workload in listed]:
        raise BenchError(
            f"cannot draw --figure {options.figure}: it shows the workload {DRAWN}, which is left out."
            f" Do: add --only {DRAWN}."
        )


def _check_folder(folder: Path | None, room: int) -> None:
    place = Path(tempfile.gettempdir()) if folder is None else folder
    if not place.is_dir():
        raise BenchError(f"cannot make stores in --dir {place}: there is no such folder. Do: make it first.")
    if not os.access(place, os.W_OK):
        raise BenchError(f"cannot make stores in --dir {place}: you may not write there. Do: name another folder.")
    try:
        refuse_network_home(place)
    except StoreError as error:
        raise BenchError(
            f"cannot make stores in --dir {place}: {error.why}. Do: name a folder on a local disk."
        ) from error
    free = shutil.disk_usage(place).free
    if free < room:
        raise BenchError(
            f"cannot make stores in --dir {place}: {room / 1e6:,.0f} MB may be needed, {free / 1e6:,.0f} MB are free."
            " Do: name a folder with more room."
        )


def _measured(workload: Workload, rounds: int, folder: Path) -> Result:
    """A result; measured once more if it is grossly off, as the machine may have been busy with something else."""
    _tell(f"{workload.name}: {workload.about}")
    result = measure(workload, rounds, folder, _tell)
    if result.broken():
        _tell(f"{workload.name}: far off, so once more")
        result = measure(workload, rounds, folder, _tell, result.rounds)
    return result


def _tell_all(results: Sequence[Result], options: argparse.Namespace) -> None:
    print(table(results, markdown=options.markdown), flush=True)
    if options.json is not None:
        options.json.write_text(as_json(results) + "\n", "utf-8")
    drawn = [result for result in results if result.workload.name == DRAWN]
    if options.figure is not None and drawn:
        importlib.import_module("workbench.bench.figure").draw(drawn[0], options.figure)


def _verdict(results: Sequence[Result]) -> int:
    broken = [line for result in results for line in result.broken()]
    for line in broken:
        _tell(f"broken: {line}")
    return 1 if broken else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
