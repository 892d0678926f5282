"""The notebook's commands, without a notebook: parsing, completion, and what those that look show."""

from __future__ import annotations

import atexit
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import workbench as wb
from workbench.magics import _LINES, WorkbenchMagics, _make_matcher, split_agent, split_fanout, split_words
from workbench.model.agent_type import registry
from workbench.runtime.opening import present_session
from workbench.testing import SimulatedClock
from workbench.views.tables import Table


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('region in ["eu", "us"]', ("region", '["eu", "us"]', "")),
        ("x in range(10) --limit 4", ("x", "range(10)", "--limit 4")),
        ("x in xs --limit 4 --into ys --on-error collect", ("x", "xs", "--limit 4 --into ys --on-error collect")),
        ('x in ["a --limit 3", "b"] --limit 2', ("x", '["a --limit 3", "b"]', "--limit 2")),
        ("x in [y for y in ys if y in zs] --again", ("x", "[y for y in ys if y in zs]", "--again")),
        ("  x   in   {1, 2}  ", ("x", "{1, 2}", "")),
        ("x in a - -b --name n", ("x", "a - -b", "--name n")),
        ('x in f("a --b", [c --d]) --2 --frob 3', ("x", 'f("a --b", [c --d]) --2', "--frob 3")),
    ],
)
def test_a_fanout_line_is_split(line: str, parts: tuple[str, str, str]) -> None:
    """Variable, expression and options are told apart, also when the expression holds words that look like options."""
    assert split_fanout(line) == parts


@pytest.mark.parametrize(
    "line",
    ["", "x", "x of xs", "x in", "x in --limit 3", "1x in xs", "x.y in xs", "x in [1, 2", "in in in", "class in xs"],
)
def test_a_wrong_fanout_line_is_a_usage_error(line: str) -> None:
    """The error is one line that says how to write it."""
    with pytest.raises(UsageError, match="VARIABLE in EXPRESSION") as caught:
        split_fanout(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--name W(*)", ["--name", "W(*)"]),
        ('--name "W(*)"', ["--name", "W(*)"]),
        ("--name='my job' --again", ["--name=my job", "--again"]),
        ("""--name "it's" --into 'a "b"'""", ["--name", "it's", "--into", 'a "b"']),
        ('--agent W("eu  west",[1, 2]) --state pending', ["--agent", 'W("eu  west",[1, 2])', "--state", "pending"]),
        ("""--agent='W("eu")' x""", ['--agent=W("eu")', "x"]),
        ('--agent=W("eu west")', ['--agent=W("eu west")']),
        ('--name W( it"s (x) W(")x" b', ["--name", "W(", 'it"s', "(x)", 'W(")x"', "b"]),
        ("--name ''  ", ["--name", ""]),
        ("", []),
    ],
)
def test_a_line_is_split_into_words(line: str, words: list[str]) -> None:
    """Quotes around a whole value are taken away, those inside stay, and an agent's id is one word."""
    assert split_words(line) == words


@pytest.mark.parametrize("line", ['--name "x', "--name='x", '--agent "W("eu")"', '"a"b'])
def test_quotes_that_do_not_end_the_value(line: str) -> None:
    """Quotes that begin a value and are not closed at its end are a usage error of one line."""
    with pytest.raises(UsageError, match="quotes go around a whole value") as caught:
        split_words(line)
    assert "\n" not in str(caught.value)


def test_a_table_shows_markup_as_text() -> None:
    """Cells come from agents: in HTML they are escaped, in text they are as they are."""
    evil = "</td><img src=x onerror=alert(1)>"
    table = Table(("agent",), [(evil,)], note=evil)
    assert "<img" not in table._repr_html_()
    assert evil in repr(table)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("Worker(7)", ("Worker(7)", "")),
        (
            '  Worker("eu west",[1, 2])[0b0c]   kind:CallMade "a b" ',
            ('Worker("eu west",[1, 2])[0b0c]', 'kind:CallMade "a b"'),
        ),
    ],
)
def test_the_agent_of_a_line(line: str, parts: tuple[str, str]) -> None:
    """An agent's id is taken whole, with the spaces and quotes in its parentheses; the rest is the query."""
    assert split_agent(line, "oplog") == parts


@pytest.mark.parametrize("line", ["", "  ", '"x"', "Worker("])
def test_a_line_without_an_agent(line: str) -> None:
    """A line that does not begin with an id is a usage error of one line."""
    with pytest.raises(UsageError) as caught:
        split_agent(line, "oplog")
    assert "\n" not in str(caught.value)


@pytest.fixture
def session() -> Iterator[wb.Session]:
    """The default session, with an agent that was called, one that waits, and a fork."""
    before = dict(registry._types)

    @wb.agent
    class Worker:
        def __init__(self, name: str) -> None: ...

        def process(self, what: str) -> str:
            return what

        async def wait(self, promise: wb.PromiseId) -> None:
            await wb.await_promise(promise)

        async def split(self) -> str:
            return type(wb.fork()).__name__

    get: Any = Worker.get  # type: ignore[attr-defined] # added by the decorator
    with wb.start(":memory:", clock=SimulatedClock()) as opened:
        wb.run(get("eu west").process("<b>"))
        get("b").wait.trigger(wb.create_promise())
        wb.run(get("c").split())
        wb.run(opened.at_rest())
        yield opened
    registry._types.clear()
    registry._types.update(before)


@pytest.fixture
def magics() -> Any:
    """The magics, without a shell."""
    return WorkbenchMagics(shell=None)


def test_tables_of_the_default_session(session: wb.Session, magics: Any) -> None:
    """`%agents`, `%promises`, `%forks` and `%oplog` show tables, as text and as HTML in which all is text."""
    assert magics.agents("").note == "4 agents"
    assert magics.agents("--status suspended --name WORKER*").note == "1 agent"
    assert magics.promises("").note == "1 promise"
    assert magics.promises('--state pending --agent Worker("b")').note == "1 promise"
    assert magics.promises('--agent Worker("eu west")').note == "0 promises"
    assert magics.promises("""--state "pending" --agent 'Worker("b")'""").note == "1 promise"
    assert magics.agents("""--status "suspended" --name 'WORKER("b*'""").note == "1 agent"
    assert "└" in repr(magics.forks(""))
    oplog = magics.oplog('Worker("eu west")')
    assert oplog.note == "3 entries"
    assert "<b>" in repr(oplog)
    assert "<b>" not in oplog._repr_html_()
    assert magics.oplog('Worker("eu west") kind:InvocationFinished "<b>"').note == "1 entry"


def test_why_of_the_default_session(session: wb.Session, magics: Any) -> None:
    """`%why` shows the answer of `session.why`."""
    assert 'Worker("b")' in str(magics.why('Worker("b")'))
    with pytest.raises(UsageError, match="too much"):
        magics.why('Worker("b") now')


@pytest.mark.parametrize("line", ["Worker(404)", 'Worker("b") kind:Nonsense', 'Worker("b") (', "nonsense"])
def test_what_cannot_be_shown(session: wb.Session, magics: Any, line: str) -> None:
    """An unknown agent and a wrong query are a line that says so, and no traceback."""
    with pytest.raises(UsageError):
        magics.oplog(line)


def test_promises_of_an_unknown_agent(session: wb.Session, magics: Any) -> None:
    """`%promises --agent` of an agent that is not there says what `%why` says of it."""
    with pytest.raises(UsageError, match="no agent Worker") as told:
        magics.why("Worker(99)")
    with pytest.raises(UsageError) as caught:
        magics.promises("--agent Worker(99)")
    assert str(caught.value) == str(told.value)
    assert magics.promises("--agent Session()").note == "1 promise"


@pytest.mark.parametrize(
    ("magic", "line"),
    [
        ("crash", "now"),
        ("forks", "now --deep"),
        ("timeline", "now"),
        ("agents", "--name Worker now"),
        ("promises", "now"),
        ("workbench", "status on"),
        ("workbench", "status status"),
    ],
)
def test_words_that_a_magic_does_not_take(session: wb.Session, magics: Any, magic: str, line: str) -> None:
    """They are refused, and nothing is done."""
    before = session.feed.committed
    with pytest.raises(UsageError, match=r"is too much|invalid choice"):
        getattr(magics, magic)(line)
    assert session.feed.committed == before


@pytest.fixture
def shell(session: wb.Session) -> Iterator[Any]:
    """A shell of its own, which leaves nothing behind."""
    kind: Any = InteractiveShell
    made = kind(config=Config({"HistoryManager": {"enabled": False}}))
    made.register_magics(WorkbenchMagics)
    yield made
    made.cleanup()
    made.atexit_operations()
    atexit.unregister(made.atexit_operations)


def test_names_of_fanouts(session: wb.Session, shell: Any) -> None:
    """A job's name may stand in quotes, with spaces in it; the items reach Python as they are."""
    found = shell.run_cell_magic("fanout", """x in ["a b", 'c']   --name 'my job' --into "got\"""", "return x")
    assert found is None
    assert list(shell.user_ns["got"]) == ["a b", "c"]
    assert [agent.agent_id for agent in session.agents(name="my?job(*)")] == ['my_job("my job")']
    assert list(shell.run_cell_magic("fanout", "x in [1] --name class", "return x")) == [1]


def test_a_fanouts_error_names_its_cell_and_line(session: wb.Session, shell: Any) -> None:
    """An error of the body is told at the number of the cell that it stands in, and at its line in that cell."""
    shell.run_cell("1", store_history=True)
    raised = shell.run_cell("%%fanout x in [1]\na = 1\nreturn a / 0", store_history=True)
    found = re.search(r'"<ipython-input-(\d+)-\w+>", line (\d+)', str(raised.error_in_exec))
    assert found is not None
    assert found.groups() == ("2", "3")
    refused = shell.run_cell("%%fanout x in [1]\na = 1\nreturn 1 1", store_history=True).error_in_exec
    assert isinstance(refused, SyntaxError)
    assert refused.lineno == 3
    assert "<ipython-input-3-" in str(refused.filename)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--name nightly eu", "'eu' is too much"),
        ("--limit 2 eu --name us", "'eu' is too much"),
        ("--again --nam eu --more", "'--more' is too much; the options are --limit, --into,"),
        ("--frob", "'--frob' is too much; the options are"),
        ("--frob 3 --limit 2", "'3 --frob' is too much; the options are"),
        ("--into 1a", "--into 1a: not a variable's name"),
        ("--into class", "--into class: not a variable's name"),
    ],
)
def test_a_fanout_that_is_refused(session: wb.Session, shell: Any, options: str, told: str) -> None:
    """Words that it does not take, and a result that no variable could hold, are refused before anything runs."""
    before = session.feed.committed
    ran: list[int] = []
    shell.user_ns["ran"] = ran
    with pytest.raises(UsageError, match=told):
        shell.run_cell_magic("fanout", f"x in [ran.append(1)] {options}", "return x")
    assert ran == []
    assert session.feed.committed == before


def test_crash_says_what_it_recovered(session: wb.Session, magics: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`%crash` loses what was not committed, recovers, and tells what goes on."""
    before = session.feed.committed
    magics.crash("")
    said = capsys.readouterr().out
    assert f'recovered 4 agents from {before + 1} entries; under way again: Worker("b")' in said
    assert session.agents()[0].finished == 1


def completions(text: str) -> tuple[str, list[str]]:
    """What is offered for a text before the cursor, and for which part of it."""
    found = _make_matcher()(SimpleNamespace(text_until_cursor=text))
    return found.get("matched_fragment", ""), [c.text for c in found["completions"]]


def test_agents_are_completed(session: wb.Session) -> None:
    """After `%oplog` and `%why` come the ids of agents, spaces in them and all; after the agent, parts of a query."""
    assert completions("%oplog Work")[1] == session.agent_ids("Work")
    assert completions('%why Worker("e') == ('Worker("e', ['Worker("eu west")'])
    assert completions('%oplog Worker("eu w') == ('Worker("eu w', ['Worker("eu west")'])
    assert completions("%oplog Nobody") == ("Nobody", [])
    assert "kind:" in completions('%oplog Worker("eu west") ')[1]
    assert completions('%oplog Worker("eu west") x met') == ("met", ["method:"])
    assert completions('%oplog Worker("eu west") kind:CallM') == ("kind:CallM", ["kind:CallMade"])
    assert completions('%why Worker("eu west") ') == ("", [])


def test_options_are_completed(session: wb.Session) -> None:
    """Options and their words are offered for each magic that has any."""
    assert completions("%promises --s") == ("--s", ["--state"])
    assert completions("%promises --state ") == ("", ["pending", "completed"])
    assert "suspended" in completions("%agents --status ")[1]
    assert completions("%agents --na") == ("--na", ["--name"])
    assert completions("%%fanout x in xs --li") == ("--li", ["--limit"])
    assert completions("x = 1") == ("", [])


def test_completion_starts_no_session() -> None:
    """Where there is no session yet, nothing is offered and none is started."""
    assert present_session() is None
    assert completions("%oplog W") == ("W", [])
    assert present_session() is None


def test_every_line_magic_is_taken_away_again() -> None:
    """What `%unload_ext` removes is what `%load_ext` added."""
    assert set(WorkbenchMagics.magics["line"]) == set(_LINES)
