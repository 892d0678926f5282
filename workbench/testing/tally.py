"""How many faults the sweeps of this process have tried: what pytest tells at the end, see `plugin`."""

from collections import Counter
from typing import Final

tried: Final[Counter[str]] = Counter()
"""Kind of fault -> how many."""


def in_words() -> str:
    """As `5,012 kills, 24 orders`; empty for none."""
    return ", ".join(f"{number:,} {kind}" for kind, number in tried.items() if number)
