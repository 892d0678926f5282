"""What is measured and what it shall be: workloads, figures, goals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

Figures = Mapping[str, float]
"""Named numbers of one round, as `{"ours 1000": 9000.0}`; of all rounds, their medians."""

Run = Callable[[Path], Figures]
"""One side of a workload, once, in an empty folder."""


class Compare(Enum):
    """How a figure is held against its floor."""

    SHARE = "of"
    """Figure divided by floor; more is better."""
    TIMES = "x"
    """Figure divided by floor; less is better."""
    BEYOND = "beyond"
    """Figure minus floor; less is better."""
    AT_MOST = "at most"
    """The figure itself."""
    AT_LEAST = "at least"
    """The figure itself."""


@dataclass(frozen=True)
class Goal:
    """One line of the table.

    Attributes:
        what: what is counted, as `1,000 children`.
        unit: of the figures.
        figure: name of the figure that is ours.
        compare: how it is judged.
        limit: what the comparison must reach, or not pass.
        against: name of the figure it is compared with; empty for none.
        besides: further figures to show.
        gross: the comparison at which a run counts as broken; None for never (figures of the machine, not of the code).
    """

    what: str
    unit: str
    figure: str
    compare: Compare
    limit: float
    against: str = ""
    besides: tuple[str, ...] = ()
    gross: float | None = None

    def value(self, figures: Figures) -> float:
        """What is compared with the limit."""
        ours = figures[self.figure]
        if self.compare in (Compare.SHARE, Compare.TIMES):
            return ours / figures[self.against]
        if self.compare is Compare.BEYOND:
            return ours - figures[self.against]
        return ours

    def within(self, value: float, limit: float) -> bool:
        """Whether a value is on the right side of a limit."""
        return value >= limit if self.compare in (Compare.SHARE, Compare.AT_LEAST) else value <= limit


@dataclass(frozen=True)
class Workload:
    """Something to measure: its sides are run in turn, and the figures of all sides are judged together."""

    name: str
    about: str
    runs: Sequence[Run]
    goals: Sequence[Goal] = field(default_factory=tuple)


@dataclass(frozen=True)
class Result:
    """The medians of a workload, and each round's figures."""

    workload: Workload
    medians: Figures
    rounds: Sequence[Figures]

    def broken(self) -> list[str]:
        """The goals that were missed grossly, in words."""
        return [
            f"{self.workload.name}, {goal.what}: {goal.value(self.medians):.3g}, far beyond {goal.gross:g}"
            for goal in self.workload.goals
            if goal.gross is not None and not goal.within(goal.value(self.medians), goal.gross)
        ]
