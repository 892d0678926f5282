"""The process that runs steps with `cpu=True`: a script without the workbench, started by `processes.py`.

It reads from standard input, one frame for each job: eight bytes of length, then pickle. The first frame is `sys.path`,
the others `(function, args, kwargs)`. It answers each job on standard output with two frames: an empty one when it
begins, then `(returned, value, told)`: the pickled result or exception (None when it cannot be pickled) and, for an
exception, its names and traceback.

A thread of its own reads, so the process ends at once when whoever started it does, whatever it is computing. It stands
in a process group of its own: an interrupt from the keyboard does not reach it, and it takes its children with it.

The jobs may import the workbench, and find by `serving` that they have no session here.
"""

import builtins
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import traceback
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")
NAME = "workbench.runtime.cpu_worker"

serving = False
"""Whether this process runs steps."""


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame, or None at the end."""
    head = read_bytes(stream, LENGTH.size)
    return None if head is None else read_bytes(stream, LENGTH.unpack(head)[0])


def read_bytes(stream: BinaryIO, size: int) -> bytes | None:
    """So many bytes, of a pipe that gives them in pieces; None when it ends before."""
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(size - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return bytes(data)


def describe(error: BaseException) -> tuple[str, str, str, str]:
    """Name of an exception's class, name of the built-in class it is or extends, its text, its traceback."""
    base = next(c.__name__ for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its own `__str__` is user code
        text = ""
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return type(error).__name__, base, text, "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def answer(request: bytes, dumps: Any) -> bytes:
    """Do one job; the frame to send back."""
    try:
        function, args, kwargs = pickle.loads(request)  # noqa: S301 - from the process that started this one
        value = function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - it is the outcome, also of sys.exit()
        try:
            pickled = dumps(error)
        except Exception:  # noqa: BLE001 - an exception may hold anything
            pickled = None
        return pickle.dumps((False, pickled, describe(error)))
    try:
        return pickle.dumps((True, dumps(value), None))
    except Exception as error:  # noqa: BLE001 - whatever its own methods raise
        return pickle.dumps((True, None, describe(error)))


def main() -> None:
    """Serve until standard input ends."""
    global serving  # noqa: PLW0603 - a fact of the process
    serving = True
    sys.modules[NAME] = sys.modules[__name__]  # a script is `__main__`: who imports it by its name gets this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)  # what jobs print goes where the other process's errors go
    first = read_frame(source)
    if first is None:
        return
    sys.path[:] = pickle.loads(first)  # noqa: S301
    import cloudpickle  # noqa: PLC0415 - found only now that the path is the other process's

    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        while (frame := read_frame(source)) is not None:
            requests.put(frame)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=read, daemon=True).start()
    while True:
        request = requests.get()
        target.write(LENGTH.pack(0))
        target.flush()
        reply = answer(request, cloudpickle.dumps)
        sys.stdout.flush()
        target.write(LENGTH.pack(len(reply)) + reply)
        target.flush()


if __name__ == "__main__":
    main()
