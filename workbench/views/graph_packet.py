"""The agent graph on the wire: snapshots and deltas as one compact buffer and a small JSON head.

A *packet* carries new nodes, changed nodes, edges that opened and closed. `delta` holds what changed since the delta
before it, coalesced by agent, and is numbered; `snapshot` holds everything and the number of the last delta. A reader
that meets a number other than the next one asks for a snapshot. Packets may overlap: applying something twice changes
nothing.

The buffer is little-endian, in this order, so that every part is aligned; the head says how long each is:

| part | type | per | meaning |
|---|---|---|---|
| since | float64 | changed | milliseconds since the epoch |
| parents | int32 | new | slot, -1 for the root |
| slots | int32 | changed | which nodes the changes belong to |
| links | 4 x int32 | opened | key, kind (`Link`), from slot, to slot |
| gone | int32 | closed | key |
| flashes | 2 x int32 | completed | a promise was completed: from slot, to slot |
| origins | uint8 | new | `Origin` |
| statuses | uint8 | changed | `Status` |
| ids | UTF-8 | new | ids of the new nodes, each ended by NUL |
"""

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from workbench.views.graph import GraphView
from workbench.views.graph_nodes import BUSY, LOUD, GraphNode, Status, Wait, status_number, status_of

_LOW: Final = 0xFFFF_FFFF
"""An edge's key travels in 32 bits: it only has to be unique among the open edges."""
SAVED_NODES: Final = 1500
"""Nodes a saved picture lists; of the others it holds counts only, so that a notebook stays small."""


class Packet(msgspec.Struct, frozen=True):
    """`head` is JSON: `t` (`snapshot` or `delta`), `seq`, the lengths of the parts, labels. `data` is the buffer."""

    head: dict[str, Any]
    data: bytes


class GraphPackets:
    """Numbers the deltas of one view. Everybody who follows the view gets the same packets."""

    def __init__(self, view: GraphView) -> None:
        self.view = view
        self.version = 0
        self._sent = 0

    def snapshot(self) -> Packet:
        """Everything, as of now, numbered as the last delta."""
        view = self.view
        labels = [(n.slot, n.label) for n in view.nodes if n.label is not None]
        return _packet("snapshot", self.version, view.by_uid, view.nodes, view.nodes, view.links(), [], [], labels)

    def delta_since(self, version: int) -> Packet | None:
        """What changed since a version; a snapshot when that is not the last one; None when nothing changed."""
        if version != self.version:
            return self.snapshot()
        view = self.view
        if not (view.dirty or view.fresh or view.gone or view.flashes):
            return None
        self.version += 1
        changed = [view.by_uid[uid] for uid in view.dirty]
        labels = [(n.slot, n.label) for uid in view.relabelled if (n := view.node(uid))]
        packet = _packet(
            "delta",
            self.version,
            view.by_uid,
            view.nodes[self._sent :],
            changed,
            view.fresh.values(),
            view.gone,
            view.flashes,
            labels,
        )
        self._sent = len(view.nodes)
        for notes in (view.dirty, view.fresh, view.gone, view.flashes, view.relabelled):
            notes.clear()
        return packet

    def saved(self, limit: int = SAVED_NODES) -> Packet:
        """A snapshot of bounded size for a saved notebook: `limit` nodes, the rest as counts in the head's `hidden`.

        Kept first: failed and interrupted agents, then those with work, then by creation, the exited last; a kept
        agent's ancestors are kept. `hidden` lists `[slot of the nearest kept ancestor, count of each status in order]`.
        """
        view = self.view
        if len(view.nodes) <= limit:
            return self.snapshot()
        kept = _keep(view.nodes, limit)
        place = {old: new for new, old in enumerate(sorted(kept))}
        hidden: dict[int, list[int]] = {}
        for node in view.nodes:
            if node.slot not in place:
                up = node.parent
                while up not in place:
                    up = view.nodes[up].parent
                hidden.setdefault(place[up], [0] * len(Status))[status_of(node)] += 1
        nodes = [
            msgspec.structs.replace(view.nodes[old], slot=new, parent=place.get(view.nodes[old].parent, -1))
            for old, new in place.items()
        ]
        small = {node.uid: node for node in nodes}
        links = [wait for wait in view.links() if wait.agent in small and wait.on in small]
        labels = [(n.slot, n.label) for n in nodes if n.label is not None]
        packet = _packet("snapshot", self.version, small, nodes, nodes, links, [], [], labels)
        packet.head["hidden"] = [[slot, *counts] for slot, counts in sorted(hidden.items())]
        return packet


_RANKS: Final = {
    **dict.fromkeys(LOUD, 0),
    **dict.fromkeys((*BUSY, Status.QUEUED, Status.UNDEFINED), 1),
    **dict.fromkeys((Status.DONE, Status.IDLE), 2),
    Status.EXITED: 3,
}
"""What is worth keeping first."""


def _keep(nodes: list[GraphNode], limit: int) -> set[int]:
    """Slots of the nodes worth keeping, with their ancestors."""
    kept: set[int] = set()
    for node in sorted(nodes, key=lambda n: (n.parent >= 0, _RANKS[status_of(n)], n.slot)):
        chain, slot = [], node.slot
        while slot >= 0 and slot not in kept:
            chain.append(slot)
            slot = nodes[slot].parent
        if len(kept) + len(chain) <= limit:
            kept.update(chain)
    return kept


def _ints(numbers: Iterable[int], code: str = "i") -> bytes:
    numbers = array(code, numbers)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _packet(  # noqa: PLR0913, PLR0917 - one argument per part of the packet
    kind: str,
    version: int,
    by_uid: Mapping[int, GraphNode],
    new: list[GraphNode],
    changed: list[GraphNode],
    links: Iterable[Wait],
    gone: list[int],
    flashes: list[tuple[int, int]],
    labels: Sequence[tuple[int, str | None]],
) -> Packet:
    since = array("d", [node.since / 1e6 for node in changed])
    if sys.byteorder == "big":
        since.byteswap()

    opened: list[int] = []
    for wait in links:
        if (source := by_uid.get(wait.agent)) and (target := by_uid.get(wait.on)):
            opened += (wait.key & _LOW, wait.kind, source.slot, target.slot)
    flashed: list[int] = []
    for uid, owner in flashes:
        if (source := by_uid.get(uid)) and (target := by_uid.get(owner)):
            flashed += (source.slot, target.slot)
    ids = "".join([f"{node.agent_id}\0" for node in new]).encode(errors="replace")
    head = {
        "t": kind,
        "seq": version,
        "base": new[0].slot if new else 0,
        "new": len(new),
        "changed": len(changed),
        "opened": len(opened) // 4,
        "closed": len(gone),
        "flashed": len(flashed) // 2,
        "labels": [list(pair) for pair in labels],
    }
    parts = (
        since.tobytes(),
        _ints([node.parent for node in new]),
        _ints([node.slot for node in changed]),
        _ints(opened, "I"),
        _ints([key & _LOW for key in gone], "I"),
        _ints(flashed),
        bytes([node.origin for node in new]),
        bytes([status_number(node) for node in changed]),
        ids,
    )
    return Packet(head, b"".join(parts))
