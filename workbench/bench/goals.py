"""What is measured and what it shall be: workloads, figures, goals."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

GROSS: Final = 3
"""A ratio this many times worse than it should be, or than it was when it was last measured, is a gross loss."""

Figures = Mapping[str, float]
"""Named numbers of one round, as `{"ours 1000": 9000.0}`; of all rounds, their medians."""

Run = Callable[[Path], Figures]
"""One side of a workload, once, in an empty folder."""

Tell = Callable[[str], None]
"""Takes a line of progress."""

Ready = Callable[[Path, Tell], AbstractContextManager[None]]
"""What a workload needs in all its rounds; entered before the first one, with a folder for what it makes."""


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
        against: name of the figure of the floor; empty for none.
        besides: further figures to show.
        gross: the ratio to the floor, or the figure where there is no floor, at which a run counts as broken. None for
            never: a time or a rate by itself tells of the machine, not of the code.
        worst: judged by its worst round, not by the median: for what must not happen once.
    """

    what: str
    unit: str
    figure: str
    compare: Compare
    limit: float
    against: str = ""
    besides: tuple[str, ...] = ()
    gross: float | None = None
    worst: bool = False

    @property
    def more_is_better(self) -> bool:
        """Whether the figure shall be large."""
        return self.compare in (Compare.SHARE, Compare.AT_LEAST)

    def value(self, figures: Figures) -> float:
        """What is compared with the limit."""
        if self.compare in (Compare.SHARE, Compare.TIMES):
            return self.ratio(figures)
        if self.compare is Compare.BEYOND:
            return figures[self.figure] - figures[self.against]
        return figures[self.figure]

    def ratio(self, figures: Figures) -> float:
        """Ours divided by the floor; ours where there is none."""
        ours = figures[self.figure]
        return ours / figures[self.against] if self.against else ours

    def within(self, value: float, limit: float) -> bool:
        """Whether a value is on the right side of a limit."""
        return value >= limit if self.more_is_better else value <= limit


@dataclass(frozen=True)
class Workload:
    """Something to measure: its sides are run in turn, and the figures of all sides are judged together."""

    name: str
    about: str
    runs: Sequence[Run]
    goals: Sequence[Goal] = ()
    ready: Ready | None = None


@dataclass(frozen=True)
class Result:
    """The medians of a workload, and each round's figures."""

    workload: Workload
    medians: Figures
    rounds: Sequence[Figures]

    def of(self, goal: Goal) -> Figures:
        """The figures by which a goal is judged."""
        if not goal.worst:
            return self.medians
        return (min if goal.more_is_better else max)(self.rounds, key=goal.value)

    def met(self, goal: Goal) -> bool:
        """Whether a goal is reached."""
        return goal.within(goal.value(self.of(goal)), goal.limit)

    def broken(self) -> list[str]:
        """The goals that were missed grossly, in words."""
        lines = []
        for goal in self.workload.goals:
            ratio = goal.ratio(self.of(goal))
            if goal.gross is not None and not goal.within(ratio, goal.gross):
                of = f" times {goal.against}" if goal.against else ""
                lines.append(f"{self.workload.name}, {goal.what}: {ratio:.3g}{of}, far beyond {goal.gross:.3g}")
        return lines
