"""What the workbench costs, measured against floors written by hand: `python -m workbench.bench`.

A number alone says little on a noisy machine, so each workload runs in rounds, ours and its floors in turn, and what
counts is the ratio of the medians. *Floor A* is asyncio mailboxes and keeps nothing; *floor D* is the same mailboxes
with four rows a call in SQLite, each awaited until it is on disk. They do what a good engineer would write for this one
task, with no replay, no identity, no causes and no views; the distance to them is the price of those.
"""
