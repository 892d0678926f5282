"""The shipped test kit: time that is simulated, a process that dies at any point, laws to hold a store to.

- `SimulatedClock`: `wb.start(path, clock=SimulatedClock(seed))`. Time stands still while agents work and jumps to the
  next timer when they rest; chance is derived from the seed. Two runs of one program write the same log.
- `crash_sweep(program)`: kills a run of the program at its first, second, third ... fault point until none fires,
  recovers each time in another process, and compares with a run that nothing disturbed.
- `kill_sweep(program, moments)`: the same with real kills from outside, at any moment.
- `orders(program)`: runs the program in every order in which calls, steps and timers may complete, or a sample of them.
- `repeat(seed, fault)`: sweeps try only the fault that a failure named; in a test, `pytest --seed 17 --fault ...`.
- `crash_at(n)`: the n-th fault point that this process reaches ends it, as `kill -9` does.
- `Launcher`: forks children from a process without threads, so that they may open stores and be killed.
- `violations(entries)`: what is wrong with a log; `[]` for a sound one.
- `dump(state)`: a folded state as plain values, to be compared.

A program is a function at the top of a module that takes `tell` and returns a JSON value. It drives agents as a cell
does, by calls with a key, so that running it again joins what was accepted. `tell(name, value)` reports what the
session acknowledged to it:

```python
def program(tell):
    total = wb.run(Adder.get().add.with_options(key="once")(5))
    tell("total", total)
    return total
```
"""

from workbench.testing.arming import count_points, crash_at, finest_turns
from workbench.testing.clock import SimulatedClock
from workbench.testing.effects import note_effect
from workbench.testing.inspecting import dump, plain, rebuild_all
from workbench.testing.judge import read_log, violations
from workbench.testing.launching import Launcher, Report, reference
from workbench.testing.orders import Orders, orders
from workbench.testing.repeating import repeat
from workbench.testing.sweep import WRITES, Sweep, crash_sweep, kill_sweep

__all__ = [
    "WRITES",
    "Launcher",
    "Orders",
    "Report",
    "SimulatedClock",
    "Sweep",
    "count_points",
    "crash_at",
    "crash_sweep",
    "dump",
    "finest_turns",
    "kill_sweep",
    "note_effect",
    "orders",
    "plain",
    "read_log",
    "rebuild_all",
    "reference",
    "repeat",
    "violations",
]
