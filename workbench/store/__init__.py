"""Disk, synchronous, the only SQL: schema, append, read, lock, checks, and the feed of committed entries."""
