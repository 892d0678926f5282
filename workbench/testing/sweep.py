"""The crash sweep: a program is killed at its first, second, third ... fault point until none fires.

Each time a second process, with another hash seed, opens the store, lets it come to rest and runs the program again, as
a person runs the same cell again. Then the judge compares with a run that nothing disturbed.
"""

import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from workbench.errors import StoreError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.testing.children import run_program
from workbench.testing.effects import read_effects
from workbench.testing.judge import read_log, violations
from workbench.testing.launching import Launcher, Report, reference
from workbench.testing.repeating import OTHERS, Fault, line, the_fault, the_seed
from workbench.testing.tally import tried

Program = Callable[[Callable[[str, object], None]], object]
Before = Callable[[], object]
WRITES: Final = ("append.commit.before", "append.commit.after")
"""The points between which the disk changes; a crash at any other leaves the same store as one at the next of these."""


class Sweep:
    """What a sweep found.

    Attributes:
        seed: of the chance in the stores that were tried.
        crashes: how often the program was killed, kills while it recovered included.
        again: how often it was killed while it recovered.
        points: how often at which point.
        problems: one line for each thing that went wrong; the line says how to repeat it.
    """

    def __init__(self, program: str, seed: int = 0) -> None:
        self.program, self.seed = program, the_seed(seed)
        self.crashes = self.again = 0
        self.points: Counter[str] = Counter()
        self.problems: list[str] = []

    def name(self, point: str, place: object, again: int = 0) -> str:
        """The line that repeats a fault."""
        return line(self.program, Fault(point, str(place), again), self.seed)

    def __repr__(self) -> str:
        return f"<sweep of {self.program}: {self.crashes} crashes, {len(self.problems)} problems>"


def memory_folder() -> str | None:
    """A folder in memory, where there is one: a killed process loses nothing there, and it is faster."""
    shared = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder
    return str(shared) if shared.is_dir() else None


class _Bench:
    """Two launchers and a folder; one store for each crash."""

    def __init__(self, sweep: Sweep, path: Path, *, fine: bool, only: Sequence[str], before: Before | None) -> None:
        self.program, self.seed = sweep.program, sweep.seed
        self.fine, self.path, self.only = fine, path, list(only)
        self.before = "" if before is None else reference(before)
        module = self.program.partition(":")[0]
        self.breaker = Launcher([module], path / "output", hash_seed=1)
        self.mender = Launcher([module], path / "output", hash_seed=2)

    def arguments(self, store: Path, seed: str, **more: Any) -> dict[str, Any]:
        return {
            "program": self.program,
            "store": str(store),
            "seed": f"{self.seed}/{seed}",
            "before": self.before,
            "fine": self.fine,
            "only": self.only,
            **more,
        }

    def store(self, k: int) -> Path:
        return self.path / f"crash-{k}.db"

    def start_breaking(self, k: int) -> None:
        self.breaker.start(run_program, **self.arguments(self.store(k), f"{k}", crash=k))

    def start_mending(self, k: int, crash: int = 0) -> None:
        more = {"crash": crash} if crash else {"fine": False}
        self.mender.start(run_program, **{**self.arguments(self.store(k), f"{k}/{crash}", recover=True), **more})

    def undisturbed(self) -> tuple[Report, Report, list[str]]:
        """The program run to its end, and run again on what it left."""
        store = self.path / "undisturbed.db"
        first = self.breaker.run(run_program, **self.arguments(store, "1"))
        if first.error or first.status:
            raise RuntimeError(f"{self.program} fails also when nothing disturbs it: {first!r}")
        effects = read_effects(Path(f"{store}.effects"))
        return first, self.mender.run(run_program, **self.arguments(store, "2", recover=True)), effects

    def close(self) -> None:
        self.breaker.close()
        self.mender.close()


def crash_sweep(
    program: Program,
    path: Path | None = None,
    *,
    points: Iterable[int] | None = None,
    only: Sequence[str] = (),
    fine: bool = True,
    recovery_crash: int = 0,
    seed: int = 0,
    before: Before | None = None,
) -> Sweep:
    """Kill a program at each fault point, recover, compare.

    Args:
        program: a function at the top of a module; see `workbench.testing`.
        path: folder for the stores; by default a temporary one, in memory where that is possible. Stores of crashes
            that showed a problem stay there when it was named.
        points: numbers of the points to try, ascending; by default 1, 2, 3 ... Ends when a run reaches no such point.
        only: names of the fault points that count; `WRITES` are those where the disk changes.
        fine: one commit per turn and one turn per delivery, which makes the most points.
        recovery_crash: kill the recovery too, at its point of this number, and recover again.
        seed: of the chance in each store.
        before: called first in each process; a bug may be planted there, to see that it is found.

    Returns:
        what was found; `problems` is empty when nothing was lost, doubled or changed.
    """
    sweep = Sweep(reference(program), seed)
    folder = Path(tempfile.mkdtemp(prefix="workbench-sweep-", dir=memory_folder())) if path is None else path
    bench = _Bench(sweep, folder, fine=fine, only=only, before=before)
    if (fault := the_fault()) is not None:
        points, recovery_crash = ([] if fault.point in OTHERS else [int(fault.place)]), fault.again
    try:
        first, again, effects = bench.undisturbed()
        judged = _Judgement(first, effects, _flagged(read_log(folder / "undisturbed.db")))
        sweep.problems += judged.of(folder / "undisturbed.db", first, again, f"{sweep.program} undisturbed")
        _sweep(bench, points if points is not None else range(1, 1_000_000), recovery_crash, sweep, judged)
    finally:
        bench.close()
        if path is None:
            shutil.rmtree(folder, ignore_errors=True)
    tried["kills"] += sweep.crashes - sweep.again
    tried["kills while recovering from one"] += sweep.again
    return sweep


def kill_sweep(
    program: Program,
    moments: Iterable[float],
    path: Path | None = None,
    *,
    fine: bool = False,
    seed: int = 0,
) -> Sweep:
    """Kill a program from outside with SIGKILL at given moments, recover, compare; as `crash_sweep` in all else.

    Args:
        program: a function at the top of a module.
        moments: seconds from the beginning of each run to its kill; a run that ends before is not counted.
        path: folder for the stores.
        fine: one commit per turn.
        seed: of the chance in each store.
    """
    sweep = Sweep(reference(program), seed)
    folder = Path(tempfile.mkdtemp(prefix="workbench-kills-", dir=memory_folder())) if path is None else path
    bench = _Bench(sweep, folder, fine=fine, only=(), before=None)
    if (fault := the_fault()) is not None:
        moments = [float(fault.place) / 1000] if fault.point == "kill" else []
    try:
        first, again, effects = bench.undisturbed()
        judged = _Judgement(first, effects, _flagged(read_log(folder / "undisturbed.db")))
        sweep.problems += judged.of(folder / "undisturbed.db", first, again, f"{sweep.program} undisturbed")
        before: tuple[int, Report, str] | None = None
        for k, moment in enumerate(moments):
            bench.start_breaking(k)
            broken = bench.breaker.finish(kill_after=moment)
            if before is not None:
                _judge(bench, *before, sweep, judged)
            name = sweep.name("kill", f"{moment * 1000:.3f}")
            if broken.status == -signal.SIGKILL:
                sweep.crashes += 1
                sweep.points["kill"] += 1
            elif broken.status:
                sweep.problems.append(f"{name}: {broken.error or broken.status}")
            bench.start_mending(k)
            before = k, broken, name
        if before is not None:
            _judge(bench, *before, sweep, judged)
    finally:
        bench.close()
        if path is None:
            shutil.rmtree(folder, ignore_errors=True)
    tried["kills from outside"] += sweep.crashes
    return sweep


def _sweep(bench: _Bench, points: Iterable[int], recovery_crash: int, sweep: Sweep, judged: "_Judgement") -> None:
    """While one crash is mended, the next one happens: two processes are at work."""
    before: tuple[int, Report, str] | None = None
    for k in points:
        bench.start_breaking(k)
        if before is not None:
            _judge(bench, *before, sweep, judged)
            before = None
        broken = bench.breaker.finish()
        name = sweep.name(broken.crash[0] if broken.crash else "none", k)
        if broken.crash is None:
            if broken.error or broken.status:
                sweep.problems.append(f"{name}: {'hung' if broken.hung else broken.error or broken.status}")
            _remove(bench.store(k))
            break
        _count(sweep, broken)
        if recovery_crash:
            bench.start_mending(k, recovery_crash)
            between = bench.mender.finish()
            if between.crash is not None:
                _count(sweep, between)
                sweep.again += 1
                broken.told |= between.told
                name = sweep.name(broken.crash[0], k, recovery_crash)
        bench.start_mending(k)
        before = k, broken, name
    if before is not None:
        _judge(bench, *before, sweep, judged)


def _count(sweep: Sweep, broken: Report) -> None:
    if broken.crash is not None:
        sweep.crashes += 1
        sweep.points[broken.crash[0]] += 1


def _judge(bench: _Bench, k: int, broken: Report, name: str, sweep: Sweep, judged: "_Judgement") -> None:
    problems = judged.of(bench.store(k), broken, bench.mender.finish(), name)
    sweep.problems += problems
    if not problems:
        _remove(bench.store(k))


def _remove(store: Path) -> None:
    for file in store.parent.glob(f"{store.name}*"):
        file.unlink()


class _Judgement:
    """What every recovered run is held to."""

    def __init__(self, undisturbed: Report, effects: list[str], flagged: int) -> None:
        self.result = undisturbed.result["result"]
        self.told = undisturbed.told
        self.effects = Counter(effects)
        self.flagged = flagged

    def of(self, store: Path, broken: Report, mended: Report, name: str) -> list[str]:
        if mended.hung or mended.error or mended.status:
            what = "the recovery hung" if mended.hung else f"the recovery failed: {mended.error or mended.status}"
            return [f"{name}: {what}"]
        wrong: list[str] = []
        if mended.result["result"] != self.result:
            wrong.append(f"came to {mended.result['result']!r}, undisturbed to {self.result!r}")
        for key, value in broken.told.items():
            if mended.told.get(key, value) != value:
                wrong.append(f"acknowledged {key} = {value!r}, and after the crash {mended.told[key]!r}")
        if mended.told.keys() != self.told.keys():
            wrong.append(f"told {sorted(mended.told)}, undisturbed {sorted(self.told)}")
        try:
            entries = read_log(store)
        except StoreError as error:
            return [f"{name}: {error}"]
        wrong += violations(entries)
        wrong += self._effects(read_effects(Path(f"{store}.effects")), entries)
        return [f"{name}: {line}" for line in wrong]

    def _effects(self, lines: list[str], entries: list[Entry]) -> list[str]:
        """Each effect at least once; more often only as many more as steps are flagged as run again.

        A step that the code stopped waiting for may have been killed before it did anything.
        """
        seen = Counter(lines)
        missing = self.effects - seen
        wrong = []
        if missing.total() > _given_up(entries):
            wrong = [f"effect {name} happened {seen[name]} times, undisturbed {self.effects[name]}" for name in missing]
        surplus = sum((seen - self.effects).values())
        flagged = max(0, _flagged(entries) - self.flagged)  # fewer when a try was never made
        if surplus > flagged:
            wrong.append(f"{surplus} effects too many, and {flagged} attempts flagged: {dict(seen - self.effects)}")
        return wrong


def _given_up(entries: list[Entry]) -> int:
    """How many steps the code stopped waiting for, so that nobody sees to it that they happen."""
    begun = {(x.agent, x.index) for x in entries if isinstance(x.body, e.StepStarted)}
    return sum(isinstance(x.body, e.WaitDropped) and (x.agent, x.body.op) in begun for x in entries)


def _flagged(entries: list[Entry]) -> int:
    """How many tries beyond the first the log owns to."""
    found, under_way = 0, dict[tuple[int, int], int]()
    for x in entries:
        match x.body:
            case e.StepFinished(op=op, attempts=attempts):
                under_way.pop((x.agent, op), None)
                found += attempts - 1
            case e.StepRestarted(op=op, attempts=attempts):
                under_way[x.agent, op] = attempts
            case e.AgentReverted(region=region) if region:  # its tries are told when it has run again
                under_way = {step: n for step, n in under_way.items() if step[0] != x.agent or step[1] < region}
            case _:
                pass
    return found + sum(under_way.values())
