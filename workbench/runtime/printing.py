"""`print` in agents: recorded in the oplog, shown where the cell shows its output, silent on replay.

While a session is open, `builtins.print` is a function that asks whether agent code is running on this thread.
Replacing `sys.stdout` instead was rejected: other threads would write through the replacement, and `redirect_stdout` in
a cell would put the wrong stream back.
"""

import builtins
import io
import sys
from typing import Any, Final

from workbench.runtime.current import current

_plain_print: Final = builtins.print
_users = 0


def record_prints() -> None:
    """Begin; each call needs one `stop_recording_prints`."""
    global _users  # noqa: PLW0603 - one builtins module, one count
    _users += 1
    builtins.print = _print


def stop_recording_prints() -> None:
    """End; the last one puts the plain `print` back, unless somebody else has replaced ours."""
    global _users  # noqa: PLW0603
    _users -= 1
    if _users == 0 and builtins.print is _print:
        builtins.print = _plain_print


def _print(
    *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
) -> None:
    """Print to a stream, sys.stdout by default. In an agent: recorded, and silent on replay."""
    instance = current.instance
    if instance is None or (file is not None and file is not sys.stdout and file is not sys.stderr):
        _plain_print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    text = io.StringIO()
    _plain_print(*values, sep=sep, end=end, file=text)
    instance.say("stderr" if file is not None and file is sys.stderr else "stdout", text.getvalue())


def show(level: str, message: str) -> None:
    """Write what an agent printed to the process's own stream."""
    stream = sys.stderr if level == "stderr" else sys.stdout
    stream.write(message)
    stream.flush()
