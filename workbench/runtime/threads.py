"""A pool of threads for functions that nobody can stop.

Unlike `concurrent.futures.ThreadPoolExecutor` it can do without a thread that hangs: a job that is *lost* keeps its
thread to itself, another thread takes its place, and no thread keeps the process from ending.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Job:
    """What one thread does once; `running` while it does. `lost`: nobody waits for its end any more."""

    __slots__ = ("action", "lost", "running")

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action
        self.running = self.lost = False


class Threads:
    """Does jobs in the order in which they come, so many at the same time. Used by one thread.

    Args:
        limit: threads at the same time, without those that are lost.
        name: what their names begin with.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit, self._name = limit, name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = self._idle = 0
        """Jobs that no thread has taken, threads that have none. One that is just being taken counts in both."""
        self._threads = self._started = 0
        self._closed = False

    def submit(self, action: Callable[[], object]) -> Job:
        """Have something done; it must not raise."""
        job = Job(action)
        with self._lock:
            self._waiting += 1
            self._jobs.put(job)
            thread = self._new_thread()
        if thread is not None:
            thread.start()
        return job

    def lose(self, job: Job) -> None:
        """Let another thread take the place of the one that does this job."""
        with self._lock:
            if not job.running or job.lost:
                return
            job.lost = True
            self._limit += 1
            thread = self._new_thread()
        if thread is not None:
            thread.start()

    def close(self) -> None:
        """Begin no job that waits; threads end with what they do."""
        self._closed = True
        self._jobs.put(None)  # each thread that finds it puts it back for the next

    def _new_thread(self) -> threading.Thread | None:
        """One more, if there is work for it and room."""
        if self._waiting <= self._idle or self._threads >= self._limit or self._closed:
            return None
        self._threads += 1
        self._started += 1
        self._idle += 1
        return threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None or self._closed:
                self._jobs.put(None)
                return
            with self._lock:
                self._waiting -= 1
                self._idle -= 1
                job.running = True
            job.action()
            with self._lock:
                self._idle += 1
                job.running = False
                if job.lost:
                    self._limit -= 1
                    self._threads -= 1
                    self._idle -= 1
                    return
            del job
