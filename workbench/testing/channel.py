"""What a launcher's child is given: a line to whoever started it."""

import importlib
import json
import os
from typing import Any


class Channel:
    """A child's line to whoever started it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, *message: object) -> None:
        """Send one message, in one system call."""
        os.write(self._fd, json.dumps(message).encode() + b"\n")

    def tell(self, name: str, value: object) -> None:
        """Report something that must be true from now on, whatever happens to this process."""
        self.send("tell", name, value)


def resolve(reference: str) -> Any:
    """The object behind `module:qualified.name`."""
    module, _, name = reference.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
