"""The one line of ours that touches a private part of ipykernel."""

from typing import Any


def answer_anywhere(comm: Any) -> bool:
    """Let the comm subshell handle the front end's messages to this comm, so that they arrive while a cell blocks.

    ipykernel 7.4 and later pins what the front end sends to a comm to the shell that last used the comm from Python.
    For our widgets that is the main shell, and a blocking cell would hold clicks back. Their handlers only enqueue,
    so any shell may run them.

    Returns:
        Whether there was such a pin to loosen.
    """
    if not callable(getattr(comm, "_reply_subshell_for", None)):
        return False
    comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - see above; a test fails when it is gone
    return True
