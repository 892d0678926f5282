"""What the launcher's children do: run a program on a store, or take a store up again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.runtime.opening import start
from workbench.runtime.running import run
from workbench.testing.arming import count_points, crash_at, finest_turns
from workbench.testing.channel import Channel, resolve
from workbench.testing.clock import SimulatedClock
from workbench.testing.effects import effects_go_to


def run_program(  # noqa: PLR0913 - what a sweep may vary
    channel: Channel,
    *,
    program: str,
    store: str,
    seed: str,
    crash: int = 0,
    only: Sequence[str] = (),
    fine: bool = True,
    recover: bool = False,
    before: str = "",
) -> dict[str, Any]:
    """Open a store, let what was unfinished come to rest, run a program to its end.

    Args:
        channel: to whoever started this.
        program: `module:name` of the program.
        store: path of the store; effects go to a file beside it.
        seed: of the simulated clock.
        crash: number of the fault point at which to die; 0 for none.
        only: names of the fault points that count; all by default.
        fine: one commit per turn, one turn per delivery.
        recover: let the store come to rest before the program runs.
        before: `module:name` of a function to call first.
    """
    if before:
        resolve(before)()
    effects_go_to(Path(f"{store}.effects"))
    if fine:
        finest_turns()
    points = None
    if crash:
        crash_at(crash, only=only, telling=lambda point, n: channel.send("crash", point, n))
    else:
        points = count_points()
    session = start(store, clock=SimulatedClock(seed))
    if recover:
        run(session.at_rest())
    result = resolve(program)(channel.tell)
    run(session.at_rest())
    session.close()
    return {"result": result, "points": dict(points or {})}
