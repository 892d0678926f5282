"""An agent in memory: its object, its event loop, and the place in its oplog.

Deliveries go in (`deliver`), operations come out (the other public methods, which `client.py`, `promises.py` and others
call for agent code). Nothing else touches it, so it can be thrown away at any time and rebuilt: `replay` gives it the
recorded deliveries again, and each operation is answered from the oplog as long as the oplog lasts, then live.

An operation has two halves. *Replaying*, `_expect` steps over the recorded entry and the method checks that the code
asks for the same. *Live*, the decision is made against the state and appended. Which of the two is decided per
operation, so an oplog that ends in the middle of a run (a fork's, for one) goes on live at that very line.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import Any, Final, NoReturn, TypeVar, cast
from uuid import UUID

from msgspec.structs import replace

from workbench.core import decisions
from workbench.core.lineage import Cursor
from workbench.core.nouns import Agent, Promise
from workbench.errors import (
    DeadlockError,
    DecodingError,
    DivergenceError,
    PromiseNotFound,
    RefusedError,
    StalledError,
    StoreError,
)
from workbench.ids import AgentId, PromiseId
from workbench.model import entries as e
from workbench.model.agent_type import AgentType, MethodType
from workbench.model.codec import NOTHING_KNOWN, KnownTypes, decode, encode
from workbench.model.description import describe
from workbench.model.entries import Body, Entry
from workbench.model.failure import decode_failure, encode_failure, exception_of
from workbench.model.places import place_name
from workbench.runtime.agent_loop import AgentLoop, TimerHandle
from workbench.runtime.blocking import fail, run_blocking
from workbench.runtime.clock import LAST_SECOND
from workbench.runtime.current import calling_line, current
from workbench.runtime.definitions import missing_name
from workbench.runtime.host import Host
from workbench.runtime.pending import Pending
from workbench.runtime.regions import Regions
from workbench.runtime.snapshots import restored, taken
from workbench.runtime.steps import StepWork

_Request = TypeVar("_Request", e.CallMade, e.CallScheduled)

CLEANUP_ROUNDS: Final = 100
"""How often tasks that outlive their invocation are cancelled before the agent counts as stuck."""


class Stopped(BaseException):
    """Raised into agent code that may not go on; not an `Exception`, so that `except Exception` lets it through."""


class RehearsedError(Stopped):
    """A rehearsal has come to the end of the oplog: what the code asks for next would be new."""


class Instance:
    """The live object behind an agent; see the module's text."""

    __slots__ = (
        "agent", "cursor", "draws", "host", "invocation", "loop", "method", "object", "pending", "regions",
        "rehearsing", "resumed", "root", "started", "stopped", "timers", "type", "wall", "work",
    )  # fmt: skip

    def __init__(self, host: Host, agent: Agent, agent_type: AgentType) -> None:
        self.host = host
        self.agent = agent
        self.type = agent_type
        self.loop = AgentLoop(self)  # type: ignore[abstract] # what is missing is refused when it is called
        self.object: object = None
        self.cursor: Cursor | None = None
        self.pending: dict[int, Pending] = {}
        self.timers: dict[int, TimerHandle] = {}
        self.work: dict[int, StepWork] = {}
        self.root: asyncio.Future[Any] | None = None
        self.method: MethodType | None = None
        self.invocation = 0
        self.started = 0
        self.draws = 0
        self.regions: Regions | None = None
        self.wall = 0
        self.resumed: Sequence[tuple[int, int]] = ()
        self.stopped: BaseException | None = None
        self.rehearsing = False

    # ---- deliveries ----------------------------------------------------------------------------------------------

    def replay(
        self,
        oplog: Sequence[Entry],
        forked: Collection[tuple[int, int]] = (),
        resumed: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Rebuild the agent from its oplog; goes on live where the oplog ends in the middle of a run.

        Args:
            oplog: along the agent's lineage, from the beginning or from a snapshot that was restored.
            forked: where the lineage left its sources by `fork()`, see `lineage.forked_at`.
            resumed: indices after which the oplog goes on later, see `lineage.resumptions`, and the time when it did.
        """
        self.resumed = resumed
        cursor = self.cursor = Cursor(oplog, forked)
        while self.stopped is None and (entry := cursor.peek()) is not None:
            if type(entry.body) is not e.InvocationStarted and type(entry.body) not in _DELIVER:
                self._note_divergence(entry, "nothing more", "")
                break
            cursor.take()
            self.deliver(entry)
        self.cursor = None

    def rehearse(
        self, oplog: Sequence[Entry], forked: Collection[tuple[int, int]], resumed: Sequence[tuple[int, int]]
    ) -> BaseException | None:
        """Replay without any effect, also where the oplog ends: None when the code asks for all that it holds."""
        self.rehearsing = True
        self.replay(oplog, forked, resumed)
        return None if isinstance(self.stopped, RehearsedError) else self.stopped

    def restore(self, entry: Entry) -> Exception | None:
        """Begin with the object of a snapshot; the error when that cannot be."""
        try:
            self.object = restored(self.type, self.agent.agent_id, cast("e.SnapshotTaken", entry.body))
        except Exception as error:  # noqa: BLE001 - a loader is user code, and an old snapshot may hold anything
            return error
        return None

    def snapshot(self) -> e.SnapshotTaken | None:
        """The object's state, when the agent is idle; None, with a warning in the log, when it cannot be copied."""
        outer, current.instance = current.instance, None
        try:
            return taken(self.type, self.object)
        finally:
            current.instance = outer

    def deliver(self, entry: Entry) -> None:
        """Give the agent one recorded delivery, and run its code until it is quiet."""
        outer = current.instance
        current.instance = self
        self.wall = entry.wall
        try:
            body = entry.body
            if type(body) is e.InvocationStarted:
                self.invocation, self.draws, self.root = entry.invocation, 0, None
                self.started = entry.index
                self.loop.run_until_quiet(self._begin, body)
            else:
                _DELIVER[type(body)](self, entry, body)
                if self.loop.busy:
                    self.loop.run_until_quiet()
            root = self.root
            if root is not None and self.stopped is None:
                if root.done():
                    self._finish(root)
                elif not self.pending and not self.timers:
                    self._finish(root, self._stalled(root))
        except Stopped:
            pass
        except RecursionError as error:
            self.stopped = self.stopped or error
        except KeyError:
            self._note_divergence(entry, "no such wait", "")
        finally:
            current.instance = outer

    def _begin(self, body: e.InvocationStarted) -> None:
        """The first thing of an invocation: construct the object if there is none yet, and start the method."""
        loop = self.loop
        try:
            if self.object is None or self.type.ephemeral:
                self.object = self.type.construct(self.agent.agent_id)
            method = self.method = self.type.method(body.method)
            value: Any = decode(body.value, method.takes)
            args, kwargs = (value, {}) if type(value) is list else (value["args"], value["kwargs"])
            if method.is_async:
                self.root = loop.create_task(method.function(self.object, *args, **kwargs))
            else:
                self.root = run_blocking(loop, method.function, (self.object, *args), kwargs)
        except Stopped:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a constructor or a decoder raises is the invocation's outcome
            self.root = loop.create_future()
            fail(self.root, error)

    def _on_outcome(self, _entry: Entry, body: e.CallDelivered | e.StepFinished) -> None:
        future = self.pending.pop(body.op)
        self.work.pop(body.op, None)
        future.instance = None
        if body.ok:
            try:
                future.set_result(decode(body.value, future.known))
            except DecodingError as error:
                future.set_exception(error)
        else:
            future.set_exception(exception_of(decode_failure(body.value)))
            future._log_traceback = False  # noqa: SLF001 - a dropped error is no news
        if future.together is not None:
            future.together.member_ended()

    def _on_promise(self, _entry: Entry, body: e.PromiseDelivered) -> None:
        future = self.pending.pop(body.op)
        future.instance = None
        if body.ok:
            future.set_result(body.value)
        else:
            future.set_exception(exception_of(decode_failure(body.value)))
        if future.together is not None:
            future.together.member_ended()

    def _on_timer(self, _entry: Entry, body: e.TimerFired) -> None:
        self.loop.fire(self.timers.pop(body.op))

    def _stalled(self, root: "asyncio.Future[Any]") -> StalledError:
        """The error of a method that waits for nothing that could come: without it the caller would wait for ever."""
        frames = root.get_stack(limit=1) if isinstance(root, asyncio.Task) else []
        line = f"{place_name(frames[0].f_code.co_filename)}:{frames[0].f_lineno}" if frames else ""
        return StalledError(self.agent.text, self.method.name if self.method else "__init__", line)

    def _finish(self, root: "asyncio.Future[Any]", error: StalledError | None = None) -> None:
        """End the invocation: what it left behind is cancelled first, so an idle agent waits for nothing."""
        if root.done() and not root.cancelled() and self.host.names_may_come(self.agent):
            self.stopped = missing_name(root.exception())
            if self.stopped is not None:
                return
        for _ in range(CLEANUP_ROUNDS):
            leftovers = self.loop.leftover_tasks()
            if not leftovers and not self.pending and not self.timers:
                if self.region is None:
                    break
                self._end_regions()
            for task in leftovers:
                task.cancel("the invocation ended")
            for op in sorted(self.pending):
                if future := self.pending.get(op):
                    future.cancel("the invocation ended")
            self.loop.run_until_quiet()
            if not self.loop.leftover_tasks():
                for op in sorted(self.timers):
                    self.timers[op].cancel()
        else:
            message = "a task goes on after its invocation ended, and takes no cancellation"
            raise RecursionError(message)
        if self.stopped is not None:
            return
        self.loop.forget_tasks()  # errors that no code awaited are told now, where a replay still knows that it is one
        ok, value = self._outcome(root, error)
        entry = self._expect(e.InvocationFinished, _end_in_words(ok, value) if self.replaying else "")
        if entry is None:
            self.host.tick()
            self.host.append(self.agent.uid, e.InvocationFinished(ok, value))
        else:
            self._check_outcome(entry, entry.body, ok, value)  # type: ignore[arg-type]
        self.root = None

    def _end_regions(self) -> None:
        """End those that outlive all tasks: of a generator that was never used up."""
        for begun in tuple(self.region.open) if self.region is not None else ():
            self.end_region(begun)
        if self.loop.busy:
            self.loop.run_until_quiet()

    def _outcome(self, root: "asyncio.Future[Any]", stalled: StalledError | None) -> tuple[bool, bytes]:
        method = self.method
        name = method.name if method is not None else "__init__"
        error: BaseException | None
        if stalled is not None:
            error = stalled
        elif root.cancelled():
            error = _cancelled(root)
        else:
            error = root.exception()
            if error is None:
                try:
                    return True, encode(root.result(), method.gives if method else NOTHING_KNOWN, "result")
                except Exception as refused:  # noqa: BLE001 - a value's own methods are user code
                    error = refused
        return False, encode_failure(error, self.agent.text, name)

    def _check_outcome(self, entry: Entry, then: e.InvocationFinished, ok: bool, value: bytes) -> None:  # noqa: FBT001
        same = then.ok == ok and (
            then.value == value if ok else decode_failure(then.value).error_type == decode_failure(value).error_type
        )
        if not same:
            self._diverge(entry, "another result", "")

    # ---- replay --------------------------------------------------------------------------------------------------

    def _expect(self, kind: type[Body], asked: str) -> Entry | None:
        """The recorded entry of the operation that the code asks for, stepped over; None when the code runs live."""
        if self.stopped is not None:
            raise Stopped
        cursor = self.cursor
        if cursor is None:
            return None
        entry = cursor.peek()
        if entry is None:
            if self.rehearsing:
                self.stopped = RehearsedError()
                raise self.stopped
            return None
        if type(entry.body) is not kind:
            self._diverge(entry, asked, calling_line())
        cursor.take()
        return entry

    def _note_divergence(self, entry: Entry, asked: str, line: str) -> None:
        if self.stopped is None:
            self.stopped = DivergenceError(self.agent.text, entry.index, describe(entry.body), asked, entry.line, line)

    def _diverge(self, entry: Entry, asked: str, line: str) -> NoReturn:
        self._note_divergence(entry, asked, line)
        raise Stopped

    @property
    def replaying(self) -> bool:
        """Whether what the code asks for next stands in the oplog."""
        return self.cursor is not None and not self.cursor.live

    @property
    def identity(self) -> Agent:
        """The agent that the code is at this point: before a cut it is still the source."""
        uid = self.cursor.identity if self.cursor is not None else None
        return self.agent if uid is None else self.host.state.agents[uid]

    # ---- operations ----------------------------------------------------------------------------------------------

    def _wait(self, entry: Entry, known: KnownTypes = NOTHING_KNOWN) -> Pending:
        future = Pending(loop=self.loop)
        future.instance, future.op, future.known, future.together = self, entry.index, known, None
        self.pending[entry.index] = future
        if self.regions is not None:
            self.regions.began(entry.index)
        return future

    def call(self, target: AgentId, request: e.CallMade, known: KnownTypes, line: str) -> Pending | None:
        """Call (`request.awaited`) or trigger a method of an agent; the future of a call."""
        asked = f"call {request.target_id}.{request.method}"
        agent = self.agent
        if request.awaited and request.target_id == self.identity.text:
            return self._refuse_self_call(request, line)
        request = self._keyed(request)
        entry = self._expect(e.CallMade, asked)
        if entry is None:
            entry = self.host.make_call(agent.uid, target, request, line)
        else:
            then: Any = entry.body
            now = (request.target_id, request.method, request.value, request.awaited, request.key)
            if (then.target_id, then.method, then.value, then.awaited, then.key) != now:
                what = f"{asked} with other arguments" if (then.target_id, then.method) == now[:2] else asked
                self._diverge(entry, what, line)
        return self._wait(entry, known) if request.awaited else None

    def _refuse_self_call(self, request: e.CallMade, line: str) -> Pending:
        entry = self._expect(e.CallRefused, f"call {request.target_id}.{request.method}")
        error = DeadlockError([(request.target_id, request.method, line)])
        if entry is None:
            failure = encode_failure(error, self.agent.text, self.method.name if self.method else "__init__")
            self.host.append(self.agent.uid, e.CallRefused(request.target_id, request.method, failure), line)
        future = Pending(loop=self.loop)
        future.instance, future.op, future.known, future.together = None, 0, NOTHING_KNOWN, None
        future.set_exception(error)
        return future

    def schedule(self, request: e.CallScheduled, line: str) -> int:
        """Have a method invoked later; the `seq` that names the schedule."""
        request = self._keyed(request)
        asked = f"schedule {request.target_id}.{request.method}"
        entry = self._expect(e.CallScheduled, asked)
        if entry is None:
            return self.host.append(self.agent.uid, request, line).seq
        then: Any = entry.body
        if (then.target_id, then.method, then.value, then.due, then.key) != (
            request.target_id, request.method, request.value, request.due, request.key,
        ):  # fmt: skip
            same = (then.target_id, then.method) == (request.target_id, request.method)
            self._diverge(entry, f"{asked} with other arguments" if same else asked, line)
        return entry.seq

    def cancel_schedule(self, seq: int) -> bool:
        """Take a schedule back; whether it was still pending."""
        entry = self._expect(e.ScheduleCancelled, f"to cancel schedule {seq}")
        region = self.region
        if entry is None:
            uid, draft = decisions.cancel_schedule(self.host.state, seq, self.agent.uid)
            if region is not None and seq in region.undone.cancelled and seq not in region.cancelled:
                draft = replace(draft, again=True)
            entry = self.host.append(uid, draft, calling_line())
        body: Any = entry.body
        if body.schedule != seq:
            self._diverge(entry, f"to cancel schedule {seq}", calling_line())
        if region is not None:
            region.cancelled.add(seq)
        return bool(body.pending or body.again)

    def control(self, verb: str, target_id: str, argument: int, text: str = "") -> Any:
        """Delete, interrupt, resume, revert or fork another agent; the answer.

        Raises:
            UnknownAgentError: no such agent.
            RefusedError: it cannot be done to this agent as it stands.
        """
        asked = f"{verb} {target_id}"
        entry = self._expect(e.ControlMade, asked)
        done = self.region.control(verb, target_id, argument) if self.region is not None else None
        if entry is None:
            try:
                ok, value = done or self.host.control(self.agent, verb, target_id, argument, text)
            except StoreError as error:  # the session ends with it, and the code may make nothing of it
                self.stopped = error
                raise Stopped from error
            body = e.ControlMade(verb, target_id, argument, ok, value)
            entry = self.host.append(self.agent.uid, body, calling_line())
        then: Any = entry.body
        if (then.verb, then.target_id, then.argument) != (verb, target_id, argument):
            self._diverge(entry, asked, calling_line())
        if not then.ok:
            raise exception_of(decode_failure(then.value))
        return decode(then.value, NOTHING_KNOWN)

    def begin_region(self) -> int:
        """Begin an atomic region; the index that names it."""
        entry = self._expect(e.RegionBegun, "an atomic region")
        if entry is None:
            entry = self.host.append(self.agent.uid, e.RegionBegun(), calling_line())
        if self.regions is None:
            self.regions = Regions(self.loop, self._under_way)
        index, began = entry.index, self.started
        name = self.draw("region") if self.region is None else self.region.name
        self.regions.begun(index, name, lambda: self.host.undone_before(self.agent, began, index))
        return index

    def _under_way(self, op: int) -> bool:
        return op in self.pending or op in self.timers

    def end_region(self, begun: int) -> None:
        """End the atomic region that began at this index."""
        if self.stopped is not None or self.regions is None or begun not in self.regions.open:
            return  # what unwinds an agent that was stopped ends nothing
        entry = self._expect(e.RegionEnded, "the end of an atomic region")
        if entry is None:
            self.host.end_region(self.agent, begun, calling_line())
        elif entry.body.op != begun:  # type: ignore[attr-defined]
            self._diverge(entry, "the end of another atomic region", calling_line())
        self.regions.ended(begun)

    def region_turn(self) -> "asyncio.Future[None] | None":
        """See `Regions.turn`."""
        return None if self.regions is None else self.regions.turn()

    @property
    def region(self) -> Regions | None:
        """The atomic regions while one is open at this point of the code, which may be a replayed one."""
        return self.regions if self.regions is not None and self.regions.open else None

    def holds(self, op: int) -> bool:
        """Whether the outcome of what the agent began at this index waits for the end of an atomic region."""
        return self.regions is not None and self.regions.holds(op)

    def _keyed(self, request: _Request) -> _Request:
        """In an atomic region with a key: when the region runs again, the target joins the two by it."""
        region = self.region
        if region is None or request.key is not None:
            return request
        purpose = region.purpose(f"{request.target_id}.{request.method}", request.value)
        return replace(request, key=self.derive(purpose))

    def drop(self, future: Pending) -> None:
        """The code stopped waiting for an operation."""
        del self.pending[future.op]
        self.work.pop(future.op, None)
        self._record_drop(future.op)

    def _record_drop(self, op: int) -> None:
        entry = self._expect(e.WaitDropped, f"to drop what it began at index {op}")
        if entry is None:
            self.host.append_all(decisions.drop_wait(self.host.state, self.agent, op, self.host.watched))
        elif entry.body.op != op:  # type: ignore[attr-defined]
            self._diverge(entry, f"to drop what it began at index {op}", calling_line())

    def create_promise(self) -> PromiseId:
        """Make a promise of this agent."""
        entry = self._expect(e.PromiseCreated, "create_promise")
        task, again = self.region.promise() if self.region is not None else ("", 0)
        if entry is None:
            entry = self.host.append(self.agent.uid, e.PromiseCreated(task, again), calling_line())
        made: Any = entry.body
        owner = self.host.state.agents[entry.agent]
        return PromiseId(owner.text, self.host.incarnation(owner.uid), made.again or entry.index)

    def _promise(self, promise_id: PromiseId, asked: str) -> Promise:
        """The promise that live code names. If there is none, that is recorded: on replay there may be one.

        Raises:
            PromiseNotFound: no promise has this id.
        """
        try:
            return self.host.promise_of(promise_id)
        except PromiseNotFound as error:
            failure = encode_failure(error, self.agent.text, asked)
            self.host.append(self.agent.uid, e.PromiseRefused(str(promise_id), failure), calling_line())
            raise

    def _refused_before(self, promise_id: PromiseId, asked: str) -> PromiseNotFound | None:
        """On replay: the recorded refusal, when this promise did not exist then."""
        entry = self.cursor.peek() if self.cursor is not None and self.stopped is None else None
        if entry is None or not isinstance(entry.body, e.PromiseRefused):
            return None
        if entry.body.promise_id != str(promise_id):
            self._diverge(entry, f"{asked} {promise_id}", calling_line())
        self._expect(e.PromiseRefused, asked)
        return cast("PromiseNotFound", exception_of(decode_failure(entry.body.failure)))

    def await_promise(self, promise_id: PromiseId) -> Pending:
        """Wait for a promise; that there is none is met where the future is awaited."""
        try:
            if refused := self._refused_before(promise_id, "await_promise"):
                raise refused
            return self._await_promise(promise_id)
        except PromiseNotFound as error:  # met where it is awaited, as in a cell
            future = Pending(loop=self.loop)
            future.instance, future.op, future.known, future.together = None, 0, NOTHING_KNOWN, None
            future.set_exception(error)
            return future

    def _await_promise(self, promise_id: PromiseId) -> Pending:
        entry = self._expect(e.PromiseAwaited, f"await_promise {promise_id}")
        if entry is None:
            promise = self._promise(promise_id, "await_promise")
            entry = self.host.append(self.agent.uid, e.PromiseAwaited(promise.owner, promise.index), calling_line())
        elif not self._names(promise_id, entry.body):  # type: ignore[arg-type]
            self._diverge(entry, f"await_promise {promise_id}", calling_line())
        return self._wait(entry)

    def _names(self, promise_id: PromiseId, then: e.PromiseAwaited | e.PromiseCompleted | e.PromiseSeen) -> bool:
        """Whether the code asks for the promise that it asked for then."""
        return promise_id.index == then.promise and promise_id.incarnation == self.host.incarnation(then.owner)

    def complete_promise(self, promise_id: PromiseId, value: bytes) -> bool:
        """Complete a promise; whether this was the first completion."""
        if refused := self._refused_before(promise_id, "complete_promise"):
            raise refused
        entry = self._expect(e.PromiseCompleted, f"complete_promise {promise_id}")
        if entry is None:
            promise = self._promise(promise_id, "complete_promise")
            draft = decisions.complete_promise(promise, self.agent.uid, value)
            if promise.value == value and self._completed_by_undone_run(promise):
                draft = self.agent.uid, e.PromiseCompleted(promise.owner, promise.index, value, first=False, again=True)
            entry = self.host.append(*draft, calling_line())
        body: Any = entry.body
        if not self._names(promise_id, body):
            self._diverge(entry, f"complete_promise {promise_id}", calling_line())
        if self.region is not None:
            self.region.completed.add((body.owner, body.promise))
        answer: bool = body.first or body.again
        if answer and body.value != value:
            self._diverge(entry, f"complete_promise {promise_id} with another payload", calling_line())
        return answer

    def _completed_by_undone_run(self, promise: Promise) -> bool:
        """Whether a run of the open atomic region that a crash undid completed it, and this one has not yet tried."""
        region, name = self.region, (promise.owner, promise.index)
        if region is None or promise.completed_by != self.agent.uid:
            return False
        return name in region.undone.completed and name not in region.completed

    def promise_state(self, promise_id: PromiseId) -> bool:
        """Whether a promise is completed."""
        if refused := self._refused_before(promise_id, "promise_state"):
            raise refused
        entry = self._expect(e.PromiseSeen, f"promise_state {promise_id}")
        if entry is None:
            promise = self._promise(promise_id, "promise_state")
            completed = bool(promise.settled) and not self._completed_by_undone_run(promise)
            body = e.PromiseSeen(promise.owner, promise.index, completed)
            entry = self.host.append(self.agent.uid, body, calling_line())
        seen: Any = entry.body
        if not self._names(promise_id, seen):
            self._diverge(entry, f"promise_state {promise_id}", calling_line())
        return bool(seen.completed)

    def step(self, work: StepWork, known: KnownTypes) -> Pending:
        """Begin a side effect; its intent is committed before it runs."""
        region = self.region
        if region is not None and not work.idempotent:
            raise RefusedError(
                f"step {work.name} in an atomic region of {self.agent.text}",
                "it may not run twice, and the region runs again as a whole when a crash cuts it short",
                "do the step before or after the region",
            )
        entry = self._expect(e.StepStarted, f"step {work.name}")
        task = purpose = ""
        if region is not None:
            task, purpose, work.tries_undone = region.step(work.name)
        live = entry is None
        if entry is None:
            self.host.tick()
            entry = self.host.append(self.agent.uid, e.StepStarted(work.name, work.idempotent, task), calling_line())
        elif entry.body.name != work.name:  # type: ignore[attr-defined]
            self._diverge(entry, f"step {work.name}", calling_line())
        future = self._wait(entry, known)
        work.key = self.derive(purpose or f"step/{entry.index}")
        self.work[entry.index] = work
        if live:
            self.host.start_step(self.agent, entry.index, work)
        return future

    def fork(self) -> tuple[bool, UUID]:
        """Clone this agent at this line: whether this is the fork, and the fork's phantom id."""
        if self.region is not None:
            raise RefusedError(
                f"fork of {self.agent.text}",
                f"the atomic region that began at index {self.region.open[0]} is open",
                "fork before or after the region",
            )
        self.agent.agent_id.with_phantom(UUID(int=0))  # an id that would be too long is refused on replay too
        entry = self._expect(e.ForkMade, "fork")
        if entry is None:
            fork_id = self.agent.agent_id.with_phantom(self.host.new_phantom_id())
            drafts = decisions.fork(self.host.state, self.agent, fork_id)
            entry = self.host.append_all(drafts, calling_line())[0]
            return False, UUID(entry.body.phantom)  # type: ignore[attr-defined]
        forked = self.cursor is not None and self.cursor.is_fork_side(entry)
        return forked, UUID(entry.body.phantom)  # type: ignore[attr-defined]

    def say(self, level: str, message: str) -> None:
        """Record what the code printed or logged, and show it; silent where it was said before."""
        if not message.isascii():
            message = message.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair: a file name, mostly
        if self.stopped is not None or (self.cursor is not None and self.cursor.said_before(level, message)):
            return
        self.host.append(self.agent.uid, e.Logged(level, message), calling_line())
        self.host.say(self.agent, level, message)

    def derive(self, purpose: str) -> str:
        """32 hexadecimal digits that are the same on replay and differ between any two agents, forks included.

        What an agent does anew after it was reverted differs too, but for a region that a crash undid.
        """
        owner = self.identity
        text = f"{self.host.incarnation(owner.uid)}/{self.invocation}/{purpose}"
        if owner.afresh:
            index = self.cursor.index if self.cursor is not None else None
            since = [at for at in owner.afresh if index is None or at < index]
            text += f"/{since[-1]}" if since else ""
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def draw(self, purpose: str) -> str:
        """As `derive`, and new at each call."""
        region = self.region
        if region is not None and region.task():
            return self.derive(region.purpose(purpose))
        self.draws += 1
        return self.derive(f"{purpose}/{self.draws}")

    # ---- timers, for the loop --------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Nanoseconds since the epoch at the delivery that the agent works on.

        Where it goes on later than that, after a revert or as a fork from outside, the time when it did: what begins
        there has its whole time before it.
        """
        wall = self.wall
        for after, since in self.resumed:
            if since > wall and (self.cursor is None or self.cursor.past(after)):
                wall = since
        return wall

    def loop_time(self) -> float:
        """`now`, in seconds."""
        return self.now / 1e9

    def set_timer(self, handle: TimerHandle) -> None:
        """Begin a durable timer that will run the handle."""
        due = round(min(handle.when(), LAST_SECOND) * 1e9)
        entry = self._expect(e.TimerSet, f"a timer due at {due}")
        if entry is None:
            entry = self.host.append(self.agent.uid, e.TimerSet(due), calling_line())
            self.host.arm_timer(self.agent.uid, entry.index, due)
        elif entry.body.due != due:  # type: ignore[attr-defined]
            self._diverge(entry, "a timer due at another time", calling_line())
        handle.op = entry.index
        self.timers[entry.index] = handle
        if self.regions is not None:
            self.regions.began(entry.index)

    def cancel_timer(self, handle: TimerHandle) -> None:
        """Drop the timer of a handle that was cancelled."""
        if self.timers.pop(handle.op, None) is not None and self.stopped is None:
            self._record_drop(handle.op)

    def report(self, context: dict[str, Any]) -> None:
        """Pass on an error that no code awaits; that the agent was stopped is none. Replay has told it before."""
        if self.replaying or isinstance(context.get("exception"), Stopped):
            return
        self.host.complain(self.agent, context)

    def discard(self) -> None:
        """Forget the object and its tasks. The `finally` blocks that Python runs then can do nothing durable."""
        self.stopped, self.rehearsing = self.stopped or Stopped(), False
        for future in self.pending.values():
            future.instance = None
        outer, current.instance = current.instance, self
        try:
            self.loop.abandon()
        finally:
            current.instance = outer


def _cancelled(root: "asyncio.Future[Any]") -> asyncio.CancelledError:
    """The error of a method that was cancelled, with the words that it was given."""
    try:
        root.exception()
    except asyncio.CancelledError as error:
        if error.args:
            return error
    return asyncio.CancelledError("the method was cancelled from inside")


def _end_in_words(ok: bool, value: bytes) -> str:  # noqa: FBT001
    """What the code asks for at its end."""
    if ok:
        return "the end of the invocation"
    failure = decode_failure(value)
    return f"the end of the invocation, with {failure.error_type}: {failure.message:.200}"


_DELIVER: Final[dict[type[Body], Callable[[Instance, Entry, Any], None]]] = {
    e.CallDelivered: Instance._on_outcome,  # noqa: SLF001
    e.StepFinished: Instance._on_outcome,  # noqa: SLF001
    e.PromiseDelivered: Instance._on_promise,  # noqa: SLF001
    e.TimerFired: Instance._on_timer,  # noqa: SLF001
}
