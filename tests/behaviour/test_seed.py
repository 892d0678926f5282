# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""The patterns of Golem's guide to parallel workers, in its order: fan-out and fan-in by children, and by fork."""

import asyncio
from dataclasses import dataclass

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE


@wb.agent
class Worker:
    def __init__(self, id: int) -> None:  # noqa: A002 - as in the specification
        self.id = id

    async def process(self, item: str) -> str:
        await asyncio.sleep(0.01 * (5 - self.id))
        if item.startswith("bad"):
            raise ValueError(f"cannot do {item}")
        return f"worker {self.id}: {item}"


@wb.agent
class RegionWorker:
    def __init__(self, region: str) -> None:
        self.region = region

    def run_report(self, promise_id: wb.PromiseId) -> None:
        wb.complete_promise(promise_id, f"Report for {self.region}: OK".encode())

    def run_report_json(self, promise_id: wb.PromiseId) -> None:
        wb.complete_promise_json(promise_id, Report(self.region, ok=True))


@dataclass
class Report:
    region: str
    ok: bool


@dataclass
class Success:
    value: str


@dataclass
class Failure:
    error: str


@wb.agent
class Coordinator:
    async def fan_out(self, items: list[str]) -> list[str]:
        return await wb.join([Worker.get(i).process(item) for i, item in enumerate(items)])

    async def dispatch_and_collect(self, regions: list[str]) -> list[str]:
        promise_ids = [wb.create_promise() for _ in regions]
        for region, promise_id in zip(regions, promise_ids, strict=True):
            RegionWorker.get(region).run_report.trigger(promise_id)
        return [data.decode() for data in await wb.join([wb.await_promise(p) for p in promise_ids])]

    async def dispatch_json(self, regions: list[str]) -> list[Report]:
        promise_ids = [wb.create_promise() for _ in regions]
        for region, promise_id in zip(regions, promise_ids, strict=True):
            RegionWorker.get(region).run_report_json.trigger(promise_id)
        return await wb.join([wb.await_promise_json(p, type=Report) for p in promise_ids])

    async def fan_out_strict(self, items: list[str]) -> list[str]:
        return await wb.try_join([Worker.get(i).process(item) for i, item in enumerate(items)])

    async def fan_out_with_errors(self, items: list[str]) -> tuple[list[str], list[str]]:
        async def attempt(i: int, item: str) -> Success | Failure:
            try:
                return Success(await Worker.get(i).process(item))
            except ValueError as error:
                return Failure(f"Item {item} failed: {type(error).__name__}")

        results = await wb.join([attempt(i, item) for i, item in enumerate(items)])
        return [r.value for r in results if isinstance(r, Success)], [
            r.error for r in results if isinstance(r, Failure)
        ]

    async def parallel_compute(self) -> str:
        promise_id = wb.create_promise()
        match wb.fork():
            case wb.Original():
                return f"Combined: original + {(await wb.await_promise(promise_id)).decode()}"
            case wb.Forked():
                wb.complete_promise(promise_id, b"forked-result")
                return "forked done"
        raise AssertionError

    async def multi_fork(self, n: int) -> list[str]:
        promise_ids = [wb.create_promise() for _ in range(n)]
        for i in range(n):
            match wb.fork():
                case wb.Original():
                    pass
                case wb.Forked():
                    wb.complete_promise(promise_ids[i], f"result-from-fork-{i}".encode())
                    return []
        return [data.decode() for data in await wb.join([wb.await_promise(p) for p in promise_ids])]

    async def ask_back(self) -> str:
        return str(await Pinger.get().ping())

    async def tell_back(self) -> str:
        promise = wb.create_promise()
        Pinger.get().ping_and_tell.trigger(promise)
        return (await wb.await_promise(promise)).decode()

    def pong(self) -> str:
        return "pong"


@wb.agent
class Pinger:
    async def ping(self) -> str:
        return str(await Coordinator.get().pong())

    def ping_and_tell(self, promise: wb.PromiseId) -> None:
        wb.complete_promise(promise, b"told")


def test_basic_join(either: wb.Session) -> None:
    """One child per item, awaited concurrently: results in the order of the items, though the last ends first."""
    assert wb.run(Coordinator.get().fan_out(["a", "b", "c"]), PATIENCE) == ["worker 0: a", "worker 1: b", "worker 2: c"]
    assert wb.run(Coordinator.get().fan_out([])) == []


def test_fire_and_forget_with_promises(either: wb.Session) -> None:
    """Children are triggered with a promise each; the coordinator awaits the promises together, as bytes or as JSON."""
    regions = ["eu", "us", "ap"]
    assert wb.run(Coordinator.get().dispatch_and_collect(regions), PATIENCE) == [f"Report for {r}: OK" for r in regions]
    assert wb.run(Coordinator.get().dispatch_json(regions), PATIENCE) == [Report(r, ok=True) for r in regions]


def test_try_join_short_circuits(either: wb.Session) -> None:
    """The first failure is raised at once, catchable by its type."""
    with pytest.raises(ValueError, match="cannot do bad b"):
        wb.run(Coordinator.get().fan_out_strict(["a", "bad b", "c"]), PATIENCE)
    assert wb.run(Coordinator.get().fan_out_strict(["a"]), PATIENCE) == ["worker 0: a"]


def test_partial_results(either: wb.Session) -> None:
    """Each call handles its own error: successes and failures are both collected."""
    got = wb.run(Coordinator.get().fan_out_with_errors(["a", "bad b", "c", "bad d"]), PATIENCE)
    assert got == (
        ["worker 0: a", "worker 2: c"],
        ["Item bad b failed: InvocationError", "Item bad d failed: InvocationError"],
    )


def test_basic_fork(either: wb.Session) -> None:
    """The fork completes the promise that the original awaits; its own result is seen by nobody but its oplog."""
    assert wb.run(Coordinator.get().parallel_compute(), PATIENCE) == "Combined: original + forked-result"
    [fork] = [a.agent_id for a in either.agents() if a.forked_from]
    assert wb.run(either.result(fork)) == "forked done"


def test_multi_fork(either: wb.Session) -> None:
    """N forks, each with its slice of the work, joined by promises in order."""
    assert wb.run(Coordinator.get().multi_fork(8), PATIENCE) == [f"result-from-fork-{i}" for i in range(8)]
    forks = [a.agent_id for a in either.agents() if a.forked_from]
    assert [wb.run(either.result(fork)) for fork in forks] == [[]] * 8


def test_deadlock_and_its_cure(either: wb.Session) -> None:
    """Two agents that await each other are refused, and the error names the cure, which works."""
    with pytest.raises(wb.DeadlockError, match="trigger"):
        wb.run(Coordinator.get().ask_back(), PATIENCE)
    assert wb.run(Coordinator.get().tell_back(), PATIENCE) == "told"


def test_children_stay_after_the_coordinator(either: wb.Session) -> None:
    """Children are durable: they are there after the coordinator finished, and after a crash."""
    wb.run(Coordinator.get().fan_out(["a", "b"]), PATIENCE)
    either.simulate_crash()
    assert [a.agent_id for a in either.agents()] == ["Coordinator()", "Worker(0)", "Worker(1)"]
    assert {a.status for a in either.agents()} == {"idle"}
