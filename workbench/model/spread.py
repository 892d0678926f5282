"""Whether a set or a dict is built in good time: what has one hash is compared, each with each.

Python chooses the hashes of text and bytes anew for each process, those of numbers and of what is made of numbers are
the same everywhere. So somebody can send twenty thousand UUIDs of one hash, which keep a process busy for a minute.
Keys that need no tag are built into a dict by the MessagePack decoder and are not looked at here: for whole numbers
below 2^64 and floats there are few values of any one hash.
"""

from collections import Counter
from collections.abc import Collection
from typing import Final

ALIKE: Final = 64
"""Elements that may have one hash; of floats, there are 34 at most."""
FEW: Final = 1_000
"""Elements that may have any hashes."""


def is_crowded(items: Collection[object]) -> bool:
    """Whether too many of these have one hash.

    Raises:
        TypeError: one has none.
    """
    return len(items) > FEW and max(Counter(map(hash, items)).values()) > ALIKE
