"""Doing: the deterministic agent loop, what agent code may call, steps, timers, the session's thread, recovery."""
