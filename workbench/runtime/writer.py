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
    """Appends batches in the order given.

    Args:
        log: where to.
        done: called on the writer's thread after each batch, with the error when it did not commit.
    """

    def __init__(self, log: Log, done: Done) -> None:
        self._log, self._done = log, done
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="workbench-writer", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand over a batch; any thread."""
        self._batches.put(batch)

    def stop(self) -> None:
        """End the thread after the batches handed over so far."""
        self._batches.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                self._log.append(batch)
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of any failure
                self._done(batch, error)
            else:
                self._done(batch, None)
