"""What a view asks beyond what its rows tell: values, sentences, source lines. Answered as JSON from the session.

A live view asks through its widget; an exported page takes some of the answers along (`notes`).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, ClassVar, Final

import msgspec

from workbench.core.nouns import ROOT_UID
from workbench.errors import RefusedError, SearchError, UnknownAgentError, WorkbenchError
from workbench.model import entries as e
from workbench.model.description import content, describe
from workbench.model.entries import ROLES, Entry
from workbench.model.failure import decode_failure
from workbench.model.places import source_line
from workbench.model.rendering import payload, rendered
from workbench.questions.explanation import Link
from workbench.questions.search import matching, parse
from workbench.runtime.clock import perf_counter
from workbench.runtime.explaining import Explaining
from workbench.views.graph_nodes import BUSY, GraphNode, Origin, Status, status_of
from workbench.views.tape import Arrow, Promise, PromiseEvent, Row, Tape

VALUE: Final = 400
"""Characters of a value that a bar or a row tells."""
WHOLE: Final = 20_000
"""Characters of a value that an opened entry tells."""
_EFFECTS: Final = 100
_PAGE: Final = 500
_NOTED: Final = 1_000
_NOTED_WHYS: Final = 40
_NOTED_OPLOGS: Final = 200
_SHARE: Final = 20
"""A question that reads the whole log is answered anew after so many times as long as it took."""


def described(value: bytes) -> str:
    """An encoded failure in one line."""
    failure = decode_failure(value)
    return f"{failure.error_type}: {failure.message}"


class Answers:
    """Answers about one tape.

    Args:
        session: whose log it is; may be one that only reads.
        tape: slots and numbers of promises are its.
    """

    def __init__(self, session: Explaining, tape: Tape) -> None:
        self._session, self._tape = session, tape
        self._changes: dict[int, list[int]] = {}
        """By slot: the rows that tell of a change of status, of those that were looked at so far."""
        self._rows = 0
        self._orphaned: list[int] = []
        self._looked = self._took = 0.0  # when the orphans were looked for, and how long that took

    def answer(self, kind: str, args: dict[str, Any]) -> Any:
        """The answer to one question, as JSON.

        Raises:
            WorkbenchError: it cannot be answered; says why.
        """
        ask = self._KINDS.get(kind)
        if ask is None:
            raise RefusedError(f"the question {kind!r:.40}", "there is no such question", "reload the page")
        try:
            return ask(self, **{name: value for name, value in args.items() if name not in ("t", "n", "kind")})
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, WorkbenchError):
                raise
            raise RefusedError(
                f"the question {kind!r:.40}", f"it was asked wrongly: {error}", "reload the page"
            ) from error

    # ---- agents and entries ----------------------------------------------------------------------------------------

    def _uid(self, slot: object) -> int:
        nodes = self._tape.view.nodes
        if not isinstance(slot, int) or not 0 <= slot < len(nodes):
            raise UnknownAgentError(f"no agent {slot!r:.20}", "the view has no such place", "reload the page")
        return nodes[slot].uid

    def _agent(self, slot: object) -> str:
        """The id of an agent that lives."""
        node = self._tape.view.by_uid[self._uid(slot)]
        if node.halted == Status.EXITED and not node.ephemeral:
            raise UnknownAgentError(f"{node.agent_id} was deleted", "what it did is in the log", "look at its oplog")
        return node.agent_id

    def _slot(self, agent_id: str) -> int:
        node = self._tape.view.find(agent_id)
        return -1 if node is None else node.slot

    def _details(self, slot: int) -> dict[str, Any]:
        return self._tape.view.details(self._uid(slot))

    def _bar(self, slot: int, seq: int) -> dict[str, Any]:
        """What an agent did at an entry: the invocation, its arguments and its outcome."""
        uid = self._uid(slot)
        entry = self._entry(seq)
        number = entry.seq if isinstance(entry.body, e.CallMade) and entry.agent != uid else entry.invocation
        accepted = self._session.entry(number)
        body: Any = None if accepted is None else accepted.body
        if isinstance(body, e.ScheduleFired):
            plan = self._session.entry(body.schedule)
            body = None if plan is None else plan.body
        found: dict[str, Any] = {
            "agent": self._tape.view.by_uid[uid].agent_id,
            "method": getattr(body, "method", ""),
            "args": rendered(body.value, VALUE) if isinstance(body, e.CallMade | e.CallScheduled) else "",
            "line": "" if accepted is None else accepted.line,
            "source": "" if accepted is None else source_line(accepted.line),
            "invocation": number,
            "seq": seq,
            "result": None,
            "error": None,
        }
        end = self._end(uid, slot, number, seq)
        if end is not None and isinstance(end.body, e.InvocationFinished):
            found["finished"] = end.seq
            found["result" if end.body.ok else "error"] = content(end.body, VALUE)
        return found

    def _end(self, uid: int, slot: int, invocation: int, after: int) -> Entry | None:
        """The entry with which an agent's invocation ended."""
        tape = self._tape
        rows = self._statuses(slot)
        for row in islice(rows, bisect_left(rows, tape.rows_until(after - 1)), None):
            entry = self._session.entry(tape.seq[row])
            if entry is not None and isinstance(entry.body, e.InvocationFinished) and entry.agent == uid:
                return entry if entry.invocation == invocation else None
        return None

    def _statuses(self, slot: int) -> list[int]:
        """The rows of the tape that tell of a change of an agent's status."""
        tape = self._tape
        for row in range(self._rows, len(tape)):
            if tape.kind[row] == Row.STATUS and tape.index[row]:
                self._changes.setdefault(tape.slot[row], []).append(row)
        self._rows = len(tape)
        return self._changes.get(slot, [])

    def _entry(self, seq: object) -> Entry:
        entry = self._session.entry(seq) if isinstance(seq, int) else None
        if entry is None:
            raise UnknownAgentError(f"no entry {seq!r:.20}", "nothing of this number is committed", "see session.sql")
        return entry

    def _opened(self, seq: int) -> dict[str, Any]:
        """An entry with all that it holds."""
        entry = self._entry(seq)
        effects = self._session.sql("SELECT seq FROM log WHERE cause = ? AND seq > ? LIMIT ?", (seq, seq, _EFFECTS))
        node = self._tape.view.node(entry.agent)
        return {
            **self._row(entry),
            "agent": node.agent_id if node is not None else "",
            "slot": node.slot if node is not None else -1,
            "source": source_line(entry.line),
            "payload": _tree(entry),
            "effects": [int(str(number)) for (number,) in effects],
        }

    def _row(self, entry: Entry) -> dict[str, Any]:
        told = content(entry.body, VALUE)
        return {
            "seq": entry.seq,
            "index": entry.index,
            "kind": entry.kind,
            "role": ROLES[type(entry.body)].value,
            "text": describe(entry.body) + (f": {told}" if told else ""),
            "line": entry.line,
            "wall": entry.wall / 1e6,
            "cause": entry.cause,
            "invocation": entry.invocation,
        }

    def _oplog(self, slot: int, search: str = "", after: int = 0, count: int = 200) -> dict[str, Any]:
        uid, after, count = self._uid(slot), int(after), max(1, min(int(count), _PAGE))
        search = str(search).encode("utf-8", "replace").decode()  # half of a pair is found nowhere, and cannot be sent
        found: dict[str, Any] = {"agent": self._tape.view.by_uid[uid].agent_id, "from": after, "rows": [], "total": 0}
        if not search.strip():
            found["total"], entries = self._session.page(uid, after, count)
        else:
            try:
                parse(search)
            except SearchError as error:
                return {**found, "error": str(error)}
            matches = matching(self._session.page(uid, 0, 1 << 40)[1], search)
            found["total"], entries = len(matches), matches[after : after + count]
        return {**found, "rows": [self._row(entry) for entry in entries]}

    # ---- the five questions --------------------------------------------------------------------------------------

    def _why(self, slot: int) -> dict[str, Any]:
        why = self._session.why(self._agent(slot))
        return {
            "about": why.about,
            "sentences": why.sentences,
            "roots": why.roots,
            "seq": why.seq,
            "links": [self._link(link) for link in why.links],
        }

    def _link(self, link: Link) -> dict[str, Any]:
        told = msgspec.to_builtins(link)
        return {**told, "slot": self._slot(link.agent), "toSlots": [self._slot(agent) for agent in link.to]}

    def _path(self, slot: int) -> dict[str, Any]:
        uid = self._uid(slot)
        asked: object = self._newest_job() if uid == ROOT_UID else self._agent(slot)
        path = self._session.critical_path(asked)
        return {
            "agent": path.agent,
            "method": path.method,
            "begin": path.begin / 1e6,
            "end": path.end / 1e6,
            "ended": path.ended,
            "sentences": path.sentences,
            "parallel": path.most,
            "segments": [
                {
                    "agent": part.agent,
                    "slot": self._slot(part.agent),
                    "method": part.method,
                    "kind": part.kind,
                    "what": part.what,
                    "begin": part.begin / 1e6,
                    "end": part.end / 1e6,
                    "entries": list(part.entries),
                    "line": part.line,
                }
                for part in path.segments
            ],
        }

    def _newest_job(self) -> object:
        """The `seq` of the newest call that a cell made."""
        tape = self._tape
        for row in range(len(tape) - 1, -1, -1):
            if tape.kind[row] == Row.OPEN and tape.slot[row] == 0:
                return tape.c[row]
        raise UnknownAgentError("no critical path", "no cell has called an agent yet", "call one")

    def _compare(self, slots: list[int]) -> dict[str, Any]:
        return {"sentences": self._session.compare(*(self._agent(slot) for slot in slots)).sentences}

    # ---- promises ------------------------------------------------------------------------------------------------

    def _named(self, number: object) -> Promise:
        if not isinstance(number, int) or not 0 <= number < len(self._tape.promises):
            raise UnknownAgentError(f"no promise {number!r:.20}", "the view has no such number", "reload the page")
        return self._tape.promises[number]

    def _promise(self, number: int) -> dict[str, Any]:
        promise = self._named(number)
        info = self._session.promise(promise.owner, promise.at)
        value = self._payload(number)
        return {
            "id": str(info.promise_id),
            "creator": info.creator,
            "state": info.state,
            "holders": list(info.holders),
            "waiters": list(info.waiters),
            "by": info.completer,
            "value": None if value is None else payload(value, VALUE),
            "line": info.line,
            "source": source_line(info.line),
            "age_s": info.age,
            "ignored": info.ignored,
            "orphan": info.orphan,
            "note": "nobody alive could complete it" if info.orphan else "",
        }

    def _orphans(self) -> dict[str, Any]:
        """The promises that nobody alive could complete; looked for anew once that is cheap against the time passed."""
        now = perf_counter()
        if now - self._looked >= _SHARE * self._took:
            numbers = {promise: number for number, promise in enumerate(self._tape.promises)}
            lost = [info.promise_id for info in self._session.promises("pending") if info.orphan]
            made = [Promise(int(pid.incarnation.rpartition("-")[2]), pid.index) for pid in lost]
            self._orphaned = [numbers[promise] for promise in made if promise in numbers]
            self._looked = perf_counter()
            self._took = self._looked - now
        return {"numbers": self._orphaned}

    def _payload(self, number: int) -> bytes | None:
        """What a promise was completed with."""
        tape = self._tape
        for row in tape.rows(Row.PROMISE):
            if tape.a[row] == number and tape.b[row] == PromiseEvent.COMPLETED:
                body: Any = self._entry(tape.seq[row]).body
                return bytes(body.value)
        return None

    def _forks(self, slots: list[Any]) -> dict[str, Any]:
        """What forks and their sources returned."""
        found = {}
        for slot in slots:
            if not isinstance(slot, int) or not 0 <= slot < len(self._tape.view.nodes):
                continue
            node = self._tape.view.nodes[slot]
            last = self._session.outcome(node.uid)
            ok = None if last is None or node.running else last[0]
            text = "" if last is None or node.running else rendered(last[1], VALUE) if last[0] else described(last[1])
            found[str(slot)] = {"text": text, "ok": ok}
        return {"results": found}

    _KINDS: ClassVar[dict[str, Callable[..., Any]]] = {
        "details": _details,
        "bar": _bar,
        "entry": _opened,
        "oplog": _oplog,
        "why": _why,
        "path": _path,
        "compare": _compare,
        "promise": _promise,
        "orphans": _orphans,
        "forks": _forks,
    }

    # ---- for a page without a kernel -------------------------------------------------------------------------------

    def notes(self) -> dict[str, Any]:
        """Answers that an exported page takes along, by `kind:key`; those that cannot be given are left out."""
        nodes, found = self._tape.view.nodes, {}

        def note(kind: str, key: object, **args: Any) -> None:
            with suppress(WorkbenchError):  # the page says that it does not know
                found[f"{kind}:{key}"] = self.answer(kind, args)

        for node in nodes[:_NOTED]:
            note("details", node.slot, slot=node.slot)
        for node in _waiting(nodes)[:_NOTED_WHYS]:
            note("why", node.slot, slot=node.slot)
        for number in range(min(len(self._tape.promises), _NOTED_WHYS)):
            note("promise", number, number=number)
        family = [n.slot for n in nodes if n.origin == Origin.FORKED]
        family += [nodes[slot].parent for slot in family if nodes[slot].parent >= 0]
        note("forks", "all", slots=sorted(set(family))[:_NOTED])
        for row in islice(self._tape.rows(Row.ARROW), _NOTED):  # where an invocation began
            if self._tape.b[row] in (Arrow.CALL, Arrow.TRIGGER, Arrow.SCHEDULE):
                slot, seq = self._tape.slot[row], self._tape.seq[row]
                note("bar", f"{slot}:{seq}", slot=slot, seq=seq)
        for node in [n for n in nodes if n.origin != Origin.ROOT][:_NOTED_OPLOGS]:
            note("oplog", node.slot, slot=node.slot)
        note("orphans", "all")
        note("path", 0, slot=0)
        return found


def _waiting(nodes: Iterable[GraphNode]) -> list[GraphNode]:
    return [node for node in nodes if status_of(node) in BUSY and node.origin != Origin.ROOT]


def _tree(entry: Entry) -> dict[str, Any]:
    """The body of an entry as a tree of names and texts."""
    fields = []
    for name in entry.body.__struct_fields__:
        value = getattr(entry.body, name)
        if name in ("value", "failure") and isinstance(value, bytes):
            text = content(entry.body, WHOLE) if value else ""
            fields.append({"name": name, "type": "value", "text": text})
        else:
            fields.append(_branch(name, msgspec.to_builtins(value)))
    return {"name": entry.kind, "type": "entry", "text": describe(entry.body), "children": fields}


def _branch(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            "name": name,
            "type": "object",
            "text": f"{len(value)} fields",
            "children": [_branch(str(k), v) for k, v in value.items()],
        }
    if isinstance(value, list | tuple):
        return {
            "name": name,
            "type": "list",
            "text": f"{len(value)} items",
            "children": [_branch(str(i), v) for i, v in enumerate(value)],
        }
    return {"name": name, "type": type(value).__name__, "text": str(value)[:WHOLE]}
