"""Runs one fuzz target under libFuzzer, which follows the coverage: `python -m tests.hostile.fuzz codec --seconds 60`.

It ends with the input that broke a promise, in hexadecimal, for an `@example` in `test_fuzz.py`; with `--input` it runs
that input alone. What was worth keeping of earlier runs is kept in `--corpus`.

It needs `atheris`, which has wheels for Linux on x86-64; `test_fuzz.py` drives the same targets without it.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import importlib.util
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_MISSING: Final = """\
atheris is not installed for {python}: it is what leads the fuzzer by coverage. Install it with
    pip install atheris
(wheels for Linux on x86-64, Python 3.11 and later), or drive the same targets without it:
    pytest tests/hostile/test_fuzz.py -m soak
"""
_MEGABYTES: Final = 2048
_HANG: Final = 60


def parser() -> argparse.ArgumentParser:
    """The command line."""
    told = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__.partition("\n")[0])
    told.add_argument("target", help="which; a wrong name lists them")
    told.add_argument("--seconds", type=int, default=60, help="how long to go on (default: 60)")
    told.add_argument("--runs", type=int, default=-1, help="how many inputs to try at most (default: any number)")
    told.add_argument("--corpus", type=Path, help="a folder of inputs, to begin with and to add to")
    told.add_argument("--length", type=int, default=256, help="bytes that an input may have (default: 256)")
    told.add_argument("--input", help="run this input alone, in hexadecimal")
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one target; 0 when nothing was found."""
    asked = parser().parse_args(arguments)
    if asked.input is None and importlib.util.find_spec("atheris") is None:
        sys.stderr.write(_MISSING.format(python=sys.executable))
        return 1
    atheris: Any = None if asked.input is not None else importlib.import_module("atheris")
    targets = _load(atheris)
    if asked.target not in targets.TARGETS:
        sys.stderr.write(f"there is no target {asked.target!r}: name one of {', '.join(targets.TARGETS)}\n")
        return 2
    logging.getLogger("workbench").setLevel(logging.CRITICAL)  # agents that cannot be served are what is tried here
    warnings.simplefilter("ignore", RuntimeWarning)  # and so are calls that nobody awaits
    if asked.input is not None:
        targets.run(asked.target, bytes.fromhex(asked.input))
        return 0
    return _fuzz(atheris, targets, asked)


def _load(atheris: Any) -> Any:
    """The targets, and with them the package, its branches counted."""
    if atheris is None:
        return importlib.import_module("tests.hostile.targets")
    with atheris.instrument_imports(include=["workbench"]):
        return importlib.import_module("tests.hostile.targets")


class _Watch(threading.Thread):
    """Ends the process when an input hangs: libFuzzer's own alarm needs a main thread that hears it."""

    def __init__(self, target: str) -> None:
        super().__init__(daemon=True)
        self._target = target
        self.tried = time.monotonic(), b""
        self.start()

    def run(self) -> None:
        """Look now and then."""
        rest = threading.Event()
        while not rest.wait(1):
            if time.monotonic() - self.tried[0] > _HANG:
                self.tell("hangs with")
                faulthandler.dump_traceback(all_threads=True)
                os._exit(1)

    def tell(self, how: str) -> None:
        """Say how to repeat it."""
        data = self.tried[1].hex() or "00"
        sys.stderr.write(f"\n{how}: python -m tests.hostile.fuzz {self._target} --input {data}\n")
        sys.stderr.flush()


def _fuzz(atheris: Any, targets: Any, asked: argparse.Namespace) -> int:
    watch = _Watch(asked.target)

    def one(data: bytes) -> None:
        watch.tried = time.monotonic(), data
        try:
            targets.run(asked.target, data)
        except BaseException:
            watch.tell("found by")
            raise

    with tempfile.TemporaryDirectory() as crashes:
        corpus = asked.corpus or Path(crashes) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(targets.seeds(asked.target)):
            (corpus / f"seed{number}").write_bytes(seed)
        flags = [
            *(f"-max_total_time={asked.seconds}", f"-runs={asked.runs}", f"-max_len={asked.length}", "-len_control=0"),
            *(f"-rss_limit_mb={_MEGABYTES}", f"-timeout={2 * _HANG}", f"-artifact_prefix={crashes}/"),
            str(corpus),
        ]
        atheris.Setup([sys.argv[0], *flags], one)
        atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
