"""What the workbench costs, measured against floors written by hand: `workbench bench`, `python -m workbench.bench`.

A number alone says little on a noisy machine, so each workload runs in rounds, ours and its floors in turn, and what
counts is the ratio of the medians. *Floor A* is asyncio mailboxes and keeps nothing; *floor D* is the same mailboxes
with four rows a call in SQLite, each awaited until it is on disk. They do what a good engineer would write for this one
task, with no replay, no identity, no causes and no views; the distance to them is the price of those.

What misses its goal is told. A run fails only on a gross loss: something is lost or doubled, or a ratio to a floor is
three times worse than its goal, or than what was measured when it was written down where that misses the goal (`KNOWN`
in the modules). Times and rates of the machine alone fail no run.
"""
