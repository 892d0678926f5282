"""Fan-out jobs in one line: `await wb.fan_out(measure, files, limit=8)`.

A job is an agent, and the items' agents are its children, so a job is as durable as everything else. For a plain
function an agent type is made that bears the function's name: the job is `measure("files")`, its children are phantoms
of it. For a method of an agent class the children are phantoms of that class. The job's type is registered by the cell
that runs it; after a kernel restart an unfinished job waits, visibly, until that cell has run again.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from msgspec.structs import replace

from workbench.errors import AgentTypeError, InvocationError, JobConflictError, UnknownAgentError
from workbench.ids import AgentId
from workbench.model.agent_type import AgentType, MethodType, registry, takes_and_gives
from workbench.model.codec import decode, encode
from workbench.model.failure import Failure, exception_of, failure_of
from workbench.model.fan_out_results import FanOutResults
from workbench.runtime.agent import new_phantom_id
from workbench.runtime.client import Client, Method, check_text
from workbench.runtime.current import current
from workbench.runtime.joins import bounded, check_limit
from workbench.runtime.opening import default_session
from workbench.runtime.session import Session

UNNAMED: Final = "once"
"""Stands for the name of a job that was given none; the job is then a phantom."""
FIRST_RUN: Final = "run-1"
"""Key of a job's first run; the later ones count on."""
LABEL_LENGTH: Final = 40
"""Characters of an item's text that are shown with its agent."""


class JobView(NamedTuple):
    """What an observer of a job is told when it begins."""

    session: Session
    agent_id: str
    title: str
    items: int


class Observer(Protocol):
    """Shows a job's progress; what it returns is called when the cell no longer waits."""

    def __call__(self, job: JobView) -> Callable[[BaseException | None], None]:
        """The job begins."""


observers: Final[list[Observer]] = []
"""Who shows the progress of jobs that cells wait for. The notebook extension adds itself here."""


async def fan_out(
    fn_or_method: Callable[..., Any] | Method,
    items: Iterable[Any],
    limit: int = 8,
    on_error: str = "raise",
    name: str | None = None,
    *,
    again: bool = False,
) -> FanOutResults:
    """Run one child agent per item, at most `limit` at the same time, and collect what they return.

    Args:
        fn_or_method: a function of one item (`async def` or `def`); or a method of an agent class, whose constructor
            then takes nothing or the item's number, or the item itself if the method takes nothing; or a method of one
            client.
        items: what to fan out over; taken whole at the start.
        limit: children at work at the same time.
        on_error: `"raise"`: the first error is raised at once and what has not started is dropped; `"collect"`: all
            run, and errors stand in their places.
        name: a named job is done once: the same call again re-attaches to it, also after an interrupt or a killed
            kernel, and returns the recorded result.
        again: run a named job anew.

    Returns:
        the results in the order of the items.

    Raises:
        InvocationError: a child raised, and `on_error` is `"raise"`.
        JobConflictError: a job of this name was run over other items.
        AgentTypeError: the function or an option does not fit.
        EncodingError: an item cannot be copied.
    """
    __tracebackhide__ = True  # IPython leaves this frame out of what it shows
    body = _body(fn_or_method)
    listed = list(items)
    if on_error not in ("raise", "collect"):
        raise AgentTypeError(f"on_error={on_error!r}", "errors are raised or collected", 'pass "raise" or "collect"')
    check_limit(limit, "at least one child must be at work")
    if name is not None:
        check_text("name", name)
    encode(listed, body.takes, "items")
    job_type = _job_type(body)
    job_id = job_type.agent_id((name or UNNAMED, *body.client), {})
    if name is None:
        job_id = job_id.with_phantom(new_phantom_id())
    key, note = (FIRST_RUN, "") if name is None else _key(job_id, listed, body, again=again)
    call = Client(job_type, job_id).run.with_options(key=key, label=name or body.title)(
        listed, limit, on_error == "collect"
    )
    if current.instance is not None:
        current.instance.host.bind_job(job_id.text, job_type)
        return _results(listed, await call, note)
    thread = default_session().thread
    thread.enter(lambda: thread.engine.bind_job(job_id.text, job_type))
    finishers = [
        observe(JobView(default_session(), job_id.text, name or body.title, len(listed))) for observe in observers
    ]
    error: BaseException | None = None
    try:
        return _results(listed, await call, note)
    except BaseException as raised:
        error = raised
        raise
    finally:
        for finish in finishers:
            finish(error)


def _results(items: list[Any], outcomes: list[Any], note: str) -> FanOutResults:
    """What the job returned, with its errors made exceptions again; a single one under `raised` is, with the note."""
    found = [o[0] if len(o) == 1 else exception_of(_failure(o[1])) for o in outcomes]
    if len(outcomes) == 1 and len(outcomes[0]) == 3:  # noqa: PLR2004 - [None, failure, "raised"]: the job ended early
        if note:
            found[0].add_note(note)
        raise found[0]
    return FanOutResults(items, found)


def _failure(fields: list[Any]) -> Failure:
    agent_id, method, kind, message, trace, own, parts, base, *rest = fields
    return Failure(agent_id, method, kind, message, trace, own, [_failure(p) for p in parts], base, *rest)


def _fields(failure: Failure) -> list[Any]:
    f = failure
    parts = [_fields(p) for p in f.parts]
    return [f.agent_id, f.method, f.error_type, f.message, f.traceback, f.fields, parts, f.base, f.args]


def _key(job_id: AgentId, items: list[Any], body: "_Body", *, again: bool) -> tuple[str, str]:
    """The key of the run to join or to begin, and what to say of its error if it is joined; the newest run counts."""
    found = _newest_run(job_id.text)
    if found is None:
        return FIRST_RUN, ""
    key, args = found
    number = int(key.rpartition("-")[2])
    if again:
        return f"run-{number + 1}", ""
    then: Any = decode(args, body.takes)
    if encode(then[0], body.takes) != encode(items, body.takes):
        raise JobConflictError(
            f"the job {job_id} was run over other items ({len(then[0])} then, {len(items)} now)",
            "a named job is done once",
            "run it anew with again=True (--again), or give it another name",
        )
    return key, f"The job {job_id} was run before: this is its recorded outcome. Run it anew with again=True (--again)."


def _newest_run(job_id: str) -> tuple[str, bytes] | None:
    """Key and encoded arguments of a job's newest run; an agent's question is recorded with the answer."""
    if current.instance is None:
        return default_session().newest_run(job_id)
    try:
        found: tuple[str, bytes] | None = current.instance.control("newest_run", job_id, 0)
    except UnknownAgentError:
        return None
    return found


class _Body(NamedTuple):
    """What a job does for one item."""

    title: str
    type_name: str
    takes: Any
    gives: Any
    child: Callable[[int, Any], Method] | None
    """Given the item's number and the item: the method to call; None for a plain function."""
    passes_item: bool
    function: Callable[..., Any] | None
    """A plain function as a method of the job's own type."""
    client: tuple[str, ...] = ()
    """The id of the one agent whose method it is: jobs of other agents' methods are other jobs."""


def _body(target: Any) -> _Body:
    if isinstance(target, Method):
        return _of_client(target)
    found = _method_of_class(target)
    if found is not None:
        return _of_class(*found)
    if not callable(target) or isinstance(target, type):
        raise AgentTypeError(
            f"{target!r:.80} cannot be fanned out", "it is no function", "pass a function of one item, or Worker.method"
        )
    raw = getattr(target, "__name__", type(target).__name__)
    title = "item" if raw == "<lambda>" else re.sub(r"\W", "_", raw)
    method = _item_method(title, target)
    return _Body(title, title, method.takes, method.gives, None, passes_item=True, function=method.function)


def _method_of_class(target: Any) -> tuple[AgentType, MethodType] | None:
    owner = getattr(target, "__qualname__", "").rpartition(".")[0].rpartition(".")[2]
    agent_type = registry.find(owner) if owner else None
    if agent_type is None:
        return None
    method = agent_type.methods.get(getattr(target, "__name__", ""))
    return (agent_type, method) if method is not None and method.function is target else None


def _of_client(target: Method) -> _Body:
    method = target.method_type
    name = f"FanOut_{method.owner}_{method.name}"
    return _Body(
        f"{method.owner}.{method.name}",
        name,
        method.takes,
        method.gives,
        lambda _number, _item: target,
        passes_item=True,
        function=None,
        client=(target.agent_id.text,),
    )


def _of_class(agent_type: AgentType, method: MethodType) -> _Body:
    takes_item = method.at_most > 0
    if agent_type.required > 1:
        raise AgentTypeError(
            f"{agent_type.name} needs {agent_type.required} constructor parameters",
            "a fan-out can give it the item's number or the item, which is one",
            f"pass a function: async def one(item): return await {agent_type.name}.get(...).{method.name}(item)",
        )

    def child(number: int, item: Any) -> Method:
        args = () if agent_type.required == 0 else (number,) if takes_item else (item,)
        agent_id = agent_type.agent_id(args, {}).with_phantom(new_phantom_id())
        made: Method = getattr(Client(agent_type, agent_id), method.name)
        return made

    name = f"FanOut_{agent_type.name}_{method.name}"
    return _Body(f"{agent_type.name}.{method.name}", name, method.takes, method.gives, child, takes_item, None)


def _item_method(title: str, function: Callable[..., Any]) -> MethodType:
    """The function as a method of one item; its own annotations count."""
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise AgentTypeError(
            f"{title} cannot be fanned out",
            f"it cannot be called with one item ({error})",
            "pass a function of one item",
        ) from None
    method = MethodType(title, title, _as_method(function))
    method.takes, method.gives = takes_and_gives(_annotated(function))
    return method


def _annotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that was written, whose annotations count."""
    while isinstance(function, functools.partial):
        function = function.func
    written = hasattr(function, "__code__") or hasattr(function, "__wrapped__")
    return function if written else type(function).__call__


def _as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with `self` before the item."""
    if inspect.iscoroutinefunction(function):

        async def run_item(self: Any, item: Any) -> Any:  # noqa: ARG001 - agents' methods have it
            return await function(item)

        return run_item

    def call_item(self: Any, item: Any) -> Any:  # noqa: ARG001
        return function(item)

    return call_item


def _job_type(body: _Body) -> AgentType:
    """The job's agent type; registered anew at each use, so that the newest function counts for new children."""
    child, passes_item = body.child, body.passes_item

    class Job:
        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self, items: list, limit: int, collect: bool) -> list:  # type: ignore[type-arg] # noqa: FBT001
            """Fan out, and return an outcome per item: `[result]`, or `[None, failure]`."""

            async def one(numbered: tuple[int, Any]) -> list[Any]:
                number, item = numbered
                method = child(number, item) if child is not None else own_child(self.name)
                call = method.with_options(label=label_of(item))
                return [await (call(item) if passes_item else call())]

            try:
                outcomes = await bounded(one, list(enumerate(items)), limit, return_exceptions=collect)
            except Exception as error:  # noqa: BLE001 - goes to the cell as it is, not as an error of the job
                return [[None, _fields(_as_failure(error, type_name)), "raised"]]
            return [[None, _fields(_as_failure(o, type_name))] if isinstance(o, Exception) else o for o in outcomes]

    def of_client(self: Any, name: str, client: str) -> None:  # noqa: ARG001 - it is a part of the job's id
        self.name = name

    if body.client:
        Job.__init__ = of_client  # type: ignore[assignment, method-assign]
    type_name = body.type_name
    if body.function is not None:
        Job.item = body.function  # type: ignore[attr-defined]
    Job.__name__ = Job.__qualname__ = type_name
    agent_type = AgentType(Job)
    agent_type.job = True
    for method in agent_type.methods.values():
        method.takes, method.gives = body.takes, body.gives

    def own_child(name: str) -> Method:
        agent_id = agent_type.agent_id((name,), {}).with_phantom(new_phantom_id())
        made: Method = Client(agent_type, agent_id).item
        return made

    registry.add(agent_type)  # last: a job that waited for its type may begin at once
    return agent_type


def _as_failure(error: Exception, type_name: str) -> Failure:
    """What a child raised, as the child told it: the job that passes it on adds nothing."""
    if not isinstance(error, InvocationError):
        return failure_of(error, type_name, "run")
    told = failure_of(error, error.agent_id, error.method)
    return told if isinstance(error, ExceptionGroup) else replace(told, traceback=error.remote_traceback)


def label_of(item: Any) -> str:
    """An item's text, short enough to stand beside its agent."""
    try:
        text = item if isinstance(item, str) and item.strip() else repr(item)
        text = text.encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - an item's __repr__ is user code
        text = type(item).__name__
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH // 2 - 1]}…{text[-LABEL_LENGTH // 2 :]}"
