# ruff: noqa: D103 - the functions that steps run
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Steps that fail: how often they are tried, when, what the log says, and what a crash or an interrupt changes."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies, kinds, until
from workbench.model import entries as e
from workbench.model.failure import decode_failure
from workbench.runtime.steps import THREADS

ran: list[Any] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    ran.clear()


class Flaky:
    """A function that fails so many times before it returns; counts its runs in `ran`."""

    def __init__(self, failures: int, error: Callable[[], BaseException] = lambda: OSError("not yet")) -> None:
        self.failures, self.error = failures, error

    def __call__(self, value: str = "done") -> str:
        ran.append(value)
        if len(ran) <= self.failures:
            raise self.error()
        return value


@wb.agent
class Tryer:
    """Runs one step with what the test says."""

    async def run(self) -> Any:
        return await wb.step(options["fn"], **{k: v for k, v in options.items() if k != "fn"})

    async def caught(self) -> str:
        try:
            return str(await self.run())
        except Exception as error:  # noqa: BLE001 - that is the claim
            return error.error_type if isinstance(error, wb.InvocationError) else type(error).__name__


options: dict[str, Any] = {}


def use(fn: Any, **more: Any) -> None:
    """Have `Tryer` run this; under one name, so that its oplog fits whatever is used when it is rebuilt."""
    fn.__qualname__ = "used"
    options.clear()
    options.update(fn=fn, **more)


def waits(session: wb.Session, agent: str = "Tryer()") -> list[float]:
    """Seconds between each failure and the next try, as recorded."""
    return [(x.body.due - x.wall) / 1e9 for x in entries(session, agent) if isinstance(x.body, e.StepRetried)]


def entries(session: wb.Session, agent: str) -> list[e.Entry]:
    uid = session.thread.state.by_id[agent]
    return [x for x in session._log.read() if x.agent == uid]


def finished(session: wb.Session, agent: str = "Tryer()") -> list[tuple[bool, int]]:
    """How each step ended, and how many tries it took."""
    return [(x.body.ok, x.body.attempts) for x in entries(session, agent) if isinstance(x.body, e.StepFinished)]


# ---- the policy ------------------------------------------------------------------------------------------------------


def test_three_tries_by_default(either: wb.Session) -> None:
    """A step that fails twice is tried three times, 100 and 300 ms apart with up to 15 % on top, and succeeds."""
    use(Flaky(2))
    assert wb.run(Tryer.get().run(), PATIENCE) == "done"
    assert len(ran) == 3
    first, second = waits(either)
    assert 0.1 <= first <= 0.115
    assert 0.3 <= second <= 0.345
    assert finished(either) == [(True, 3)]


def test_the_log_of_a_retry(session: wb.Session) -> None:
    """Each failure is recorded with its error and the next time; each further try is on disk before it runs."""
    use(Flaky(1))
    wb.run(Tryer.get().run(), PATIENCE)
    assert kinds(session, "Tryer()")[2:6] == ["StepStarted", "StepRetried", "StepRestarted", "StepFinished"]
    (retried,) = bodies(session, "Tryer()", e.StepRetried)
    assert isinstance(retried, e.StepRetried)
    assert retried.attempts == 1
    assert decode_failure(retried.failure).message == "not yet"
    began, ended = (x for x in entries(session, "Tryer()") if isinstance(x.body, e.StepRestarted | e.StepFinished))
    assert began.wall == ended.wall == retried.due


def test_the_last_error_is_the_steps(session: wb.Session) -> None:
    """When no try is left, the await raises what the last one raised."""
    use(Flaky(9, lambda: OSError(f"try {len(ran)}")))
    with pytest.raises(OSError, match="try 3"):
        wb.run(Tryer.get().run(), PATIENCE)
    assert len(ran) == 3
    assert finished(session) == [(False, 3)]


@pytest.mark.parametrize(("retry", "tries"), [(1, 1), (5, 5), (wb.Retry.never(), 1), (wb.Retry(attempts=2), 2)])
def test_the_number_of_tries(session: wb.Session, retry: Any, tries: int) -> None:
    """`retry=` is the number of tries, the first one included, or a policy."""
    use(Flaky(99), retry=retry)
    assert wb.run(Tryer.get().caught(), PATIENCE) == "OSError"
    assert len(ran) == tries


def test_no_limit(session: wb.Session) -> None:
    """`attempts=None` tries until it succeeds; the wait stops growing at the cap."""
    use(Flaky(40), retry=wb.Retry(attempts=None, jitter=0))
    assert wb.run(Tryer.get().run(), PATIENCE) == "done"
    assert waits(session) == pytest.approx([0.1, 0.3, 0.9, *[1.0] * 37])
    assert finished(session) == [(True, 41)]


def test_fixed_waits(session: wb.Session) -> None:
    """`Retry.fixed` waits the same each time, also more than the default cap."""
    use(Flaky(3), retry=wb.Retry.fixed(30, attempts=4))
    assert wb.run(Tryer.get().run(), PATIENCE) == "done"
    assert waits(session) == [30.0, 30.0, 30.0]


def test_jitter_differs_between_steps(session: wb.Session) -> None:
    """Steps that fail together come back at different moments."""

    @wb.agent
    class Herd:
        async def run(self) -> None:
            await wb.join([wb.step(Flaky(99), f"{n}", retry=2) for n in range(8)], return_exceptions=True)

    wb.run(Herd.get().run(), PATIENCE)
    assert len({round(wait, 9) for wait in waits(session, "Herd()")}) == 8


class WorthyError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@pytest.mark.parametrize(
    ("when", "error", "tries"),
    [
        (OSError, OSError, 3),
        (OSError, ConnectionError, 3),
        (OSError, KeyError, 1),
        ((KeyError, OSError), KeyError, 3),
        ((), KeyError, 1),
        (lambda error: error.code == 503, lambda: WorthyError(503), 3),
        (lambda error: error.code == 503, lambda: WorthyError(404), 1),
    ],
)
def test_which_errors_are_worth_a_try(session: wb.Session, when: Any, error: Any, tries: int) -> None:
    """`when=` names exception classes, or is asked with the error itself."""
    use(Flaky(99, error), retry=wb.Retry(when=when))
    wb.run(Tryer.get().caught(), PATIENCE)
    assert len(ran) == tries


def test_a_when_that_raises(session: wb.Session) -> None:
    """An error in `when` ends the step with that error; the one it was asked about is in the traceback."""
    use(Flaky(99), retry=wb.Retry(when=lambda error: error.code))  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="not yet"):
        wb.run(Tryer.get().run(), PATIENCE)
    assert len(ran) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"retry": 0},
        {"retry": True},
        {"retry": "twice"},
        {"retry": 1.5},
        {"timeout": 0},
        {"timeout": -1},
    ],
)
def test_options_that_make_no_sense(session: wb.Session, bad: dict[str, Any]) -> None:
    """An option that can mean nothing is refused where it is written."""
    with pytest.raises(wb.AgentTypeError):
        wb.step(str, **bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"attempts": 0},
        {"attempts": True},
        {"delay": -1},
        {"delay": float("nan")},
        {"factor": 0.5},
        {"cap": float("inf")},
        {"jitter": "much"},
        {"when": 5},
        {"when": (OSError, str)},
    ],
)
def test_policies_that_make_no_sense(bad: dict[str, Any]) -> None:
    """A policy that can mean nothing is refused where it is made."""
    with pytest.raises(wb.AgentTypeError):
        wb.Retry(**bad)


def test_coroutines_are_tried_again(session: wb.Session) -> None:
    """What holds for plain functions holds for coroutine functions."""

    async def flaky() -> str:
        await asyncio.sleep(0)
        return Flaky(2)("async")

    use(flaky)
    assert wb.run(Tryer.get().run(), PATIENCE) == "async"
    assert finished(session) == [(True, 3)]


# ---- what is not tried again -----------------------------------------------------------------------------------------


def exits() -> None:
    ran.append(1)
    raise SystemExit(3)


async def exits_later() -> None:
    ran.append(1)
    raise SystemExit(3)


async def cancels() -> None:
    ran.append(1)
    raise asyncio.CancelledError


def lock() -> Any:
    ran.append(1)
    return threading.Lock()


@pytest.mark.parametrize("fn", [exits, exits_later, cancels, lock])
def test_what_is_not_tried_again(session: wb.Session, fn: Callable[[], Any]) -> None:
    """`sys.exit()`, a cancellation, and a result that cannot be recorded are the end: another try would not help."""
    use(fn, retry=5)
    wb.run(Tryer.get().caught(), PATIENCE)
    assert len(ran) == 1
    assert finished(session) == [(False, 1)]


def test_an_exit_in_a_steps_own_task_ends_nothing_else(session: wb.Session, caplog: Any) -> None:
    """A task that an async step leaves behind may raise `SystemExit`: the session goes on, and the log tells."""

    async def leave() -> None:
        raise SystemExit(3)

    async def begins() -> None:
        left.append(asyncio.create_task(leave()))
        await asyncio.sleep(0)

    left: list[asyncio.Task[None]] = []
    use(begins)
    wb.run(Tryer.get().caught(), PATIENCE)
    session.agents()
    assert "SystemExit(3)" in caplog.text
    assert isinstance(left[0].exception(), SystemExit)


def test_a_policy_that_exits_is_the_steps_failure(session: wb.Session) -> None:
    """`sys.exit()` in the function of `when=` ends the step, and nothing else."""

    def when(_error: BaseException) -> bool:
        raise SystemExit(4)

    use(Flaky(5), retry=wb.Retry(when=when))
    assert wb.run(Tryer.get().caught(), PATIENCE) == "SystemExit"
    assert len(ran) == 1


def test_a_step_that_may_not_run_twice_is_tried_once(session: wb.Session) -> None:
    """With `idempotent=False` an error is final, because the function may have raised after it took effect."""
    use(Flaky(1), idempotent=False)
    assert wb.run(Tryer.get().caught(), PATIENCE) == "OSError"
    assert len(ran) == 1


def test_unless_it_is_asked_for(session: wb.Session) -> None:
    """With `idempotent=False` and an explicit `retry=`, an error is tried again: it is a known outcome."""
    use(Flaky(1), idempotent=False, retry=wb.Retry(when=OSError))
    assert wb.run(Tryer.get().run(), PATIENCE) == "done"
    assert len(ran) == 2


# ---- time limits -----------------------------------------------------------------------------------------------------


def test_a_thread_that_takes_too_long(session: wb.Session) -> None:
    """A plain function is timed too: each try ends with `TimeoutError`, and what it comes to later is not heard."""
    release = threading.Event()

    def slow() -> str:
        ran.append(1)
        release.wait(PATIENCE)
        return "late"

    use(slow, timeout=0.02, retry=2)
    with pytest.raises(TimeoutError, match="did not end within"):
        wb.run(Tryer.get().run(), PATIENCE)
    assert len(ran) == 2
    release.set()
    use(Flaky(0))
    ran.clear()
    assert wb.run(Tryer.new_phantom().run(), PATIENCE) == "done"
    assert finished(session) == [(False, 2)]


def test_a_try_in_time_after_one_that_was_not(session: wb.Session) -> None:
    """A timeout is tried again like another error, and the next try's result counts."""
    release = threading.Event()

    def slow_once() -> int:
        ran.append(1)
        if len(ran) == 1:
            release.wait(PATIENCE)
        return len(ran)

    use(slow_once, timeout=0.05)
    assert wb.run(Tryer.get().run(), PATIENCE) == 2
    release.set()


def test_threads_are_used_again(session: wb.Session) -> None:
    """Steps one after the other need few threads, many at once no more than the limit."""

    @wb.agent
    class Counting:
        async def run(self) -> list[int]:
            def name() -> str:
                return threading.current_thread().name

            one = {await wb.step(name) for _ in range(20)}
            many = await wb.join([wb.step(name) for _ in range(200)])
            return [len(one), len(set(many))]

    one, many = wb.run(Counting.get().run(), PATIENCE)
    assert one <= 5  # the next step may come before a thread is back
    assert many <= THREADS


def test_threads_that_hang_take_no_place(session: wb.Session) -> None:
    """However many functions hang for ever, once they are timed out others find a thread."""
    release = threading.Event()

    @wb.agent
    class Many:
        async def run(self) -> list[Any]:
            hung = [wb.step(release.wait, PATIENCE, timeout=0.01, retry=1) for _ in range(40)]
            outcomes = await wb.join(hung, return_exceptions=True)
            return [sum(isinstance(o, TimeoutError) for o in outcomes), await wb.step(str, "free")]

    assert wb.run(Many.get().run(), PATIENCE) == [40, "free"]
    release.set()


def test_the_limit_counts_from_when_it_runs(session: wb.Session) -> None:
    """Waiting for a thread is not part of a try: a queue longer than the limit times nobody out."""
    never = threading.Event()

    @wb.agent
    class Queue:
        async def run(self) -> list[bool]:
            before = [wb.step(never.wait, 0.1) for _ in range(THREADS)]
            return await wb.join([*before, wb.step(bool, 1, timeout=0.05)])

    assert wb.run(Queue.get().run(), PATIENCE)[-1] is True


def test_a_coroutine_that_takes_too_long(session: wb.Session) -> None:
    """A coroutine is cancelled at its limit, cleans up, and is tried again; a `TimeoutError` of its own is its own."""

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ran.append("cleaned up")

    async def own() -> None:
        raise TimeoutError("my own")

    use(slow, timeout=0.01, retry=2)
    with pytest.raises(TimeoutError, match="did not end within"):
        wb.run(Tryer.get().run(), PATIENCE)
    assert ran == ["cleaned up"] * 2
    use(own, timeout=10)
    with pytest.raises(TimeoutError, match="my own"):
        wb.run(Tryer.new_phantom().run(), PATIENCE)


def test_out_of_time_and_not_idempotent(session: wb.Session) -> None:
    """A step that may not run twice is not tried again when its time is over, whatever `retry` says: it may go on."""
    release = threading.Event()

    def slow() -> None:
        ran.append(1)
        release.wait(PATIENCE)

    use(slow, timeout=0.01, retry=5, idempotent=False)
    assert wb.run(Tryer.get().caught(), PATIENCE) == "TimeoutError"
    assert len(ran) == 1
    release.set()


# ---- keys and awaitables ---------------------------------------------------------------------------------------------


def test_a_step_knows_its_key(either: wb.Session) -> None:
    """`wb.idempotency_key()` in the function of a step is the same at each try, and another in each step."""
    keys: list[str] = []

    def note() -> None:
        keys.append(wb.idempotency_key())
        keys.append(wb.idempotency_key())
        if len(keys) < 4:
            raise OSError

    async def note_async() -> None:
        keys.append(wb.idempotency_key())

    @wb.agent
    class Keys:
        async def run(self) -> str:
            await wb.step(note)
            await wb.step(note_async)
            return wb.idempotency_key()

    keys.append(wb.run(Keys.get().run(), PATIENCE))
    assert keys[0] == keys[1] == keys[2] == keys[3]
    assert len(set(keys)) == 3


def test_the_key_outlives_a_crash(either: wb.Session) -> None:
    """A step that runs again after a crash has the key that it had."""
    release, keys = threading.Event(), []

    def note() -> None:
        keys.append(wb.idempotency_key())
        release.wait(PATIENCE)

    @wb.agent
    class Keeper:
        async def run(self) -> None:
            await wb.step(note)

    Keeper.get().run.trigger()
    until(lambda: len(keys) == 1)
    either.simulate_crash()
    until(lambda: len(keys) == 2)
    release.set()
    wb.run(either.at_rest(), PATIENCE)
    assert len(set(keys)) == 1


def test_a_function_that_gives_a_coroutine(session: wb.Session) -> None:
    """`wb.step(lambda: fetch(url))` awaits what the function gives, on the session's loop, with its key and limit."""
    keys: list[str] = []

    async def fetch(url: str) -> str:
        keys.append(wb.idempotency_key())
        await asyncio.sleep(0)
        if url == "never":
            await asyncio.Event().wait()
        return f"page {url}"

    use(lambda: fetch("a"))
    assert wb.run(Tryer.get().run(), PATIENCE) == "page a"
    use(lambda: fetch("never"), timeout=0.01, retry=2)
    with pytest.raises(TimeoutError):
        wb.run(Tryer.get().run(), PATIENCE)
    assert len(keys) == 3
    assert len(set(keys)) == 2


# ---- status, crashes, interrupts, forks ------------------------------------------------------------------------------


@wb.agent
class Patient:
    """Its step fails until the test says otherwise; it waits for an hour in between."""

    async def run(self) -> Any:
        return await wb.step(attempt, retry=wb.Retry.fixed(3600))

    async def other(self) -> str:
        return "idle"


gate: dict[str, threading.Event] = {}


def attempt() -> int:
    ran.append(1)
    if "fail" in gate:
        raise OSError("not yet")
    if "block" in gate:
        gate["block"].wait(PATIENCE)
    return len(ran)


@pytest.fixture
def real(opened: Callable[..., wb.Session], tmp_path: Any) -> wb.Session:
    """A session in real time, so that a wait of an hour does not pass."""
    gate.clear()
    return opened(str(tmp_path / "store.db"))


def until_retrying(session: wb.Session) -> None:
    until(lambda: wb.run(Patient.get().status()) == "retrying")


def timers(session: wb.Session) -> int:
    """How many timers are armed."""
    armed: int = session.thread.ask(lambda: len(session.thread.timers._armed)).result()
    return armed


def test_status_between_tries(session: wb.Session) -> None:
    """An agent whose step waits for its next try is `retrying`; while a try runs it is `running`."""
    seen: list[str] = []

    def look() -> None:
        seen.append(status())
        if len(seen) == 1:
            raise OSError

    def status() -> str:
        found: str = wb.run(Tryer.get().status())
        return found

    use(look)
    wb.run(Tryer.get().run(), PATIENCE)
    assert seen == ["running", "running"]


def test_a_wait_survives_a_crash(real: wb.Session) -> None:
    """A crash between two tries runs nothing: the wait goes on, and the tries made count."""
    gate["fail"] = threading.Event()
    Patient.get().run.trigger()
    until_retrying(real)
    due = waits_until(real)
    real.simulate_crash()
    assert wb.run(Patient.get().status()) == "retrying"
    assert (len(ran), timers(real), waits_until(real)) == (1, 1, due)
    hurry(real)
    until(lambda: len(bodies(real, "Patient()", e.StepRetried)) == 2)
    gate.clear()
    hurry(real)
    assert wb.run(real.result("Patient()"), PATIENCE) == 3
    assert finished(real, "Patient()") == [(True, 3)]


def waits_until(session: wb.Session) -> int:
    """When the next try is due."""
    return [x.body.due for x in entries(session, "Patient()") if isinstance(x.body, e.StepRetried)][-1]


def hurry(session: wb.Session) -> None:
    """Let an hour pass."""
    thread = session.thread

    def fire() -> None:
        thread.timers.fire_due(thread.clock.wall() + 4000 * 10**9)

    thread.ask(fire).result()


def test_a_wait_survives_closing(opened: Callable[..., wb.Session], tmp_path: Any) -> None:
    """A session that is closed between two tries goes on with the wait when the store is opened again."""
    gate.clear()
    gate["fail"] = threading.Event()
    first = opened(str(tmp_path / "store.db"))
    Patient.get().run.trigger()
    until_retrying(first)
    due = waits_until(first)
    first.close()
    gate.clear()
    second = opened(str(tmp_path / "store.db"))
    assert (wb.run(Patient.get().status()), timers(second), waits_until(second)) == ("retrying", 1, due)
    hurry(second)
    assert wb.run(second.result("Patient()"), PATIENCE) == 2


def test_a_try_cut_short_by_a_crash_runs_again_and_counts(either: wb.Session) -> None:
    """The second try is under way when the process dies: it runs again, and `attempts` tells of all three."""
    release, block = threading.Event(), threading.Event()

    def work() -> int:
        ran.append(1)
        if len(ran) == 1:
            raise OSError
        if len(ran) == 2:
            block.set()
            release.wait(PATIENCE)
        return len(ran)

    use(work)
    Tryer.get().run.trigger()
    block.wait(PATIENCE)
    either.simulate_crash()
    assert wb.run(either.result("Tryer()"), PATIENCE) == 3
    release.set()
    assert finished(either) == [(True, 3)]
    assert kinds(either, "Tryer()").count("StepRestarted") == 2


def test_a_try_cut_short_that_may_not_run_twice(either: wb.Session) -> None:
    """With `idempotent=False` a try under way at a crash ends as unknown, also one that was a retry."""
    release, block = threading.Event(), threading.Event()

    def work() -> int:
        ran.append(1)
        if len(ran) == 1:
            raise OSError
        block.set()
        release.wait(PATIENCE)
        return len(ran)

    use(work, idempotent=False, retry=5)
    Tryer.get().caught.trigger()
    block.wait(PATIENCE)
    either.simulate_crash()
    assert wb.run(either.result("Tryer()"), PATIENCE) == "OutcomeUnknown"
    release.set()
    assert len(ran) == 2
    assert finished(either) == [(False, 2)]


def test_a_wait_of_a_step_that_may_not_run_twice_goes_on(real: wb.Session) -> None:
    """Between two tries nothing is unknown: after a crash the next one comes, also with `idempotent=False`."""
    done: list[int] = []

    def work() -> int:
        done.append(1)
        if len(done) == 1:
            raise OSError
        return len(done)

    use(work, idempotent=False, retry=wb.Retry.fixed(3600))
    Tryer.get().caught.trigger()
    until(lambda: wb.run(Tryer.get().status()) == "retrying")
    real.simulate_crash()
    hurry(real)
    assert wb.run(real.result("Tryer()"), PATIENCE) == "2"


def test_interrupted_between_tries(real: wb.Session) -> None:
    """An interrupt stops the wait; a resume arms it again with the time it had."""
    gate["fail"] = threading.Event()
    Patient.get().run.trigger()
    until_retrying(real)
    due = waits_until(real)
    assert wb.run(Patient.get().interrupt())
    assert timers(real) == 0
    assert wb.run(Patient.get().status()) == "interrupted"
    assert wb.run(Patient.get().resume())
    assert (wb.run(Patient.get().status()), timers(real), waits_until(real)) == ("retrying", 1, due)
    gate.clear()
    hurry(real)
    assert wb.run(real.result("Patient()"), PATIENCE) == 2


def test_interrupted_in_a_try(real: wb.Session) -> None:
    """An interrupt gives a try up; a resume begins it again, and it counts as one more."""
    gate["block"] = threading.Event()
    Patient.get().run.trigger()
    until(lambda: len(ran) == 1)
    wb.run(Patient.get().interrupt())
    wb.run(Patient.get().resume())
    until(lambda: len(ran) == 2)
    gate["block"].set()
    assert wb.run(real.result("Patient()"), PATIENCE) == 2
    assert finished(real, "Patient()") == [(True, 2)]


def test_deleted_between_tries(real: wb.Session) -> None:
    """Deleting an agent whose step waits leaves nothing armed, and the function never runs again."""
    gate["fail"] = threading.Event()
    Patient.get().run.trigger()
    until_retrying(real)
    wb.run(Patient.get().delete())
    assert timers(real) == 0
    hurry(real)
    wb.run(real.at_rest(), PATIENCE)
    assert len(ran) == 1


def test_given_up_between_tries(session: wb.Session) -> None:
    """A step that the code no longer waits for is not tried again."""

    @wb.agent
    class Hasty:
        async def run(self) -> str:
            try:
                async with asyncio.timeout(0.05):
                    await wb.step(Flaky(99))
            except TimeoutError:
                return "gave up"
            return "nothing"

    assert wb.run(Hasty.get().run(), PATIENCE) == "gave up"
    wb.run(session.at_rest(), PATIENCE)
    assert len(ran) == 1
    assert timers(session) == 0


def test_a_fork_between_tries(session: wb.Session) -> None:
    """A fork made while a step waits for its next try gets the same outcome; there is one further try, not two."""

    @wb.agent
    class Splitter:
        async def run(self) -> list[str]:
            step = asyncio.ensure_future(wb.step(Flaky(1)))
            await asyncio.sleep(0.05)
            side = type(wb.fork()).__name__
            return [side, await step]

    assert wb.run(Splitter.get().run(), PATIENCE) == ["Original", "done"]
    (fork,) = [a.agent_id for a in session.agents() if a.forked_from]
    assert wb.run(session.result(fork), PATIENCE) == ["Forked", "done"]
    assert len(ran) == 2


def test_a_fork_whose_original_gave_up(session: wb.Session) -> None:
    """The fork's wait for the next try is its own: the original dropping the step does not end it."""

    @wb.agent
    class Quitter:
        async def run(self) -> str:
            step = asyncio.ensure_future(wb.step(Flaky(1)))
            await asyncio.sleep(0.05)
            if isinstance(wb.fork(), wb.Original):
                step.cancel()
                return "quit"
            return str(await step)

    assert wb.run(Quitter.get().run(), PATIENCE) == "quit"
    (fork,) = [a.agent_id for a in session.agents() if a.forked_from]
    assert wb.run(session.result(fork), PATIENCE) == "done"
    assert len(ran) == 2


def test_replay_steps_over_retries(either: wb.Session) -> None:
    """An agent with retried steps in its past is rebuilt without running anything."""
    use(Flaky(2))
    wb.run(Tryer.get().run(), PATIENCE)
    either.simulate_crash()
    assert wb.run(either.result("Tryer()")) == "done"
    use(Flaky(0))
    assert wb.run(Tryer.get().run(), PATIENCE) == "done"
    assert len(ran) == 4
