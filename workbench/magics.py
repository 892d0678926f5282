"""The notebook's commands: `%load_ext workbench`, `%agents`, `%oplog`, `%%fanout` and more. Parsing and printing."""

import ast
import keyword
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from workbench.errors import SearchError, UnknownAgentError, WorkbenchError
from workbench.ids import MAX_ID_LENGTH
from workbench.model.agent_type import registry
from workbench.model.entries import KINDS
from workbench.model.fan_out_results import FanOutResults
from workbench.model.places import name_file
from workbench.questions.explanation import Why
from workbench.questions.rows import PROMISE_STATES, STATUSES
from workbench.questions.search import FIELDS, take_word
from workbench.runtime import nesting
from workbench.runtime.jobs import fan_out, observers
from workbench.runtime.opening import default_session, present_session
from workbench.runtime.running import run
from workbench.signs import printable
from workbench.views.tables import Table, agents_table, forks_table, oplog_table, promises_table
from workbench.widgets import deadlocks, progress
from workbench.widgets.show import agent_graph, dashboard, display_dashboard

_T = TypeVar("_T")

_OPTIONS: Final = {
    "workbench": ["status", "dashboard", "graph", "nest"],
    "agents": ["--status", "--type", "--name"],
    "promises": ["--state", "--agent"],
    "fanout": ["--limit", "--into", "--on-error", "--name", "--again"],
}
_CHOICES: Final = {
    "--on-error": ["raise", "collect"],
    "nest": ["on"],
    "--status": list(STATUSES),
    "--state": list(PROMISE_STATES),
}
_OF_AN_AGENT: Final = ("oplog", "why")
"""Magics whose first word is an agent's id."""
_LINES: Final = ("workbench", "agents", "promises", "forks", "timeline", "oplog", "why", "crash")
_FIRST_OPTION: Final = re.compile(r"\s--(?=[^\W\d])")
"""Where the options of a `%%fanout` line may begin, known ones or not."""
_OPENED: Final = re.compile(r"""(--[\w-]+=)?(["'])""")
"""Where a value in quotes begins."""
_WORD: Final = re.compile(r"\S+")


def status_line() -> str:
    """The default session in one line."""
    session = default_session()
    agents = session.agents()
    counts: dict[str, int] = {}
    for agent in agents:
        counts[agent.status] = counts.get(agent.status, 0) + 1
    told = ", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "none yet"
    return f"store {printable(session.path)}; {session.feed.committed:,} entries; {len(agents):,} agents: {told}"


def crash_line() -> str:
    """Have the default session crash and recover; what it recovered."""
    session = default_session()
    session.simulate_crash()
    agents = session.agents()
    busy = [agent.agent_id for agent in agents if agent.method]
    told = ", ".join(map(printable, busy[:3])) + (f" and {len(busy) - 3:,} more" if len(busy) > 3 else "")  # noqa: PLR2004
    goes_on = f"; under way again: {told}" if busy else "; none was under way"
    return f"crashed, and recovered {len(agents):,} agents from {session.feed.committed:,} entries{goes_on}"


def split_agent(line: str, magic: str) -> tuple[str, str]:
    """The agent's id at the beginning of a line, with all that is in its parentheses, and the rest.

    Raises:
        UsageError: there is none.
    """
    line = line.strip()
    try:
        agent, end = take_word(line)
    except WorkbenchError as error:
        raise UsageError(str(error)) from None
    if not agent:
        message = f"write %{magic} AGENT, as %{magic} Worker(7)"
        raise UsageError(message)
    return agent, line[end:].strip()


def split_words(line: str) -> list[str]:
    """The words of a magic's line: an agent's id is one, and so is a value in quotes, which are taken away.

    Quotes inside a word are part of it, as in `Worker("eu")`.

    Raises:
        UsageError: the quotes that a value begins with do not end it.
    """
    words: list[str] = []
    at = 0
    while found := _WORD.search(line, at):
        at = found.start()
        if opened := _OPENED.match(line, at):
            option, quote = opened.groups("")
            value, closed, rest = line[opened.end() :].partition(quote)
            if not closed or rest[:1].strip():
                message = f"{line[at:]!r:.80}: quotes go around a whole value; close them at its end, or use the others"
                raise UsageError(message)
            words.append(option + value)
            at = len(line) - len(rest)
        else:
            end = at + _id_length(line[at : at + MAX_ID_LENGTH])
            if end < found.end() or line[end : end + 1].strip():  # no id, or one with something behind it
                end = found.end()
            words.append(line[at:end])
            at = end
    return words


@magics_class
class WorkbenchMagics(Magics):
    """The magics; each has a plain function behind it."""

    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        default="dashboard",
        choices=["status", "dashboard", "graph", "nest"],
        help="what to show; the dashboard by default",
    )
    @argument(
        "value", nargs="?", choices=["on"], help="for `nest`: let cells call asyncio.run while the kernel's loop runs"
    )
    @line_magic
    def workbench(self, line: str) -> None:
        """Show the default session: its status and its live views."""
        args = _parsed(self.workbench, line)
        if args.action == "nest":
            if args.value != "on":
                message = "write `%workbench nest on`; it cannot be undone without a kernel restart"
                raise UsageError(message)
            print(f"event loops nest now, by {nesting.enable()}")
            return
        if args.value is not None:
            message = f"{args.value!r} is too much; write %workbench {args.action}"
            raise UsageError(message)
        print(status_line())
        if args.action != "status":
            display_dashboard(dashboard() if args.action == "dashboard" else agent_graph())

    @magic_arguments()
    @argument("--status", help="only agents with this status")
    @argument("--type", dest="type_name", help="only agents of this type")
    @argument("--name", help="only agents whose id holds this, or is like it: Worker(*)")
    @line_magic
    def agents(self, line: str) -> Table:
        """List the agents of the default session."""
        args = _parsed(self.agents, line)
        return _read(lambda: agents_table(default_session().agents(args.status, args.type_name, args.name)))

    @magic_arguments()
    @argument("--state", help="only promises in this state: pending or completed")
    @argument("--agent", help="only promises that this agent made, was given or awaits")
    @line_magic
    def promises(self, line: str) -> Table:
        """List the promises of the default session: who waits for them, who could complete them."""
        args = _parsed(self.promises, line)
        return _read(lambda: promises_table(default_session().promises(args.state, args.agent)))

    @magic_arguments()
    @line_magic
    def forks(self, line: str) -> Table:
        """List the forks of the default session, below what they were forked from."""
        _parsed(self.forks, line)
        return _read(lambda: forks_table(default_session().fork_tree()))

    @line_magic
    def oplog(self, line: str) -> Table:
        """List an agent's entries: `%oplog AGENT [query]`, as `%oplog Worker(7) kind:CallMade not "eu west"`."""
        agent, query = split_agent(line, "oplog")
        return _read(lambda: oplog_table(default_session().oplog(agent, query or None)))

    @line_magic
    def why(self, line: str) -> Why:
        """Tell why an agent waits, runs or stands still: `%why AGENT`, as `%why Worker(7)`."""
        agent, rest = split_agent(line, "why")
        if rest:
            message = f"{rest!r} is too much; write %why AGENT"
            raise UsageError(message)
        return _read(lambda: default_session().why(agent))

    @magic_arguments()
    @line_magic
    def timeline(self, line: str) -> None:
        """Show the live timeline of the default session: who did what when, and the messages between agents."""
        _parsed(self.timeline, line)
        display_dashboard(dashboard(panes=("timeline",)))

    @magic_arguments()
    @line_magic
    def crash(self, line: str) -> None:
        """Lose all that a killed kernel would lose, and recover: for lessons."""
        _parsed(self.crash, line)
        print(_read(crash_line))

    @magic_arguments()
    @argument("job", nargs="*", help="VARIABLE in EXPRESSION")
    @argument("--limit", type=int, default=8, help="children at work at the same time")
    @argument("--into", help="variable that gets the results")
    @argument(
        "--on-error",
        choices=["raise", "collect"],
        default="raise",
        help="stop at the first error, or keep partial results",
    )
    @argument("--name", help="a named job is done once: the same cell again joins it")
    @argument("--again", action="store_true", help="run a named job anew")
    @cell_magic
    def fanout(self, line: str, cell: str) -> FanOutResults | None:
        """Run the cell once per item, each in a child agent: `%%fanout region in regions --limit 8 --into reports`."""
        __tracebackhide__ = True  # IPython leaves this frame out of what it shows
        variable, expression, options = split_fanout(line)
        args = _parsed(self.fanout, options)
        if args.into is not None and not _is_name(args.into):
            message = f"--into {args.into}: not a variable's name; write one, as --into reports"
            raise UsageError(message)
        items = self._items(expression)
        body = self._compile(line, cell, variable, args.name or "item")
        result: FanOutResults = run(fan_out(body, items, args.limit, args.on_error, args.name, again=args.again))
        if args.into is None:
            return result
        self._shell.user_ns[args.into] = result
        return None

    @property
    def _shell(self) -> InteractiveShell:
        return cast("InteractiveShell", self.shell)  # it is None only before the shell registers it

    def _items(self, expression: str) -> list[Any]:
        value = self._shell.ev(expression)
        try:
            return list(value)
        except TypeError:
            message = f"%%fanout: {expression} is a {type(value).__name__}, not something to iterate over"
            raise UsageError(message) from None

    def _compile(self, line: str, cell: str, variable: str, name: str) -> Callable[..., Any]:
        """The body as an `async def` of one item, on the cell's own lines, so that a traceback points at the cell."""
        shell = self._shell
        running = shell.displayhook.exec_result  # the shell itself counts on before it runs a cell
        number = getattr(running, "execution_count", None) or shell.execution_count
        filename = shell.compile.cache(f"%%fanout {line}\n{cell}", number)
        body = ast.parse(f"\n{cell}", filename)  # the magic's line is the first
        title = re.sub(r"\W", "_", name)
        title = title if _is_name(title) else f"job_{title}"
        shape = ast.parse(f"async def {title}({variable}): pass", filename)
        function: Any = shape.body[0]
        if body.body:
            function.body = body.body
        space = shell.user_ns
        before = space.get(title, space)
        exec(compile(shape, filename, "exec"), space)  # noqa: S102 - running the cell is what a cell magic is for
        made: Callable[..., Any] = space.pop(title)
        if before is not space:
            space[title] = before
        return made


def _parsed(magic: Callable[..., Any], line: str) -> Any:
    """The arguments on a magic's line.

    Raises:
        UsageError: it does not take these.
    """
    parser: Any = magic.parser  # type: ignore[attr-defined] # `magic_arguments` added it
    args, surplus = parser.parse_known_args(split_words(line))
    surplus = [*(getattr(args, "job", None) or ()), *surplus]  # a job stands before the options, and was taken off
    if surplus:
        name = magic.__name__
        options = [word for word in _OPTIONS.get(name, ()) if word.startswith("--")]
        do = "put a value that has spaces in quotes" if name in _OPTIONS else f"write %{name} alone"
        if options and any(word.startswith("-") for word in surplus):
            do = f"the options are {', '.join(options)}"
        message = f"{' '.join(surplus)!r:.80} is too much; {do}"
        raise UsageError(message)
    return args


def _id_length(text: str) -> int:
    """How long the agent's id is that a text begins with; 0 where it does not read as one."""
    try:
        return take_word(text)[1]
    except WorkbenchError:
        return 0  # a parenthesis or quote that is never closed


def _is_name(text: str) -> bool:
    """Whether a variable can be called so."""
    return text.isidentifier() and not keyword.iskeyword(text)


def _read(look: Callable[[], _T]) -> _T:
    """Look at the session; an agent that there is not, or a query that cannot be read, is one line and no traceback."""
    try:
        return look()
    except (SearchError, UnknownAgentError) as error:
        raise UsageError(str(error)) from None


def split_fanout(line: str) -> tuple[str, str, str]:
    """Variable, expression and options of a `%%fanout` line.

    Raises:
        UsageError: it does not read `VARIABLE in EXPRESSION [options]`.
    """
    usage = (
        "%%fanout VARIABLE in EXPRESSION [--limit N] [--into NAME] [--on-error raise|collect] [--name NAME] [--again]"
    )
    variable, found, rest = line.strip().partition(" in ")
    variable = variable.strip()
    if not found or not _is_name(variable):
        message = f"write {usage}"
        raise UsageError(message)
    for end in [m.start() for m in _FIRST_OPTION.finditer(rest)] + [len(rest)]:
        expression = rest[:end].strip()
        try:
            ast.parse(expression, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # a NUL, half of a pair, too deep for the parser
            continue
        return variable, expression, rest[end:].strip()
    message = f"{rest.strip()!r} holds no expression; write {usage}"
    raise UsageError(message)


def _options(text: str, magic: str) -> tuple[str, list[str]]:
    """The word before the cursor, and the options that begin with it."""
    words = text.split()
    begun = not text[-1:].isspace()
    token = words[-1] if begun else ""
    before = words[-2] if begun else words[-1]
    if magic == "fanout" and not token.startswith("-") and before not in _CHOICES:
        return token, []
    return token, [c for c in _CHOICES.get(before, _OPTIONS[magic]) if c.startswith(token)]


def _of_an_agent(rest: str, magic: str) -> tuple[str, list[str]]:
    """The part before the cursor, and the agents or fields of a query that begin with it."""
    try:
        _, end = take_word(rest)
    except WorkbenchError:
        end = len(rest)  # a parenthesis is still open
    if end == len(rest):
        session = present_session()
        return rest, session.agent_ids(rest) if session is not None else []
    token = "" if rest[-1:].isspace() else rest.rsplit(maxsplit=1)[-1]
    if magic != "oplog":
        return token, []
    kinds = [f"kind:{cls.__name__}" for cls in KINDS.values()] if token.startswith("kind:") else []
    return token, [c for c in (*kinds, *(f"{field}:" for field in FIELDS)) if c.startswith(token) and c != token]


def _make_matcher() -> Callable[..., Any]:
    @context_matcher(identifier="workbench")
    def complete(context: Any) -> dict[str, Any]:
        """Options of the workbench's magics, in the completer."""
        text = context.text_until_cursor.lstrip()
        found = re.match(r"%%?(workbench|agents|promises|oplog|why|fanout)\s+", text)
        if found is None:
            return {"completions": []}
        if found[1] in _OF_AN_AGENT:
            token, choices = _of_an_agent(text[found.end() :], found[1])
        else:
            token, choices = _options(text, found[1])
        return {
            "completions": [SimpleCompletion(c, type="option") for c in choices],
            "suppress": bool(choices),
            "matched_fragment": token,
            "ordered": True,
        }

    return complete


_matcher: Callable[..., Any] | None = None


def cell_name(filename: str) -> str | None:
    """`In[3]` for the file that IPython made up for a cell; None for any other."""
    shell = InteractiveShell.instance() if InteractiveShell.initialized() else None
    name = getattr(shell.compile, "format_code_name", lambda _: None)(filename) if shell is not None else None
    return name[1].strip() if name and name[0] == "Cell" else None


def _cell_begins(_info: object) -> None:
    registry.in_cell = True


def _cell_ended(_result: object) -> None:
    registry.in_cell = False
    for listener in tuple(registry.cell_listeners):
        listener()


_CELLS: Final[dict[str, Callable[[object], None]]] = {"pre_run_cell": _cell_begins, "post_run_cell": _cell_ended}
"""Agents that wait for a class, or for a name, go on when its cell has run."""


def load(shell: InteractiveShell) -> None:
    """`%load_ext workbench`: add all of this, and what cells show by themselves. Starts no session."""
    global _matcher  # noqa: PLW0603 - one shell a process
    shell.register_magics(WorkbenchMagics)
    deadlocks.watch(shell)
    registry.cells_seen = True
    for event, seen in _CELLS.items():
        if seen not in shell.events.callbacks[event]:
            shell.events.register(event, seen)
    if cell_name not in name_file:
        name_file.append(cell_name)
    if progress.observe not in observers:
        observers.append(progress.observe)
    if _matcher is None and getattr(shell, "Completer", None) is not None:
        _matcher = _make_matcher()
        shell.Completer.custom_matchers.append(_matcher)


def unload(shell: InteractiveShell) -> None:
    """`%unload_ext workbench`: take away all that `load` added; sessions and agents go on."""
    global _matcher  # noqa: PLW0603
    for kind, name in (*(("line", line) for line in _LINES), ("cell", "fanout")):
        shell.magics_manager.magics[kind].pop(name, None)
    deadlocks.unwatch(shell)
    registry.in_cell = registry.cells_seen = False
    for event, seen in _CELLS.items():
        if seen in shell.events.callbacks[event]:
            shell.events.unregister(event, seen)
    if cell_name in name_file:
        name_file.remove(cell_name)
    if progress.observe in observers:
        observers.remove(progress.observe)
    if _matcher is not None and _matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(_matcher)
    _matcher = None
