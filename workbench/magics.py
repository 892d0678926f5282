"""The notebook's commands: `%load_ext workbench`, `%workbench`, `%agents`, `%%fanout`. Parsing and printing."""

import ast
import re
from collections.abc import Callable
from html import escape
from typing import Any, Final, cast

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from workbench.model.places import name_file
from workbench.runtime import nesting
from workbench.runtime.jobs import FanOutResults, fan_out, observers
from workbench.runtime.opening import default_session
from workbench.runtime.running import run
from workbench.runtime.session import AgentInfo
from workbench.widgets import progress
from workbench.widgets.show import agent_graph, display_graph

_OPTIONS: Final = {
    "workbench": ["status", "graph", "nest"],
    "agents": ["--status", "--type"],
    "fanout": ["--limit", "--into", "--on-error", "--name", "--again"],
}
_CHOICES: Final = {"--on-error": ["raise", "collect"], "nest": ["on"]}
_FIRST_OPTION: Final = re.compile(r"\s--(?:limit|into|on-error|name|again)\b")
_AGENTS_SHOWN: Final = 200


class Table:
    """Rows for people: as text, and as HTML in which everything is text."""

    def __init__(self, head: tuple[str, ...], rows: list[tuple[object, ...]], note: str = "") -> None:
        self.head, self.rows, self.note = head, rows, note

    def __repr__(self) -> str:
        lines = [self.head, *(tuple(map(str, row)) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*text, self.note] if self.note else text)

    def _repr_html_(self) -> str:
        cell = 'style="text-align:left"'
        head = "".join(f"<th {cell}>{escape(h)}</th>" for h in self.head)
        rows = "".join(f"<tr>{''.join(f'<td {cell}>{escape(str(c))}</td>' for c in row)}</tr>" for row in self.rows)
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"


def agents_table(status: str | None = None, type_name: str | None = None) -> Table:
    """The agents of the default session as a table.

    Args:
        status: only those with this status.
        type_name: only those of this type.
    """

    def wanted(agent: AgentInfo) -> bool:
        return (status is None or agent.status == status) and (
            type_name is None or agent.agent_id.startswith(f"{type_name}(")
        )

    found = [a for a in default_session().agents() if wanted(a)]
    rows: list[tuple[object, ...]] = [
        (a.agent_id, a.status, a.queued, a.finished, a.failed, a.entries, a.forked_from or a.parent)
        for a in found[:_AGENTS_SHOWN]
    ]
    note = f"{len(found)} agents" + (f", the first {_AGENTS_SHOWN} shown" if len(found) > _AGENTS_SHOWN else "")
    return Table(("agent", "status", "queued", "finished", "raised", "entries", "child or fork of"), rows, note)


def status_line() -> str:
    """The default session in one line."""
    session = default_session()
    agents = session.agents()
    counts: dict[str, int] = {}
    for agent in agents:
        counts[agent.status] = counts.get(agent.status, 0) + 1
    told = ", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "none yet"
    return f"store {session.path}; {session.feed.committed:,} entries; {len(agents):,} agents: {told}"


@magics_class
class WorkbenchMagics(Magics):
    """The magics; each has a plain function behind it."""

    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        default="graph",
        choices=["status", "graph", "nest"],
        help="what to do; the live graph by default",
    )
    @argument(
        "value", nargs="?", choices=["on"], help="for `nest`: let cells call asyncio.run while the kernel's loop runs"
    )
    @line_magic
    def workbench(self, line: str) -> None:
        """Show the default session: its status and the live graph of its agents."""
        args = parse_argstring(self.workbench, line)
        if args.action == "nest":
            if args.value != "on":
                message = "write `%workbench nest on`; it cannot be undone without a kernel restart"
                raise UsageError(message)
            print(f"event loops nest now, by {nesting.enable()}")
            return
        print(status_line())
        if args.action == "graph":
            display_graph(agent_graph())

    @magic_arguments()
    @argument("--status", help="only agents with this status")
    @argument("--type", dest="type_name", help="only agents of this type")
    @line_magic
    def agents(self, line: str) -> Table:
        """List the agents of the default session."""
        args = parse_argstring(self.agents, line)
        return agents_table(args.status, args.type_name)

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
        variable, expression, options = split_fanout(line)
        args = parse_argstring(self.fanout, options)
        items = self._items(expression)
        body = self._compile(line, cell, variable, args.name or "item")
        result: FanOutResults = run(fan_out(body, items, args.limit, args.on_error, args.name, again=args.again))
        if args.into is None:
            return result
        if not args.into.isidentifier():
            message = f"--into {args.into}: not a variable's name"
            raise UsageError(message)
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
        filename = shell.compile.cache(f"%%fanout {line}\n{cell}", shell.execution_count)
        body = ast.parse(cell, filename)
        title = re.sub(r"\W", "_", name)
        title = title if title.isidentifier() else f"job_{title}"
        shape = ast.parse(f"async def {title}({variable}): pass", filename)
        function: Any = shape.body[0]
        if body.body:
            ast.increment_lineno(body, 1)  # the magic's line is the first
            function.body = body.body
        space = shell.user_ns
        before = space.get(title, space)
        exec(compile(shape, filename, "exec"), space)  # noqa: S102 - running the cell is what a cell magic is for
        made: Callable[..., Any] = space.pop(title)
        if before is not space:
            space[title] = before
        return made


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
    if not found or not variable.isidentifier():
        message = f"write {usage}"
        raise UsageError(message)
    for end in [m.start() for m in _FIRST_OPTION.finditer(rest)] + [len(rest)]:
        expression = rest[:end].strip()
        try:
            ast.parse(expression, mode="eval")
        except SyntaxError:
            continue
        return variable, expression, rest[end:].strip()
    message = f"{rest.strip()!r} holds no expression; write {usage}"
    raise UsageError(message)


def _make_matcher() -> Callable[..., Any]:
    @context_matcher(identifier="workbench")
    def complete(context: Any) -> dict[str, Any]:
        """Options of the workbench's magics, in the completer."""
        text = context.text_until_cursor.lstrip()
        found = re.match(r"%%?(workbench|agents|fanout)\s", text)
        if found is None:
            return {"completions": []}
        words = text.split()
        token = "" if text.endswith(" ") else words[-1]
        before = words[-1] if text.endswith(" ") else words[-2]
        if found[1] == "fanout" and not token.startswith("-") and before not in _CHOICES:
            return {"completions": []}
        choices = [c for c in _CHOICES.get(before, _OPTIONS[found[1]]) if c.startswith(token)]
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


def load(shell: InteractiveShell) -> None:
    """`%load_ext workbench`: add the magics, their completion, and progress lines for jobs. Starts no session."""
    global _matcher  # noqa: PLW0603 - one shell a process
    shell.register_magics(WorkbenchMagics)
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
    for kind, name in (("line", "workbench"), ("line", "agents"), ("cell", "fanout")):
        shell.magics_manager.magics[kind].pop(name, None)
    if cell_name in name_file:
        name_file.remove(cell_name)
    if progress.observe in observers:
        observers.remove(progress.observe)
    if _matcher is not None and _matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(_matcher)
    _matcher = None
