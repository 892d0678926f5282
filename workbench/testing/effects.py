"""A side file that holds what steps did outside the log, one line an effect."""

import os
from pathlib import Path

_path: Path | None = None


def effects_go_to(path: Path | None) -> None:
    """Where this process notes effects."""
    global _path  # noqa: PLW0603 - one process, one side file
    _path = path


def note_effect(name: str) -> None:
    """For steps: do a side effect that can be counted later. Appended by one system call, so a crash tears no line."""
    if _path is not None:
        fd = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(fd, f"{name}\n".encode())
        os.close(fd)


def read_effects(path: Path) -> list[str]:
    """All effects so far, in order."""
    return path.read_text().splitlines() if path.exists() else []
