"""The answer of `session.compare`: what differs between forks, as data, and the sentences that tell it."""

import msgspec

from workbench.questions.explanation import evidence, listed
from workbench.questions.fork_acts import Act
from workbench.signs import printed


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """A fork on the way from the shared past to the agents that are compared.

    Attributes:
        agent: the fork; `source`: whose fork it is.
        cut: index up to which it shares its source's oplog.
        inside: whether the source's own `fork()` made it, rather than somebody outside at an index.
        line: of that `fork()`; of one from outside, of what stands at the cut.
        entries: `seq` of the entry at the cut and of the fork's first.
    """

    agent: str
    source: str
    cut: int
    inside: bool
    line: str
    entries: tuple[int, ...]
    text: str = ""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What all share.

    Attributes:
        agent: in whose oplog it ends.
        cut: index of its last entry, which is how many there are unless something was reverted; `count` says.
        entries: `seq` of its first and its last entry.
        invocation: what was under way at the cut, by the `seq` of its acceptance, 0 for none; with its `method`.
        wall: of the last entry.
        line: of the last entry.
    """

    agent: str
    cut: int
    count: int
    entries: tuple[int, ...]
    invocation: int
    method: str
    wall: int
    line: str
    text: str = ""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the agents, since the cut.

    Attributes:
        agent: which.
        acts: what it did, in the order of its entries; the end of an invocation is one.
        state: how what was under way at the cut ended, or else its last invocation since: `returned`, `raised`,
            `deleted`, `failed`; or how the agent stands: `running`, `suspended`, `retrying`, `interrupted`,
            `undefined`, `idle`, `exited`; `unknown` when not all was read.
        method: of that invocation.
        outcome: result or error, as text; or what it waits for.
        seconds: from the cut, or from when the fork was made, to that end, or to now.
        invocations: how many it has ended since the cut.
        reverts: `seq` of the reverts since.
        entries: `seq` of what the end is read off.
        capped: whether entries were left unread.
    """

    agent: str
    acts: list[Act]
    state: str
    method: str
    outcome: str
    seconds: float
    invocations: int
    reverts: tuple[int, ...]
    entries: tuple[int, ...]
    capped: bool = False
    text: str = ""

    def __str__(self) -> str:
        return f"{self.agent} {self.text}{evidence(self.entries)}."


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A place where not all did the same.

    Attributes:
        kind: `did` (they asked for something else), `given` (they asked for the same, and something else came of it),
            `order` (the same came, in another order), `ended` (an invocation ended with something else).
        acts: for each agent, in their order, what it did there; empty for nothing of the kind.
        index: the lowest index at which it shows in one of the oplogs.
        text: the sentence, without the entries.
    """

    kind: str
    acts: tuple[tuple[Act, ...], ...]
    index: int
    text: str = ""

    @property
    def entries(self) -> tuple[int, ...]:
        """The `seq` of what it is read off, of each agent the first."""
        return tuple(dict.fromkeys(seq for acts in self.acts for act in acts[:1] for seq in act.entries))

    def __str__(self) -> str:
        return f"{self.text}{evidence(self.entries)}."


class ForkComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `session.compare`.

    Attributes:
        agents: ids of those that are compared, in the order in which they were named.
        wall: as of when, in wall nanoseconds; `seq` is the last entry that counted.
        past: what all share.
        forks: which forks lead from there to them.
        sides: what each did since, and how it ended; in the order of `agents`.
        differences: the first one first.
        left: how many more there are.
        sentences: at most twelve.
    """

    agents: tuple[str, ...]
    wall: int
    seq: int
    past: Past
    forks: list[Parting]
    sides: list[Side]
    differences: list[Difference]
    left: int
    sentences: list[str]

    @property
    def first(self) -> Difference | None:
        """What began it all; None when all did and got the same."""
        return self.differences[0] if self.differences else None

    @property
    def given(self) -> list[Difference]:
        """What came from outside and was not the same for all: outcomes of steps, results of calls, payloads."""
        return [difference for difference in self.differences if difference.kind == "given"]

    @property
    def same(self) -> bool:
        """Whether all did the same, were given the same and ended with the same."""
        return not self.differences and len({(side.state, side.outcome) for side in self.sides}) == 1

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return printed(self.sentences)

    def _repr_html_(self) -> str:
        return listed(self.sentences)
