"""The futures of operations under way, and waiting for many of them at once."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from workbench.model.codec import KnownTypes


class Owner(Protocol):
    """What a pending operation needs of its agent's instance."""

    def drop(self, future: "Pending") -> None:
        """The code stopped waiting for the operation."""


class Pending(asyncio.Future[Any]):
    """The future of an operation that is under way. Cancelling it drops the wait, and records that."""

    __slots__ = ("instance", "known", "name", "op", "together")

    instance: Owner | None
    name: str
    op: int
    known: KnownTypes
    together: "Together | None"

    def cancel(self, msg: Any = None) -> bool:
        """Stop waiting, and record that."""
        if self.done():
            return False
        instance, self.instance = self.instance, None
        if instance is not None:
            instance.drop(self)
        cancelled = super().cancel(msg)
        if self.together is not None:
            self.together.member_ended()
        return cancelled

    def __hash__(self) -> int:
        """The index, so that a set of operations, as `asyncio.wait` returns, replays in order."""
        return self.op

    # What TaskGroup and friends ask of a task: a call needs no task of its own.
    def set_name(self, value: object) -> None:
        """What to call it: `asyncio.create_task(client.method(), name="eu")`."""
        self.name = str(value)

    def get_name(self) -> str:
        """The name that it was given; else its index in the oplog says which it is."""
        return getattr(self, "name", f"operation {self.op}")

    def cancelling(self) -> int:
        """How often it was cancelled: at most once, as nothing in it can object."""
        return int(self.cancelled())

    def uncancel(self) -> int:
        """Nothing to take back."""
        return 0


class Together(asyncio.Future[None]):
    """Done when each of several operations has ended, however. Cancelling it cancels them.

    `asyncio.gather` does the same with a callback through the loop per member, which costs a fan-out a tenth of its
    speed. An operation tells one `Together` directly, and one place in it; any further place of it, in this one or in
    another, hears by such a callback.
    """

    __slots__ = ("left", "members")

    def __init__(self, members: Sequence[Pending], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.members = members
        self.left = 0
        for member in members:
            if member.done():
                continue
            self.left += 1
            if member.together is None:
                member.together = self
            else:
                member.add_done_callback(self.member_ended)
        if not self.left:
            self.set_result(None)

    def member_ended(self, _member: "asyncio.Future[Any] | None" = None) -> None:
        """One more member is done."""
        self.left -= 1
        if not self.left and not self.done():
            self.set_result(None)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the members too."""
        if not super().cancel(msg):
            return False
        for member in self.members:
            member.cancel(msg)
        return True
