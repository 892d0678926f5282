"""Fuzz targets: each takes any bytes, and raises only where a promise is broken.

What a target may meet is an answer, or an error of the workbench that says what and why (`looks.refusing`). Anything
else is a finding: another exception, a wrong value, a text that cannot be read back, seconds of work. `test_fuzz.py`
drives them with Hypothesis, `fuzz.py` with libFuzzer, which follows the coverage; `TARGETS` lists them.
"""

from __future__ import annotations

import contextlib
import copy
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec
from IPython.core.error import UsageError

import workbench as wb
from tests.hostile import fuzzed_stores
from tests.hostile.chance import Chance, text_of
from tests.hostile.forged import VALUES, told
from tests.hostile.looks import clear, refusing
from tests.hostile.payloads import as_path
from tests.replay.corpus import PROGRAMS
from tests.unit.model.test_codec import KNOWN, SAMPLES, same
from workbench import cli, magics
from workbench.cli import benching, lab
from workbench.errors import DecodingError, EncodingError, SearchError
from workbench.exports.answers import Answers
from workbench.ids import AgentId, PromiseId
from workbench.model.codec import NOTHING_KNOWN, decode, encode
from workbench.model.description import content, describe
from workbench.model.entries import Entry, decode_body, encode_body
from workbench.model.failure import decode_failure, exception_of
from workbench.model.rendering import payload, rendered
from workbench.questions.search import Every, Not, Some, Term, matching, parse, take_word
from workbench.runtime import nesting
from workbench.testing import SimulatedClock
from workbench.testing.sweep import memory_folder
from workbench.views.tape import Tape
from workbench.widgets.acts import Acts

Target = Callable[[bytes], None]

SECONDS: Final = 5.0
"""Processor time that no input of a few kilobytes may take; the slowest takes a tenth of it."""
_SHOWN: Final = 200
QUERIES: Final = ("kind:CallMade method:work not x", "index:2..9 or role:hint", '"a b" (line:x key:y)', "Child()")


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Assert that the block takes no more time than any input may."""
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < SECONDS, f"{took:.1f} s"


# ---- values ----------------------------------------------------------------------------------------------------------


def codec(data: bytes) -> None:
    """Bytes hold a value that can be written again and is the same then, or `DecodingError` comes."""
    for known in (NOTHING_KNOWN, KNOWN):
        try:
            value = decode(data, known)
        except DecodingError as error:
            clear(error)
            continue
        try:
            again = encode(value, known)
        except EncodingError as error:  # deeper than what is written
            clear(error)
            continue
        assert same(decode(again, known), value), ascii(value)[:_SHOWN]
        assert encode(decode(again, known), known) == again
    for show in (rendered, payload):
        assert len(show(data, _SHOWN)) <= _SHOWN + 1


def records(data: bytes) -> None:
    """Bytes of an entry or of a failure are one that is written as it was read, or are refused; each can be told."""
    try:
        body = decode_body(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    else:
        assert decode_body(encode_body(body)) == body
        describe(body)
        assert len(content(body, _SHOWN)) <= _SHOWN + 1
    try:
        failure = decode_failure(data)
    except DecodingError as error:
        clear(error)
    else:
        met = exception_of(failure)
        assert isinstance(met, wb.WorkbenchError)
        text = str(met)
        assert str(copy.copy(met)) == text


# ---- names -----------------------------------------------------------------------------------------------------------


def ids(data: bytes) -> None:
    """A text is an id whose text is read as the same id, or `AgentIdError` says where it stops being one."""
    text = text_of(data)
    try:
        agent = AgentId.parse(text)
    except wb.AgentIdError as error:
        clear(error)
    else:
        again = AgentId.parse(str(agent))
        assert (again, again.parameters, again.text) == (agent, agent.parameters, agent.text)
        assert AgentId(agent.type_name, agent.parameters, agent.phantom_id) == agent
        assert decode(encode(agent)) == agent
    try:
        promise = PromiseId.parse(text)
    except wb.AgentIdError as error:
        clear(error)
    else:
        assert PromiseId.parse(str(promise)) == promise
        assert decode(encode(promise)) == promise


def from_elsewhere(data: bytes) -> None:
    """A session that is asked for agents, promises and invocations it never had says so, and has none of them then."""
    session, promise = _session()
    chance = Chance(data)
    parts = [str(promise), promise.agent, promise.incarnation]
    made = PromiseId(
        chance.pick(parts) + text_of(chance.some(chance.number(4))),
        chance.pick(parts) + text_of(chance.some(chance.number(4))),
        chance.pick((promise.index, 0, -1, 1 << 63, 1 << 70)),
    )
    text = chance.pick(parts) + text_of(chance.rest())
    with contextlib.suppress(wb.AgentIdError):
        made = chance.pick((made, PromiseId.parse(text)))
    before = session.feed.committed
    for act in (
        lambda: wb.promise_state(made),
        lambda: wb.complete_promise(made, b"x") if made != promise else None,
        lambda: session.oplog(text),
        lambda: session.why(text),
        lambda: session.why(value_of=(text, text)),
        lambda: session.critical_path(text),
        lambda: session.compare(text, parts[1]),
        lambda: session.invocation(text, text),
        lambda: session.invocations(text, key=text, method=text),
        lambda: session.promises(agent=text),
        lambda: session.agents(name=text, type=text, parent=text),
        lambda: session.agents(status=text),
        lambda: session.schedules(text),
        lambda: session.cancel(text, text),
    ):
        refusing(act)
    assert session.feed.committed == before
    assert wb.promise_state(promise) == "pending"


@cache
def _session() -> tuple[wb.Session, PromiseId]:
    """A session that stays open, with agents of each kind of program, and a promise of a cell."""
    session = wb.start(":memory:", clock=SimulatedClock("fuzz"))
    for name in ("join", "fork", "promises"):
        PROGRAMS[name](lambda *_: None)
    return session, wb.create_promise()


# ---- queries ---------------------------------------------------------------------------------------------------------


def search(data: bytes) -> None:
    """A text is a query that finds entries, or `SearchError` says where it cannot be read."""
    query = text_of(data)
    try:
        part = parse(query)
    except SearchError as error:
        clear(error)
        assert error.do  # noqa: PT017 - the error is what is looked at
    else:
        found = matching(_entries(), query)
        assert found == [x for x in _entries() if x in found]
        assert matching(_entries(), written(part)) == found, query
    with contextlib.suppress(SearchError):
        word, end = take_word(query)
        assert word == query[:end]


def written(part: Term | Not | Every | Some) -> str:
    """A query that means a part."""
    match part:
        case Term("index", value):
            return f"index:{value.removesuffix('1000000000000000000')}"
        case Term(field, value):
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'{field}:"{quoted}"' if field else f'"{quoted}"'
        case Not(inner):
            return f"not ({written(inner)})"
        case Every(parts):
            return " and ".join(f"({written(one)})" for one in parts)
    return " or ".join(f"({written(one)})" for one in part.parts)


@cache
def _entries() -> list[Entry]:
    return [entry for log in told()[:12] for entry in log.entries]


# ---- what people and pages type --------------------------------------------------------------------------------------


def lines(data: bytes) -> None:
    """Whatever stands behind a magic's name is done, or is a usage error; none of it is run but a cell's own code."""
    chance = Chance(data)
    shown: Any = magics.WorkbenchMagics(shell=None)
    name = chance.pick(("agents", "promises", "oplog", "why", "workbench", "forks", "split", "complete"))
    line = chance.pick(("", "--", 'Child("a",0) ', "--status ", "--agent ", "x in ", "x in [1] --", "kind:"))
    line += text_of(chance.rest())
    _session()
    drawn = mock.patch.multiple(magics, display_dashboard=_nothing, dashboard=_nothing, agent_graph=_nothing)
    with drawn, mock.patch.object(nesting, "enable", _nothing), redirected():
        try:
            if name == "split":
                _, expression, options = magics.split_fanout(line)
                assert f"{expression} {options}".split() == line.partition(" in ")[2].split()
            elif name == "complete":
                for magic in ("oplog", "why"):
                    magics._of_an_agent(line, magic)
                for magic in ("agents", "promises", "workbench", "fanout"):
                    magics._options(f"%{magic} {line}", magic)
            else:
                repr(getattr(shown, name)(line))
        except UsageError as error:
            assert str(error)  # noqa: PT017
        except wb.WorkbenchError as error:
            clear(error)


def _nothing(*_: object, **__: object) -> None:
    """In the place of what would draw."""


def commands(data: bytes) -> None:
    """Any words behind `workbench` are done, or end with status 1 or 2 and a word on what was wrong."""
    chance = Chance(data)
    store = _store()
    words = [chance.pick(("agents", "promises", "forks", "oplog", "why", "salvage", "lab", "bench", ""))]
    while chance and len(words) < 8:
        text = text_of(chance.some(chance.number(24)))
        word = chance.pick(("", "--json", "--search", "--status", "--name", "Child()", str(store), "--port", "new.db"))
        words.append(word or as_path(text) or text)
    with (
        tempfile.TemporaryDirectory(dir=memory_folder()) as folder,
        contextlib.chdir(folder),
        mock.patch.object(lab, "_serve", return_value=0),
        mock.patch.object(benching, "run_bench", return_value=0),
        redirected() as (_, told_errors),
    ):
        try:
            status: Any = cli.main(words)
        except SystemExit as ended:
            status = ended.code
    assert status in (0, 1, 2), status
    said = told_errors.getvalue()
    assert "Traceback" not in said
    assert said or not status


@contextlib.contextmanager
def redirected() -> Iterator[tuple[io.TextIOWrapper, io.StringIO]]:
    """What is printed goes nowhere; what is complained about comes in the second."""
    out, complaints = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
        yield out, complaints


@cache
def _store() -> Path:
    """A store at rest that stays for the process's life."""
    path = Path(tempfile.mkdtemp(dir=memory_folder())) / "store.db"
    log = told()[0]
    fuzzed_stores.forge_entries(path, log)
    return path


def page(data: bytes) -> None:
    """Whatever a page sends is answered with JSON, or refused; a page comes with a notebook that anybody made."""
    session, _ = _session()
    tape = _tape()
    chance = Chance(data)
    kind = chance.pick([*Answers._KINDS, *Acts._KINDS, "", "__init__"])
    names = ("slot", "seq", "number", "slots", "search", "after", "count", "index", "verb", "text", "self", "x")
    message = {chance.pick(names): _json(chance, 3) for _ in range(chance.number(4))}
    answers, acts = Answers(session, tape), Acts(session, tape)
    before = session.feed.committed

    def ask() -> None:
        changes = kind in acts and kind != "plan"
        if changes and kind != "complete":
            message["index"] = -1 if isinstance(message.get("index"), int) else message.get("index")
        answer = acts.act(kind, message) if kind in acts else answers.answer(kind, message)
        msgspec.json.encode(answer)

    refusing(ask)
    assert session.feed.committed == before or kind in acts


def _json(chance: Chance, depth: int) -> Any:
    """A value as JSON may hold it."""
    match chance.number(9 if depth else 6):
        case 0 | 1:
            return chance.number(16)
        case 2:
            return chance.pick((-1, 1 << 31, 1 << 53, 1 << 64, 10**30))
        case 3:
            return text_of(chance.some(chance.number(12)))
        case 4:
            return chance.pick((None, True, False, 1.5, -0.0))
        case 5:
            return chance.pick(("index:2..5", 'kind:"', "not (", "{}", "", "fork", "revert"))
        case 6 | 7:
            return [_json(chance, depth - 1) for _ in range(chance.number(4))]
    return {text_of(chance.some(2)): _json(chance, depth - 1) for _ in range(chance.number(3))}


@cache
def _tape() -> Tape:
    session, _ = _session()
    tape = Tape()
    tape.apply(session.feed.read(0))
    return tape


TARGETS: Final[dict[str, Target]] = {
    "codec": codec,
    "records": records,
    "ids": ids,
    "from-elsewhere": from_elsewhere,
    "search": search,
    "lines": lines,
    "commands": commands,
    "page": page,
    "file": fuzzed_stores.file,
    "rows": fuzzed_stores.rows,
    "log": fuzzed_stores.log,
    "start": fuzzed_stores.start,
    "checkpoint": fuzzed_stores.checkpoint,
}
"""By name, as `python -m tests.hostile.fuzz` takes it."""


def seeds(name: str) -> list[bytes]:
    """Inputs that a target reads to the end, to begin with; none for those whose bytes are mere decisions."""
    bodies = [encode_body(entry.body) for entry in _entries()]
    texts = [getattr(entry.body, "agent_id", "") for entry in _entries()]
    found: dict[str, list[bytes]] = {
        "codec": [*SAMPLES, *VALUES],
        "records": [*{body[:2]: body for body in bodies}.values(), *VALUES],
        "ids": [f"{text}{end}".encode() for text in texts for end in ("", "#1f-3/7") if text],
        "search": [written(parse(query)).encode() for query in QUERIES],
    }
    return sorted(set(found.get(name, [b""])))


def run(name: str, data: bytes) -> None:
    """Run a target on an input, within bounds, and without any of what code does that came with the data."""
    with bounded(), listening():
        TARGETS[name](data)


# ---- what nobody may do ----------------------------------------------------------------------------------------------

_FORBIDDEN: Final = frozenset(
    {
        "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pickle.find_class",
        "socket.connect", "socket.bind", "socket.getaddrinfo", "ctypes.dlopen", "sqlite3.enable_load_extension",
        "sqlite3.load_extension", "urllib.Request", "webbrowser.open",
    }
)  # fmt: skip
_heard: list[str] = []
_listening = False


def _listen(event: str, _arguments: object) -> None:
    if _listening and event in _FORBIDDEN:
        _heard.append(event)


@cache
def _hook() -> None:
    """A hook cannot be taken away: it is set once, and listens while a target runs."""
    sys.addaudithook(_listen)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Assert that nothing in the block starts a program, opens a connection, or unpickles what it is given."""
    global _listening  # noqa: PLW0603 - as above
    _hook()
    _heard.clear()
    before, _listening = _listening, True
    try:
        yield
    finally:
        _listening = before
    assert _heard == []
