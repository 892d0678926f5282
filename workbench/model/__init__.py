"""Nouns, frozen: agent types, the entry family, the codec, outcomes. Values only; nothing here does anything."""
