"""The writer thread: the only one that appends to the log, one batch at a time.

A thread of its own, because a `KeyboardInterrupt` lands in the main thread and would leave a transaction open there (at
32 of 47 bytecodes of an append), and because SQLite then works on one core while the session's thread works on the
other.
"""

import queue
import threading
from collections.abc import Callable, Sequence

from workbench.model.entries import Entry
from workbench.store.log import Log

Batch = Sequence[Entry]
Done = Callable[[Batch, BaseException | None], None]


class Writer:
    """Appends batches in the order given, and writes checkpoints between them.

    Args:
        log: where to.
        done: called on the writer's thread after each batch, with the error when it did not commit; and when a
            checkpoint met an error after which nothing more can be written.
    """

    def __init__(self, log: Log, done: Done) -> None:
        self._log, self._done = log, done
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="workbench-writer", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand over a batch; any thread."""
        self._work.put(lambda: self._append(batch))

    def keep(self, seq: int, state: bytes) -> None:
        """Hand over a checkpoint of the state after the last batch, which ends with the entry `seq`; any thread."""
        self._work.put(lambda: self._keep(seq, state))

    def stop(self) -> None:
        """End the thread after what was handed over so far."""
        self._work.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _append(self, batch: Batch) -> None:
        try:
            self._log.append(batch)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of any failure
            self._done(batch, error)
        else:
            self._done(batch, None)

    def _keep(self, seq: int, state: bytes) -> None:
        try:
            self._log.keep(seq, state)
        except BaseException as error:  # noqa: BLE001 - as above
            self._done((), error)
