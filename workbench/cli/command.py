"""What all commands share."""


class CommandError(Exception):
    """A command cannot be done; the message says what, why, and what to do."""
