"""Words for what a tape holds, as all exports use them: what a message says, what an agent's work is called."""

from typing import NamedTuple

from workbench.signs import printable
from workbench.views.graph_nodes import Status
from workbench.views.spans import Message
from workbench.views.tape import Arrow, Moment, PromiseEvent, Reason, Row, Tape

_STATUS, _PROMISE = int(Row.STATUS), int(Row.PROMISE)


class Said(NamedTuple):
    """A message in words: `verb` is ours, `what` may hold text from agents."""

    verb: str
    what: str

    @property
    def text(self) -> str:
        """Both, `call process`."""
        return f"{self.verb} {self.what}".strip()


def said(tape: Tape, message: Message) -> Said:
    """What a message is about: `call process`, `reply process`, `complete promise 3 of Worker(7)`."""
    match message.kind:
        case Arrow.CALL | Arrow.TRIGGER | Arrow.SCHEDULE:
            row = _status_row(tape, message.received.seq, message.receiver)
            return Said(message.kind.name.lower(), _method(tape, row))
        case Arrow.REPLY:
            row = _status_row(tape, message.sent.seq, message.sender)
            raised = row >= 0 and tape.a[row] & 15 == Status.FAILED
            return Said("error of" if raised else "reply of", _method(tape, row))
        case Arrow.COMPLETION:
            return Said("complete", _completed(tape, message))
        case Arrow.FORK:
            return Said("fork", "")


def work_names(tape: Tape, moment: Moment) -> dict[int, str]:
    """What the work of agents was called by who gave it to them, by slot; those without a name are not in it."""
    names = {tape.slot[row]: printable(tape.texts[tape.c[row]]) for row in tape.rows(Row.LABEL, moment.row)}
    return {slot: name for slot, name in names.items() if name}


def agent_name(tape: Tape, slot: int) -> str:
    """Text of an agent's id, in one line."""
    return printable(tape.view.nodes[slot].agent_id)


def place_of(line: str) -> str:
    """A source line, `lesson.py:7`, without the folders: a file for others tells nothing of whose machine it was."""
    return printable(line.rpartition("/")[2])


def reason_words(bits: int) -> list[str]:
    """What an agent waits for, `call`, `promise`, `timer`, `step`."""
    return [reason.name.lower() for reason in Reason if bits & reason]


def promise_name(tape: Tape, number: int) -> str:
    """A promise by its index and whose it is, `promise 3 of Worker(7)`."""
    promise = tape.promises[number]
    owner = tape.view.by_uid.get(promise.owner)
    return f"promise {promise.at} of {printable(owner.agent_id)}" if owner is not None else f"promise {promise.at}"


def _rows_of(tape: Tape, seq: int) -> range:
    return range(tape.rows_until(seq - 1), tape.rows_until(seq))


def _status_row(tape: Tape, seq: int, slot: int) -> int:
    """The row in which an entry changed an agent's status, -1 for none."""
    rows = (row for row in _rows_of(tape, seq) if tape.kind[row] == _STATUS and tape.slot[row] == slot)
    return next(rows, -1)


def _method(tape: Tape, row: int) -> str:
    return printable(tape.texts[tape.b[row]]) if row >= 0 else ""


def _completed(tape: Tape, message: Message) -> str:
    for row in _rows_of(tape, message.sent.seq):
        if tape.kind[row] == _PROMISE and tape.b[row] == PromiseEvent.COMPLETED:
            return promise_name(tape, tape.a[row])
    return "a promise"
