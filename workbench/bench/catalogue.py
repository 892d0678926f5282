"""All workloads, at their sizes."""

from collections.abc import Sequence

from workbench.bench import calls, fan_outs, long_logs, memory, processes, recovery
from workbench.bench.goals import Workload


def workloads(*, quick: bool = False, large: bool = False) -> list[Workload]:
    """All workloads, in the order of the table.

    Args:
        quick: small sizes, for CI.
        large: with fan-outs to 30,000 and 100,000 children.
    """
    return _quick() if quick else _full(large=large)


def _quick() -> list[Workload]:
    return [
        fan_outs.fan_out((100, 300, 1000), (300, 1000)),
        fan_outs.steps(1000),
        calls.calls(3000),
        calls.alone(20),
        fan_outs.promises(1000),
        recovery.crash(300),
        recovery.reopening(500),
        calls.forks(20, 100),
        processes.importing(),
        processes.first_result(),
        fan_outs.view_tax(1000),
        long_logs.opening((5000,)),
        long_logs.seeking((5000,)),
        *_memory(1000, 3000),
    ]


def _full(*, large: bool) -> list[Workload]:
    sizes: Sequence[int] = (100, 300, 1000, 3000, 10_000)
    judged: Sequence[int] = (1000, 10_000)
    if large:
        sizes, judged = (*sizes, 30_000, 100_000), (*judged, 100_000)
    return [
        fan_outs.fan_out(sizes, judged),
        fan_outs.steps(1000),
        calls.calls(5000),
        calls.alone(300),
        fan_outs.promises(1000),
        recovery.crash(1000),
        recovery.reopening(10_000),
        calls.forks(300, 100),
        processes.importing(),
        processes.first_result(),
        fan_outs.view_tax(10_000),
        long_logs.opening((100_000, 1_000_000)),
        long_logs.seeking((100_000, 1_000_000)),
        *_memory(10_000, 10_000, 100_000 if large else 0),
    ]


def _memory(suspended: int, closed: int, agents: int = 0) -> list[Workload]:
    return [memory.memory(suspended, closed, agents)] if memory.STATUS.exists() else []
