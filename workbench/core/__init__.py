"""Rules, pure: the state and its `apply`, the decisions, lineage and replay, the wait-for graph. No clock, no asyncio, no SQL."""
