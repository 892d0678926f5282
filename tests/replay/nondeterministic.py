# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Agents that read something outside their oplog, one kind each, and one beside them that does not."""

from __future__ import annotations

import asyncio
import enum
import functools
import gc
import os
import random
import secrets
import sys
import threading
import time
import uuid
import warnings
import weakref
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import workbench as wb
from workbench.testing import SimulatedClock
from workbench.testing.channel import Channel

WORDS = [f"word {n}" for n in range(12)]
ERRORS = [
    ValueError, TypeError, KeyError, IndexError, OSError, ArithmeticError, ZeroDivisionError, OverflowError,
    AttributeError, NameError, RuntimeError, TimeoutError,
]  # fmt: skip
calls_in_this_process = 0
settings: dict[str, Any] = {"mode": "one"}
rates = {"eur": 1}
fetched: dict[str, int] = {}
gate = threading.Event()


class Colour(enum.Enum):
    """Members hash by their names."""

    RED = 1
    GREEN = 2
    BLUE = 3
    GREY = 4
    PINK = 5
    TEAL = 6


class Config:
    """One for the whole process."""

    instance: ClassVar[Config]

    def __init__(self, retries: int) -> None:
        self.retries = retries


class Thing:
    """Something that can die."""


pool: weakref.WeakValueDictionary[str, Thing] = weakref.WeakValueDictionary()


@functools.lru_cache
def rate(currency: str) -> int:
    """A rate, looked up once a process."""
    return rates[currency]


def counting() -> Callable[[], int]:
    """A function that remembers how often it was called."""
    count = 0

    def call() -> int:
        nonlocal count
        count += 1
        return count

    return call


count_calls = counting()


def remember(word: str, into: list[str] = []) -> int:  # noqa: B006 - that is the fault
    """How many words there are by now."""
    into.append(word)
    return len(into)


@wb.agent
class Echo:
    def __init__(self, name: str) -> None:
        self.heard: list[Any] = []

    async def hear(self, word: Any) -> Any:
        self.heard.append(word)
        return word

    async def promise(self) -> wb.PromiseId:
        return wb.create_promise()


@wb.agent
class Good:
    def __init__(self) -> None:
        self.total = 0

    async def add(self, x: int) -> int:
        self.total += await Echo.get("good").hear(x)
        return self.total


class Bad:
    """One agent for each kind; `kind` is a method's name too."""

    heard_by_all: ClassVar[list[str]] = []

    def __init__(self, kind: str) -> None:
        self.kind = kind

    async def act(self) -> Any:
        return await getattr(self, f"_{self.kind}")()

    async def still_there(self) -> str:
        return self.kind

    async def _set_of_text(self) -> list[Any]:
        return await wb.join([Echo.get("set").hear(word) for word in set(WORDS)])

    async def _frozenset_targets(self) -> list[Any]:
        return [await Echo.get(word).hear(1) for word in frozenset(WORDS)]

    async def _hash_of_text(self) -> Any:
        return await Echo.get("hash").hear(hash("some text"))

    async def _wall_clock(self) -> Any:
        return await Echo.get("time").hear(time.time_ns())

    async def _random_module(self) -> Any:
        return await Echo.get("random").hear(random.random())  # noqa: S311

    async def _uuid_module(self) -> Any:
        return await Echo.get("uuid").hear(str(uuid.uuid4()))

    async def _process_id(self) -> Any:
        return await Echo.get("process").hear(os.getpid())

    async def _global_count(self) -> Any:
        global calls_in_this_process  # noqa: PLW0603 - that is the fault
        calls_in_this_process += 1
        if calls_in_this_process == 1:
            return await Echo.get("global").hear("first")
        return wb.create_promise().index

    async def _environment(self) -> Any:
        return await Echo.get(os.environ["WB_RUN"]).hear("same")

    async def _result_only(self) -> Any:
        return os.environ["WB_RUN"]

    async def _step_or_not(self) -> Any:
        if os.environ["WB_RUN"] == "one":
            return await wb.step(len, "abc")
        return await Echo.get("no step").hear(3)

    async def _sleep_of_chance(self) -> None:
        await asyncio.sleep(random.random() + 1)  # noqa: S311

    async def _payload(self) -> bool:
        return wb.complete_promise(wb.create_promise(), os.environ["WB_RUN"])

    async def _promises_awaited_in_any_order(self) -> list[bytes]:
        made = [await Echo.get(f"awaited {word}").promise() for word in WORDS]
        for promise in made:
            wb.complete_promise(promise, promise.agent)
        return [await wb.await_promise(promise) for promise in set(made)]

    async def _promises_completed_in_any_order(self) -> list[bool]:
        made = [await Echo.get(f"completed {word}").promise() for word in WORDS]
        return [wb.complete_promise(promise, b"done") for promise in set(made)]

    async def _promises_seen_in_any_order(self) -> list[str]:
        made = [await Echo.get(f"seen {word}").promise() for word in WORDS]
        return [wb.promise_state(promise) for promise in set(made)]

    async def _fork_or_not(self) -> str:
        if os.environ["WB_RUN"] == "one" and isinstance(wb.fork(), wb.Forked):
            return "forked"
        return "original"

    async def _raises_or_not(self) -> None:
        if os.environ["WB_RUN"] == "one":
            raise ValueError("only once")

    # ---- clocks, chance and ids

    async def _now(self) -> Any:
        return await Echo.get("now").hear(datetime.now().isoformat())  # noqa: DTZ005

    async def _today_in_this_zone(self) -> Any:
        return await Echo.get("zone").hear(datetime.fromtimestamp(0).isoformat())  # noqa: DTZ006

    async def _age_of_the_day(self) -> Any:
        since = datetime.now() - datetime.combine(date.today(), datetime.min.time())  # noqa: DTZ005, DTZ011
        return await Echo.get("day").hear(since.total_seconds())

    async def _stopwatch(self) -> Any:
        begun = time.perf_counter()
        return await Echo.get("stopwatch").hear(time.perf_counter() - begun)

    async def _monotonic_timeout(self) -> None:
        await asyncio.sleep(1 + time.monotonic() % 1)

    async def _secret(self) -> Any:
        return await Echo.get("secret").hear(secrets.token_hex(8))

    async def _random_bytes(self) -> Any:
        return await Echo.get("bytes").hear(os.urandom(8))

    async def _system_random(self) -> Any:
        return await Echo.get("system").hear(random.SystemRandom().random())

    async def _shuffled(self) -> Any:
        words = list(WORDS)
        random.shuffle(words)
        return await wb.join([Echo.get("shuffled").hear(word) for word in words])

    async def _uuid_of_the_host(self) -> Any:
        return await Echo.get("uuid1").hear(str(uuid.uuid1()))

    # ---- addresses and orders

    async def _address(self) -> Any:
        return await Echo.get("address").hear(id(self))

    async def _hash_of_an_object(self) -> Any:
        return await Echo.get("object").hear(hash(Thing()))

    async def _sorted_by_hash(self) -> Any:
        return await Echo.get("sorted").hear(sorted(WORDS, key=hash))

    async def _dict_from_a_set(self) -> Any:
        lengths = {word: len(word) for word in set(WORDS)}
        return await Echo.get("dict").hear(lengths)

    async def _list_filled_from_a_set(self) -> Any:
        words = []
        for word in set(WORDS):
            words.append(word)  # noqa: PERF402 - as people write it
        return await Echo.get("list").hear(words)

    async def _any_of_a_set(self) -> Any:
        return await Echo.get("any").hear(set(WORDS).pop())

    async def _text_of_a_set(self) -> Any:
        return await Echo.get("text").hear(", ".join(set(WORDS)))

    async def _set_of_enum_members(self) -> Any:
        return await Echo.get("enum").hear([colour.name for colour in set(Colour)])

    async def _common_keys(self) -> Any:
        common = dict.fromkeys(WORDS, 1).keys() & dict.fromkeys(WORDS, 2).keys()
        return [await Echo.get("keys").hear(word) for word in common]

    async def _order_of_exceptions(self) -> None:
        for word in set(WORDS):
            raise ERRORS[WORDS.index(word)](word)

    # ---- files, threads, the process

    async def _file_content(self) -> Any:
        return await Echo.get("file").hear(Path(os.environ["WB_FOLDER"], "rates.txt").read_text())  # noqa: ASYNC240

    async def _files_of_a_folder(self) -> Any:
        return [await Echo.get("files").hear(name) for name in os.listdir(os.environ["WB_FOLDER"])]  # noqa: PTH208

    async def _thread_timing(self) -> Any:
        done: list[str] = []

        def work() -> None:
            gate.wait()
            done.append("thread")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(5 if gate.is_set() else 0)
        return await Echo.get("thread").hear(done)

    async def _thread_number(self) -> Any:
        return await Echo.get("thread number").hear(threading.get_native_id())

    async def _modules_loaded(self) -> Any:
        return await Echo.get("modules").hear(len(sys.modules))

    # ---- state of the process

    async def _module_setting(self) -> Any:
        return await Echo.get("setting").hear(settings["mode"])

    async def _singleton(self) -> Any:
        return [await Echo.get("singleton").hear(n) for n in range(Config.instance.retries)]

    async def _count_in_a_closure(self) -> Any:
        return await Echo.get("closure").hear(count_calls())

    async def _mutable_class_attribute(self) -> Any:
        self.heard_by_all.append(self.kind)
        return await Echo.get("class").hear(len(self.heard_by_all))

    async def _mutable_default(self) -> Any:
        return await Echo.get("default").hear(remember("word"))

    async def _memoised(self) -> Any:
        return await Echo.get("memo").hear(rate("eur"))

    async def _fetched_once_a_process(self) -> int:
        if "eur" not in fetched:
            fetched["eur"] = await Echo.get("fetch").hear(1)
        return fetched["eur"]

    async def _freed(self) -> Any:
        gc.collect()
        return await Echo.get("freed").hear(pool.get("thing") is None)


with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    wb.agent(Bad)

KINDS = [name[1:] for name in vars(Bad) if name.startswith("_") and not name.startswith("__")]


def set_up(run: str, folder: str) -> None:
    """The state of a process that has worked for a while, or of a fresh one in which some things have changed."""
    global calls_in_this_process  # noqa: PLW0603
    first_run = run == "one"
    os.environ |= {"WB_RUN": run, "WB_FOLDER": folder, "TZ": "UTC" if first_run else "Asia/Tokyo"}
    time.tzset()
    random.seed(run)
    calls_in_this_process = 0 if first_run else 7
    settings["mode"] = run
    Config.instance = Config(2 if first_run else 3)
    Path(folder, "rates.txt").write_text(run)
    if first_run:
        rate("eur")
        rates["eur"] = 2
        fetched["eur"] = 1
        count_calls()
        remember("before")
        Bad.heard_by_all.append("before")
        sys.modules.update((f"cell_{n}", ModuleType(f"cell_{n}")) for n in range(100))
        gate.set()
    else:
        rates["eur"] = 2
        Path(folder, "more.txt").touch()
        pool["thing"] = settings["thing"] = Thing()


def first(channel: Channel, *, store: str, folder: str) -> None:
    """Let every agent act once."""
    set_up("one", folder)
    with wb.start(store, clock=SimulatedClock(1)) as session:
        for kind in KINDS:
            try:
                wb.run(Bad.get(kind).act())
            except wb.InvocationError:
                channel.tell(kind, "raised")
            wb.run(Good.get().add(1))
        wb.run(session.at_rest())


def second(channel: Channel, *, store: str, folder: str) -> dict[str, Any]:
    """Call every agent again: what each came to."""
    set_up("two", folder)
    found: dict[str, Any] = {}
    with wb.start(store, clock=SimulatedClock(2)) as session:
        for kind in KINDS:
            try:
                found[kind] = wb.run(Bad.get(kind).still_there(), timeout=20)
            except wb.DivergenceError as error:
                found[kind] = [error.agent, error.index, error.expected, error.got, error.got_line, str(error)]
        found["good"] = wb.run(Good.get().add(1))
        found["failed"] = [a.agent_id for a in session.agents() if a.status == "failed"]
        wb.run(session.at_rest())
    return found
