"""A pool of threads for functions that nobody can stop.

Unlike `concurrent.futures.ThreadPoolExecutor` it can do without a thread that hangs: a job that is *lost* keeps its
thread to itself, another thread takes its place, and no thread keeps the process from ending.
"""

import threading
from collections import deque
from collections.abc import Callable


class Job:
    """What one thread does once; `running` while it does. `lost`: nobody waits for its end any more."""

    __slots__ = ("action", "lost", "running")

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action
        self.running = self.lost = False


class Threads:
    """Does jobs in the order in which they come, so many at the same time.

    Args:
        limit: threads at the same time, without those that are lost.
        name: what their names begin with.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit, self._name = limit, name
        self._wake = threading.Condition(threading.Lock())
        self._jobs: deque[Job] = deque()
        self._threads = self._idle = self._started = 0
        self._closed = False

    def submit(self, action: Callable[[], object]) -> Job:
        """Have something done; it must not raise."""
        job = Job(action)
        with self._wake:
            self._jobs.append(job)
            if len(self._jobs) > self._idle:
                self._add_thread()
            self._wake.notify()
        return job

    def lose(self, job: Job) -> None:
        """Let another thread take the place of the one that does this job."""
        with self._wake:
            if job.running and not job.lost:
                job.lost = True
                self._limit += 1
                if self._jobs:
                    self._add_thread()

    def close(self) -> None:
        """Begin no job that waits; threads end with what they do."""
        with self._wake:
            self._closed = True
            self._jobs.clear()
            self._wake.notify_all()

    def _add_thread(self) -> None:
        if self._threads < self._limit and not self._closed:
            self._threads += 1
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._jobs:
                    if self._closed:
                        return
                    self._idle += 1
                    self._wake.wait()
                    self._idle -= 1
                job = self._jobs.popleft()
                job.running = True
            job.action()
            with self._wake:
                job.running = False
                if job.lost:
                    self._limit -= 1
                    self._threads -= 1
                    return
            del job
