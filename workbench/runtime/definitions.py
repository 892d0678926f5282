"""What agents need that is not there yet: their classes, the functions of jobs, the names that their code uses.

After a restart a notebook's cells are run one after the other, and agents go on as soon as their class is there. So
code may ask for a name that a later cell will define; an agent that an earlier process began waits for that, like for
its class. And an agent whose oplog did not replay on the code that was there goes on when the code that fits it is.
"""

from typing import Any, Final

from workbench.core.nouns import Agent
from workbench.errors import DecodingError, DivergenceError
from workbench.model.failure import decode_failure

_OF_CELLS: Final = "__main__"


class MissingNameError(BaseException):
    """Agent code asks for a name that no cell has defined yet.

    Attributes:
        name: it.
        scope: where it would be.
    """

    def __init__(self, name: str, scope: dict[str, Any]) -> None:
        super().__init__(name)
        self.name, self.scope = name, scope

    @property
    def there(self) -> bool:
        """Whether it has been defined since."""
        return self.name in self.scope


def missing_name(error: BaseException | None) -> MissingNameError | None:
    """What a `NameError` of code in a cell asks for; None for any other error."""
    if type(error) is not NameError or error.__traceback__ is None:
        return None
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    scope, code = trace.tb_frame.f_globals, trace.tb_frame.f_code
    if error.name not in code.co_names or error.name in scope or scope.get("__name__") != _OF_CELLS:
        return None
    return MissingNameError(error.name, scope)


class Definitions:
    """Who waits for a definition. On the session's thread; others may ask whether an agent is there."""

    def __init__(self) -> None:
        self._of_class: dict[str, set[int]] = {}
        self._of_name: dict[int, MissingNameError] = {}
        self._diverged: dict[str, set[int]] = {}

    def clear(self) -> None:
        """Nobody waits."""
        for kept in (self._of_class, self._of_name, self._diverged):
            kept.clear()

    def forget(self, uid: int) -> None:
        """What an agent asked for it asks for no longer."""
        self._of_name.pop(uid, None)

    def await_class(self, uid: int, name: str) -> None:
        """An agent waits for its class, by name; or for the function of its job, by the job's id."""
        self._of_class.setdefault(name, set()).add(uid)

    def class_came(self, name: str) -> set[int]:
        """A class is there: who waited for it."""
        return self._of_class.pop(name, set())

    def await_name(self, uid: int, missing: MissingNameError) -> bool:
        """An agent's code asks for a name; whether that is news."""
        before, self._of_name[uid] = self._of_name.get(uid), missing
        return before is None or before.name != missing.name

    def name_for(self, uid: int) -> str:
        """The name that an agent waits for; empty when it waits for none."""
        missing = self._of_name.get(uid)
        return missing.name if missing is not None else ""

    def names_came(self) -> list[int]:
        """Whose names are there now."""
        found = [uid for uid, missing in self._of_name.items() if missing.there]
        for uid in found:
            del self._of_name[uid]
        return found

    def diverged(self, agent: Agent) -> bool:
        """An agent has failed: whether because it did not replay, so that it may on other code."""
        try:
            kind = decode_failure(agent.failure).error_type
        except DecodingError:
            return False
        if kind == DivergenceError.__name__:
            self._diverged.setdefault(agent.type_name, set()).add(agent.uid)
        return kind == DivergenceError.__name__

    def mended(self, agent: Agent) -> None:
        """It replays again."""
        self._diverged.get(agent.type_name, set()).discard(agent.uid)

    def diverged_of(self, name: str) -> set[int]:
        """The agents of a class that did not replay."""
        return self._diverged.get(name, set())
