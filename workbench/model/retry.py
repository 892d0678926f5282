"""When a side effect that failed is tried again: a policy as a value. Chance is an argument, and there is no clock."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from workbench.errors import AgentTypeError

When = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], object]
"""Which errors are worth another try: of these classes, or those for which a function says so."""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_class(when: object) -> bool:
    if isinstance(when, tuple):
        return all(map(_is_class, when))
    return isinstance(when, type) and issubclass(when, BaseException)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried, and how long it waits in between: `wb.Retry(attempts=5, when=OSError)`.

    The first wait is `delay`, each later one is `factor` times as long, up to `cap`; up to `jitter` of it is added by
    chance, so that those who failed together do not all come back together. The defaults are Golem's.

    Attributes:
        attempts: tries in all, the first included; None for no limit.
        delay: seconds before the second try.
        factor: by which the wait grows; 1 for a fixed one.
        cap: seconds that it grows to; a `delay` above it stays as it is.
        jitter: largest part of a wait that is added by chance: 0.15 makes 1 s up to 1.15 s.
        when: which errors are worth another try: an exception class, a tuple of them, or a function that is asked with
            the error; by default each `Exception`. An error that the function raises ends the step.

    Raises:
        AgentTypeError: a number that makes no sense.
    """

    attempts: int | None = 3
    delay: float = 0.1
    factor: float = 3.0
    cap: float = 1.0
    jitter: float = 0.15
    when: When | None = None

    def __post_init__(self) -> None:
        if self.attempts is not None and not _is_count(self.attempts):
            raise AgentTypeError(
                f"attempts={self.attempts!r}", "it counts tries, the first too", "pass 1 or more, None for no limit"
            )
        for name, least in (("delay", 0.0), ("factor", 1.0), ("cap", 0.0), ("jitter", 0.0)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < math.inf:
                raise AgentTypeError(f"{name}={value!r}", "no wait comes of it", f"pass a number from {least:g} on")
        if self.when is not None and not _is_class(self.when) and not callable(self.when):
            raise AgentTypeError(
                f"when={self.when!r:.80}", "it says nothing about errors", "pass an exception class or a function"
            )

    @classmethod
    def never(cls) -> Self:
        """One try; its error is the step's."""
        return cls(attempts=1)

    @classmethod
    def fixed(cls, delay: float, attempts: int | None = 3, *, when: When | None = None) -> Self:
        """The same wait each time, in seconds, and no chance in it."""
        return cls(attempts=attempts, delay=delay, factor=1.0, jitter=0.0, when=when)

    def allows(self, error: BaseException) -> bool:
        """Whether this error is worth another try, if any is left."""
        if not isinstance(error, Exception):
            return False
        if self.when is None:
            return True
        if _is_class(self.when):
            return isinstance(error, self.when)  # type: ignore[arg-type] # a class, or a tuple of them
        return bool(self.when(error))  # type: ignore[operator] # it is callable, `__post_init__` saw to that

    def delay_after(self, failures: int, chance: float) -> float | None:
        """Seconds to wait after so many failed tries; None when there is none left.

        Args:
            failures: 1 or more.
            chance: from 0 to 1, decides how much of the jitter is added.
        """
        if self.attempts is not None and failures >= self.attempts:
            return None
        try:
            grown = self.delay * self.factor ** (failures - 1)
        except OverflowError:
            grown = self.cap
        return max(self.delay, min(grown, self.cap)) * (1 + self.jitter * chance)


DEFAULT: Final = Retry()
"""Three tries, 100 ms and 300 ms apart, as in Golem."""
NEVER: Final = Retry.never()


def policy_of(retry: Retry | int | None, *, idempotent: bool) -> Retry:
    """What is meant by a `retry=` argument.

    A step that may not run twice is tried once unless its caller says otherwise: it may have raised after it took
    effect.

    Raises:
        AgentTypeError: it is neither a policy nor a number of tries.
    """
    if retry is None:
        return DEFAULT if idempotent else NEVER
    if isinstance(retry, Retry):
        return retry
    if _is_count(retry):
        return Retry(attempts=retry)
    raise AgentTypeError(f"retry={retry!r}", "a step is tried so many times", "pass 1 or more, or a wb.Retry(...)")
