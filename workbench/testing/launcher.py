"""The process that forks: `python -m workbench.testing.launcher`. One thread, so its children may start what they like.

Reads requests from standard input, one JSON object a line: `{"modules": [...], "path": [...]}` first, then
`{"function": "module:name", "arguments": {...}, "output": file}`. Each request forks a child that calls the function
with a `Channel`. Child and launcher answer on the launcher's standard output, one JSON list a line, first its kind:

- `["pid", number]`: the child was forked (launcher);
- `["tell", name, value]`: `Channel.tell` (child);
- `["crash", point, n]`: the child is about to die at an armed fault point (child);
- `["result", value]` or `["error", text]`: what the function came to (child);
- `["end", status]`: the child is gone; its exit status, negative for the signal that ended it (launcher).

See `launching.Launcher` for the other end.
"""

import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

from workbench.testing.channel import Channel, resolve


def in_child(channel: Channel, request: dict[str, Any]) -> int:
    """Do what was asked, in the forked child; its exit status."""
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        channel.send("result", resolve(request["function"])(channel, **request["arguments"]))
    except BaseException:  # noqa: BLE001 - goes to whoever asked, whatever it is
        channel.send("error", traceback.format_exc())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    """Serve requests until standard input ends."""
    channel = Channel(os.dup(1))
    os.dup2(2, 1)
    setup = json.loads(sys.stdin.readline())
    sys.path[:] = setup["path"]
    for module in setup["modules"]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os._exit(in_child(channel, json.loads(line)))
        channel.send("pid", pid)
        _, status = os.waitpid(pid, 0)
        os.write(channel._fd, b"\n")  # noqa: SLF001 - ends a line that the child could not
        channel.send("end", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
