"""Rules, pure: the state and its `apply`, decisions, lineage and replay, the wait-for graph. No clock, no asyncio."""
