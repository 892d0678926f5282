"""Who outside waits for what: futures of cells, by the invocation or promise that settles them."""

from concurrent.futures import Future
from typing import Any, Final

from workbench.core.nouns import Invocation, Promise
from workbench.core.state import State
from workbench.model.codec import KnownTypes, decode
from workbench.model.failure import decode_failure, exception_of
from workbench.runtime.journal import Journal

RAW: Final = KnownTypes(())
"""Marks a watcher that wants the bytes as they are: a promise's payload."""


class Watcher:
    """Somebody outside who waits for a result: a future, and how to read the value."""

    __slots__ = ("future", "known")

    def __init__(self, future: "Future[Any]", known: KnownTypes) -> None:
        self.future, self.known = future, known

    def settle(self, *, ok: bool, value: bytes) -> None:
        """Hand over the outcome; one that was given up gets nothing."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            if ok:
                self.future.set_result(decode(value, self.known) if self.known is not RAW else value)
            else:
                self.future.set_exception(exception_of(decode_failure(value)))
        except Exception as error:  # noqa: BLE001 - a value that cannot be read is the waiter's news
            self.future.set_exception(error)


class Watchers:
    """All who wait. They hear of an outcome when it is committed. On the session's thread only."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._watchers: dict[tuple[int, int], list[Watcher]] = {}
        """By target and `seq` of an invocation, or owner and negative index of a promise."""
        self._told: dict[Future[Any], tuple[tuple[int, int], Watcher]] = {}
        """Those who are told as soon as the outcome is committed, with what they waited for."""

    def watch_invocation(self, invocation: Invocation, watcher: Watcher, upto: int | None = None) -> None:
        """Settle a watcher with an invocation's outcome.

        Args:
            invocation: which.
            watcher: who waits.
            upto: the last entry (`seq`) that an outcome rests on which is there already; by default all so far.
        """
        what = invocation.target, invocation.seq
        if invocation.settled:
            self._tell(what, watcher, ok=invocation.ok, value=invocation.value, upto=upto)
        else:
            self._watchers.setdefault(what, []).append(watcher)

    def watch_promise(self, promise: Promise, watcher: Watcher, upto: int | None = None) -> None:
        """Settle a watcher with a promise's payload; `upto` as for `watch_invocation`."""
        what = promise.owner, -promise.index
        if promise.settled:
            self._tell(what, watcher, ok=True, value=promise.value, upto=upto)
        else:
            self._watchers.setdefault(what, []).append(watcher)

    def watched(self, invocation: Invocation) -> bool:
        """Whether somebody still waits for this invocation."""
        group = self._watchers.get((invocation.target, invocation.seq), ())
        return any(not watcher.future.cancelled() for watcher in group)

    def invocation_settled(self, invocation: Invocation) -> None:
        """Tell all who wait for this invocation."""
        self._settled((invocation.target, invocation.seq), ok=invocation.ok, value=invocation.value)

    def promise_ended(self, promise: Promise) -> None:
        """Tell all who wait for this promise that it is no more."""
        self._settled((promise.owner, -promise.index), ok=False, value=promise.value)

    def promise_completed(self, owner: int, index: int, value: bytes) -> None:
        """Tell all who wait for this promise."""
        self._settled((owner, -index), ok=True, value=value)

    def _settled(self, what: tuple[int, int], *, ok: bool, value: bytes) -> None:
        for watcher in self._watchers.pop(what, ()):
            self._tell(what, watcher, ok=ok, value=value)

    def _tell(
        self, what: tuple[int, int], watcher: Watcher, *, ok: bool, value: bytes, upto: int | None = None
    ) -> None:
        def settle() -> None:
            del self._told[watcher.future]
            watcher.settle(ok=ok, value=value)

        self._told[watcher.future] = what, watcher
        self._journal.acknowledge(watcher.future, settle, upto=upto)

    def has(self, future: "Future[Any]") -> bool:
        """Whether somebody who is told as soon as the outcome is committed waits by this future."""
        return future in self._told

    def drop_all(self) -> "list[Future[Any]]":
        """Forget all; the futures that will not be settled now."""
        dropped = [watcher.future for group in self._watchers.values() for watcher in group]
        self._watchers.clear()
        self._told.clear()
        return dropped

    def after_crash(self, state: State, lost: Exception) -> None:
        """Who waited before a crash goes on waiting if what it waits for was committed; the others hear of the loss.

        Args:
            state: what was folded from the log after the crash.
            lost: what the others get.
        """
        watchers, self._watchers = self._watchers, {}
        told, self._told = self._told, {}
        for what, watcher in told.values():  # of an outcome that was not committed
            watchers.setdefault(what, []).append(watcher)
        invocations = {
            (agent.uid, invocation.seq): invocation
            for agent in state.agents.values()
            for invocation in (agent.current, agent.last, *(agent.queue or ()))
            if invocation is not None
        }
        for (uid, key), group in watchers.items():
            invocation, promise = invocations.get((uid, key)), state.promises.get((uid, -key))
            for watcher in group:
                if invocation is not None:
                    self.watch_invocation(invocation, watcher)
                elif promise is not None:
                    self.watch_promise(promise, watcher)
                elif not watcher.future.done():
                    watcher.future.set_exception(lost)
