"""Agents whose class a restarted process does not know at first; imported by those who define it."""

from __future__ import annotations

import asyncio

import workbench as wb


@wb.agent
class Late:
    def __init__(self, n: int) -> None:
        self.n, self.steps = n, 0

    async def wait_for(self, pid: wb.PromiseId) -> list[object]:
        self.steps += 1
        await asyncio.sleep(1)
        data = await wb.await_promise(pid)
        self.steps += 1
        return [self.n, self.steps, data.decode()]

    async def count(self) -> int:
        self.steps += 1
        return self.steps
