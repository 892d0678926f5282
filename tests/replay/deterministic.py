# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""Two hundred agents that do all that agents may do, and nothing else: replay must leave each of them alone.

Each is a class of its own, written from three of the `FEATURES` and run as a notebook cell is: the text is made first.
"""

from __future__ import annotations

import asyncio
import linecache
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import workbench as wb
from workbench.testing import SimulatedClock, rebuild_all
from workbench.testing.channel import Channel
from workbench.testing.inspecting import objects_of

COUNT = 200
WORDS = [f"word {n}" for n in range(12)]


@dataclass(frozen=True)
class Order:
    """A value with a class."""

    word: str
    number: int


@wb.agent
class Helper:
    """What the two hundred call."""

    def __init__(self, name: str, number: int = 0) -> None:
        self.name, self.number = name, number
        self.calls = 0

    async def square(self, x: int) -> int:
        self.calls += 1
        return x * x

    async def nap(self, seconds: float, x: int) -> int:
        await asyncio.sleep(seconds)
        return x

    async def fail(self, text: str) -> None:
        raise ValueError(text)

    async def echo(self, value: Any) -> Any:
        self.calls += 1
        return value

    async def order(self, order: Order) -> Order:
        return order

    async def relay(self, depth: int) -> list[int]:
        return [depth, *(await Helper.get(self.name, depth).relay(depth - 1))] if depth else [0]

    async def complete(self, pid: wb.PromiseId, text: str) -> None:
        wb.complete_promise(pid, text)


FEATURES = {
    "gather": """
        out += await asyncio.gather(*(Helper.get(me, k).square(k) for k in range(3)))
    """,
    "task_group": """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.twice(k)) for k in range(3)]
        out += [task.result() for task in tasks]
    """,
    "timeout": """
        try:
            async with asyncio.timeout(1):
                await Helper.get(me).nap(60, 1)
        except TimeoutError:
            out.append("too late")
        out.append(await asyncio.wait_for(Helper.get(me, 1).nap(1, 2), 60))
    """,
    "queue": """
        queue: asyncio.Queue[int] = asyncio.Queue(2)

        async def produce() -> None:
            for k in range(4):
                await queue.put(await Helper.get(me, 2).square(k))

        producer = asyncio.create_task(produce())
        for _ in range(4):
            out.append(await queue.get())
        await producer
    """,
    "semaphore": """
        limit, lock = asyncio.Semaphore(2), asyncio.Lock()
        order: list[int] = []

        async def one(k: int) -> None:
            async with limit:
                await asyncio.sleep(3 - k)
            async with lock:
                order.append(k)

        await asyncio.gather(*(one(k) for k in range(4)))
        out.append(order)
    """,
    "event": """
        gate = asyncio.Event()
        waiting = [asyncio.create_task(gate.wait()) for _ in range(2)]
        await asyncio.sleep(0.5)
        gate.set()
        out += await asyncio.gather(*waiting)
    """,
    "promise": """
        pid, typed = wb.create_promise(), wb.create_promise()
        Helper.get(me, 3).complete.trigger(pid, "done")
        out.append((await wb.await_promise(pid)).decode())
        wb.complete_promise_json(typed, [1, 2])
        out.append(await wb.await_promise_json(typed, list[int]))
    """,
    "promise_or_time": """
        never = wb.create_promise()
        try:
            async with asyncio.timeout(2):
                await wb.await_promise(never)
        except TimeoutError:
            out.append(wb.complete_promise(never, "after all"))
    """,
    "step": """
        out.append(await wb.step(pow, 2, 5))
        out.append(await wb.step(time.time) > 0)
        out.append(len(await wb.step(lambda: sorted(os.listdir("/")))) > 0)
    """,
    "step_of_a_function_inside": """
        import pathlib

        def read(name: str) -> bool:
            return pathlib.Path(name).exists() and time.perf_counter() > 0 and bool(os.environ)

        async def later() -> float:
            return random.random() + len(read_all())

        def read_all() -> list[str]:
            return os.listdir("/")

        out.append(await wb.step(read, "/"))
        out.append(await wb.step(functools.partial(read, "/")))
        out.append(await wb.step(later) > 0)
    """,
    "fork": """
        match wb.fork():
            case wb.Original():
                out.append("original")
            case wb.Forked():
                out.append(await Helper.get(me, 4).echo("forked"))
    """,
    "speech": """
        print("hello", me, sep="-")
        wb.log("said", len(out), level="debug")
        print(f"{set(words)}")
    """,
    "chance": """
        drawn = [wb.random(), str(wb.uuid4()), wb.now().isoformat(), wb.idempotency_key(), str(wb.self_id())]
        out.append(await Helper.get(me, 5).echo(drawn))
        await asyncio.sleep(wb.random())
    """,
    "sorted_set": """
        for word in sorted(set(words) | {"more"}):
            out.append(await Helper.get(word).echo(word))
        unique = {word.upper() for word in words}
        ordered = list(unique)
        ordered.sort()
        out.append(await Helper.get(me).echo(ordered))
    """,
    "order_free_set": """
        longest, kinds = max(len(word) for word in set(words)), frozenset(words)
        by_length: dict[str, int] = {}
        for word in kinds:
            by_length[word] = len(word)
        total = 0
        for word in kinds:
            total += by_length[word]
        out += [longest, len(kinds), total, "word 1" in kinds, sorted(by_length)]
        out.append(sorted(await Helper.get(me, 6).echo(kinds)))
    """,
    "set_of_numbers": """
        numbers = {3, 1, 2} | set(range(4))
        for number in numbers:
            out.append(await Helper.get(me, 7).square(number))
        places: set[int] = set()
        for place, word in enumerate(words):
            places.add(place * len(word))
        out.append(await Helper.get(me, 7).echo([place for place in places]))
    """,
    "set_of_tasks": """
        pending = {asyncio.create_task(self.twice(k)) for k in range(4)}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            out += [task.result() for task in done]
        background = set()
        for k in range(3):
            background.add(asyncio.create_task(self.twice(k)))
        for task in background:
            out.append(await task)
    """,
    "dict": """
        lengths = {word: len(word) for word in words}
        for word, length in lengths.items():
            out.append(await Helper.get(word).echo(length))
        out.append(await Helper.get(me).echo({**lengths, "more": [1, None]}))
    """,
    "dataclass": """
        sent = [Order(word, number) for number, word in enumerate(words[:3])]
        got = await wb.join([Helper.get(me, 8).order(each) for each in sent])
        out += [got == sent, sum(each.number for each in got)]
    """,
    "loops": """
        a, b, turns = 0, 1, 0
        while (turns := turns + 1) < 6:
            a, b = b, a + b
            if b % 2:
                continue
            out.append(await Helper.get(me, 9).square(b))
        else:
            out.append([x * y for x in range(3) for y in range(x)])
    """,
    "exceptions": """
        for word in words[:2]:
            try:
                await Helper.get(word).fail(word)
            except ValueError as error:
                out.append(type(error).__name__)
            finally:
                out.append("went on")
        try:
            await wb.join([Helper.get(me).fail("a"), Helper.get(me).fail("b")])
        except* ValueError as group:
            out.append(len(group.exceptions))
    """,
    "nested_calls": """
        out.append(await Helper.get(me, 10).relay(3))
    """,
    "joins": """
        naps = [Helper.get(me, 11 + k).nap(4 - k, k) for k in range(3)]
        out.append(await wb.race(naps))
        out.append(await wb.race_ok([Helper.get(me, 14).fail("no"), Helper.get(me, 15).nap(1, 5)]))
        out += [x async for x in wb.as_completed([Helper.get(me, 16 + k).nap(3 - k, k) for k in range(3)])]
        out += await wb.bounded(lambda k: Helper.get(me, 19).square(k), range(4), limit=2)
        try:
            await wb.try_join([Helper.get(me, 20).nap(9, 1), Helper.get(me, 21).fail("early")])
        except ValueError:
            out.append("first error")
    """,
    "fan_out": """
        async def double(word: str) -> str:
            return word * 2

        out += await wb.fan_out(double, words[:3], name=f"doubled by {me}")
    """,
    "generators": """
        async def pairs() -> Any:
            for word in words[:3]:
                yield await Helper.get(word).echo(word), len(word)

        out += [list(pair) async for pair in pairs()]

        @contextlib.asynccontextmanager
        async def held() -> Any:
            out.append(await Helper.get(me).echo("held"))
            yield len(out)

        async with held() as number:
            out.append(number)
    """,
    "closures": """
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return count

        out += [tick() for _ in range(3)]
        out.append(await Helper.get(me).echo(tick()))
        out += sorted(words, key=lambda word: (-len(word), word))[:2]
    """,
    "pure_library": """
        seeded = random.Random(7)
        seeded.shuffle(shuffled := list(words))
        digest = hashlib.sha256("".join(words).encode()).hexdigest()
        began = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC) + datetime.timedelta(days=len(words))
        path = pathlib.Path("/data") / "in" / f"{me}.txt"
        named = uuid.uuid5(uuid.NAMESPACE_DNS, me)
        counted = collections.Counter("".join(words)).most_common(2)
        text = json.dumps({"b": 1, "a": [2]}, sort_keys=True)
        out.append(await Helper.get(me).echo([shuffled, digest, began, path.suffix, str(named), counted, text]))
        out.append(f"{decimal.Decimal(1) / 3:.5f}" + re.sub("[aeiou]", "", words[0]))
    """,
    "names_of_their_own": """
        def open(name: str) -> str:
            return name.upper()

        def random() -> int:
            return 4

        out += [open("file"), random(), own.time(), own.uuid4()]
    """,
    "options": """
        out.append(await Helper.get(me).square.with_options(key="mine", label="square", timeout=60)(3))
        out.append(await Helper.get(me).square.with_options(key="mine")(3))
        fresh = Helper.new_phantom(me)
        out.append(await fresh.square(5))
    """,
    "state": """
        self.seen |= {word for word in words}
        self.seen.add(me)
        self.total += sum(map(len, self.seen))
        if me in self.seen:
            out += [self.total, len(self.seen), min(self.seen), sorted(self.seen)]
        for word in sorted(self.seen)[:2]:
            self.notes.append(await Helper.get(word).echo(word))
    """,
}
"""What agents do, by name; each is the body of a method with a list `out`, some `words` and a name, `me`."""

AGENT = '''
@wb.agent
class {name}:
    """Does {features}."""

    def __init__(self, number: int) -> None:
        self.number, self.total = number, 0
        self.seen: set[str] = set()
        self.notes: list[str] = []

    async def run(self, words: list[str]) -> list[Any]:
        out: list[Any] = [await wb.step(self.look, "/")]
        for part in (self.first, self.second, self.third):
            out.append(await part(words, f"{name} {{self.number}}"))
            self.notes.append(f"ran for {{len(out)}}")
        return out
{parts}
    def run_blocking(self, words: list[str]) -> list[Any]:
        return [self.twice_blocking(len(word)) for word in words[:2]]

    async def count(self) -> int:
        return len(self.notes)

    async def twice(self, x: int) -> int:
        return await Helper.get("twice", self.number).square(x) + await Helper.get("twice", x).square(x)

    def twice_blocking(self, x: int) -> int:
        pid = wb.create_promise()
        Helper.get("blocking", self.number).complete.trigger(pid, str(x))
        return Helper.get("blocking").square.blocking(x) + int(wb.blocking_await_promise(pid))

    def look(self, name: str) -> bool:
        return os.path.exists(name) and bool(self.look_again())

    def look_again(self) -> float:
        return time.time()
'''


PART = '''
    async def {name}(self, words: list[str], me: str) -> list[Any]:
        """Does {feature}."""
        out: list[Any] = []
{body}
        return out
'''


class Own:
    """Functions with names that others have too."""

    def time(self) -> int:
        return 5

    def uuid4(self) -> str:
        return "an id of my own"


def texts() -> Iterator[tuple[str, str]]:
    """Name and source of each agent: three features in each, in all distances from each other."""
    names = list(FEATURES)
    for number in range(COUNT):
        begin, distance = number % len(names), number // len(names) + 1
        chosen = [names[(begin + step) % len(names)] for step in (0, distance, 3 * distance + 1)]
        parts = [
            PART.format(name=part, feature=feature, body=textwrap.indent(textwrap.dedent(FEATURES[feature]), " " * 8))
            for part, feature in zip(("first", "second", "third"), chosen, strict=True)
        ]
        name = f"Good{number:03}"
        yield name, AGENT.format(name=name, features=", ".join(chosen), parts="".join(parts))


def define() -> tuple[list[Any], list[str]]:
    """Define the agents, each as a cell of its own; and what was warned of."""
    imports = "collections contextlib datetime decimal functools hashlib json os pathlib random re time uuid"
    space: dict[str, Any] = {"asyncio": asyncio, "wb": wb, "Any": Any, "Helper": Helper, "Order": Order, "own": Own()}
    space["__name__"] = __name__
    exec(f"import {', '.join(imports.split())}", space)  # noqa: S102 - a notebook's first cell
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for name, text in texts():
            filename = f"<cell {name}>"
            linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
            exec(compile(text, filename, "exec"), space)  # noqa: S102 - and each of the others
    return [space[name] for name, _ in texts()], [str(warning.message) for warning in warned]


def work(channel: Channel, *, store: str) -> dict[str, Any]:
    """Let all agents run side by side."""
    agents, _ = define()
    with wb.start(store, clock=SimulatedClock(1)) as session:
        results = wb.run(wb.join([agent.get(1).run(WORDS) for agent in agents]), timeout=60)
        wb.run(wb.join([agent.get(1).run_blocking(WORDS) for agent in agents]), timeout=60)
        wb.run(session.at_rest())
        failed = [agent.agent_id for agent in session.agents() if agent.status == "failed"]
        return {"lengths": [len(result) for result in results], "failed": failed, "objects": objects_of(session)}


def rebuild(channel: Channel, *, store: str) -> dict[str, Any]:
    """Rebuild all of them by replay, then go on with each."""
    agents, _ = define()
    with wb.start(store, clock=SimulatedClock(2)) as session:
        wb.run(session.at_rest())
        before = session.feed.committed
        failed = rebuild_all(session)
        wb.run(session.at_rest())
        added = [entry.kind for entry in session.feed.read(before)]
        objects = objects_of(session)
        counts = wb.run(wb.join([agent.get(1).count() for agent in agents]), timeout=60)
        return {"failed": failed, "added": added, "objects": objects, "counts": counts}
