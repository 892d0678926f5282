"""Warnings at the definition: what replay cannot repeat is named, and nothing else is."""

from __future__ import annotations

import ast
import itertools
import linecache
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import workbench as wb
from workbench.errors import DeterminismWarning
from workbench.hazards import finding as hazards
from workbench.hazards.finding import Hazard, hazards_of
from workbench.model.agent_type import registry
from workbench.model.places import name_file

_cells = itertools.count(1)

IMPORTS = """
import asyncio, collections, concurrent.futures, datetime, datetime as dt, functools, glob, gzip, hashlib, io, locale
import logging, pprint, sys
import multiprocessing, numpy as np, os, os.path, pandas as pd, pathlib, platform, random, secrets, socket, sqlite3
import subprocess, tempfile, threading, time, urllib.request, uuid
import workbench as wb
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime as moment
from os import environ, getenv, path
from pathlib import Path
from random import random as chance, randint
from time import time as t
from uuid import uuid4
from workbench import join, step
REGIONS, PORTS, HOME, KEPT = {"eu", "us"}, {80, 443}, Path("/data"), random.Random()
LOGGER = logging.getLogger(__name__)
class Worker: ...
"""
_space: dict[str, Any] = {"__name__": "cell_of_test_hazards"}
exec(IMPORTS, _space)  # noqa: S102


def cell(text: str, name: str = "Agent") -> Any:
    """Run a text as a notebook runs a cell, after the imports; the class of that name."""
    filename = f"<cell {next(_cells)} of test_hazards>"
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    exec(compile(text, filename, "exec", dont_inherit=True), _space)  # noqa: S102
    return _space[name]


def agent(body: str) -> Any:
    """A class with one method of this body, at whose start stands `async def run(self, words, x)`."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return cell(f"class Agent:\n    async def run(self, words, x):\n{lines}")


def found(cls: Any) -> list[str]:
    """What was found, in the order of the lines."""
    return [hazard.found for hazard in hazards_of(cls)]


@pytest.mark.parametrize(
    ("code", "name", "use"),
    [
        ("pprint.pprint(x)", "pprint.pprint()", "wb.log"),
        ("sys.stdout.write(x)", "sys.stdout.write()", "wb.log"),
        ("logging.info(x)", "logging.info()", "wb.log"),
        ("LOGGER.warning(x)", "logging.Logger.warning()", "wb.log"),
        ("from IPython.display import display\ndisplay(x)", "IPython.display.display()", "wb.log"),
        ("time.time()", "time.time()", "wb.now()"),
        ("time.time_ns()", "time.time_ns()", "wb.now()"),
        ("t()", "time.time()", "wb.now()"),
        ("time.monotonic()", "time.monotonic()", "wb.now()"),
        ("time.perf_counter()", "time.perf_counter()", "wb.now()"),
        ("time.localtime()", "time.localtime()", "wb.now()"),
        ("time.strftime('%Y')", "time.strftime()", "wb.now()"),
        ("time.sleep(1)", "time.sleep()", "asyncio.sleep"),
        ("datetime.datetime.now()", "datetime.datetime.now()", "wb.now()"),
        ("dt.datetime.now(dt.UTC)", "datetime.datetime.now()", "wb.now()"),
        ("moment.utcnow()", "datetime.datetime.utcnow()", "wb.now()"),
        ("moment.today()", "datetime.datetime.today()", "wb.now()"),
        ("moment.fromtimestamp(0)", "datetime.datetime.fromtimestamp()", "wb.now()"),
        ("date.today()", "datetime.date.today()", "wb.now()"),
        ("pd.Timestamp.now()", "pandas.Timestamp.now()", "wb.now()"),
        ("random.random()", "random.random()", "wb.random()"),
        ("chance()", "random.random()", "wb.random()"),
        ("randint(1, 2)", "random.randint()", "wb.random()"),
        ("random.shuffle(words)", "random.shuffle()", "wb.random()"),
        ("random.Random()", "random.Random()", "wb.random()"),
        ("random.SystemRandom()", "random.SystemRandom()", "wb.random()"),
        ("KEPT.random()", "random.Random.random()", "wb.random()"),
        ("np.random.rand(3)", "numpy.random.rand()", "wb.random()"),
        ("np.random.default_rng()", "numpy.random.default_rng()", "wb.random()"),
        ("secrets.token_hex()", "secrets.token_hex()", "wb.random()"),
        ("os.urandom(8)", "os.urandom()", "wb.random()"),
        ("uuid.uuid1()", "uuid.uuid1()", "wb.uuid4()"),
        ("uuid4()", "uuid.uuid4()", "wb.uuid4()"),
        ("urllib.request.urlopen(x)", "urllib.request.urlopen()", "wb.step"),
        ("open('a')", "open()", "wb.step"),
        ("io.open('a')", "open()", "wb.step"),
        ("gzip.open('a')", "gzip.open()", "wb.step"),
        ("input()", "input()", "wb.step"),
        ("Path('a').read_text()", "Path('a').read_text()", "wb.step"),
        ("(Path('a') / x).write_bytes(b'')", "(Path('a') / x).write_bytes()", "wb.step"),
        ("pathlib.Path('a').parent.iterdir()", "pathlib.Path('a').parent.iterdir()", "wb.step"),
        ("HOME.joinpath('a').open()", "HOME.joinpath('a').open()", "wb.step"),
        ("p = Path('a')\np = p.with_suffix('.b')\np.read_text()", "p.read_text()", "wb.step"),
        ("Path.home()", "pathlib.Path.home()", "wb.step"),
        ("os.environ['A']", "os.environ", "wb.step"),
        ("os.environ.get('A')", "os.environ", "wb.step"),
        ("'A' in environ", "os.environ", "wb.step"),
        ("os.getenv('A')", "os.getenv()", "wb.step"),
        ("getenv('A')", "os.getenv()", "wb.step"),
        ("os.getpid()", "os.getpid()", "wb.step"),
        ("os.listdir()", "os.listdir()", "wb.step"),
        ("os.path.exists('a')", "os.path.exists()", "wb.step"),
        ("path.getmtime('a')", "os.path.getmtime()", "wb.step"),
        ("glob.glob('*')", "glob.glob()", "wb.step"),
        ("subprocess.run(['ls'])", "subprocess.run()", "wb.step"),
        ("socket.gethostname()", "socket.gethostname()", "wb.step"),
        ("sqlite3.connect('a')", "sqlite3.connect()", "wb.step"),
        ("tempfile.mkdtemp()", "tempfile.mkdtemp()", "wb.step"),
        ("platform.node()", "platform.node()", "wb.step"),
        ("pd.read_csv('a')", "pandas.read_csv()", "wb.step"),
        ("np.load('a')", "numpy.load()", "wb.step"),
        ("locale.getlocale()", "locale.getlocale()", "wb.step"),
        ("threading.Thread(target=print).start()", "threading.Thread()", "wb.step"),
        ("ThreadPoolExecutor()", "concurrent.futures.ThreadPoolExecutor()", "wb.step"),
        ("concurrent.futures.ProcessPoolExecutor()", "concurrent.futures.ProcessPoolExecutor()", "wb.step"),
        ("multiprocessing.Pool()", "multiprocessing.Pool()", "wb.step"),
        ("await asyncio.to_thread(len, x)", "asyncio.to_thread()", "wb.step"),
        (
            "await asyncio.get_running_loop().run_in_executor(None, len)",
            "asyncio.get_running_loop().run_in_executor()",
            "wb.step",
        ),
        ("x.shard = hash(x) % 8", "hash()", "part of the value"),
        ("key = id(x)\nwords[key] = key", "id()", "part of the value"),
        ("return id(self)", "id()", "part of the value"),
        ("words.sort(key=hash)", "hash()", "part of the value"),
        ("import time as clock\nclock.time()", "time.time()", "wb.now()"),
        ("from time import monotonic\nmonotonic()", "time.monotonic()", "wb.now()"),
        ("await wb.step(len, open('a'))", "open()", "wb.step"),
        ("await wb.step(len, time.time())", "time.time()", "wb.now()"),
        ("[time.time() for _ in words]", "time.time()", "wb.now()"),
        ("lambda: time.time()", "time.time()", "wb.now()"),
        ("def inner():\n    return time.time()\nreturn inner()", "time.time()", "wb.now()"),
        ("def inner():\n    return time.time()\nawait wb.step(inner)\ninner()", "time.time()", "wb.now()"),
    ],
)
def test_what_replay_cannot_repeat_is_found(code: str, name: str, use: str) -> None:
    """Clocks, chance, ids, files, the network, threads and addresses are found under any name that an import gives."""
    assert found(agent(code)) == [name]
    assert use in hazards_of(agent(code))[0].use


@pytest.mark.parametrize(
    "code",
    [
        "wb.now()\nwb.random()\nwb.uuid4()\nawait asyncio.sleep(1)",
        "await wb.step(time.time)",
        "await step(lambda: open('a').read())",
        "await wb.step(functools.partial(open, 'a'))",
        "await wb.step(urllib.request.urlopen, x)",
        "def read():\n    return open('a').read()\nreturn await wb.step(read)",
        "async def fetch():\n    return uuid4()\nreturn await wb.join([wb.step(fetch), wb.step(fetch)])",
        "def read():\n    return more()\ndef more():\n    return open('a')\nreturn await wb.step(read)",
        "read = lambda: open('a').read()\nreturn await wb.step(read)",
        "import workbench\nawait workbench.step(lambda: time.time())",
        "def open(name):\n    return name\nopen('a')",
        "time = words\ntime.time()",
        "for random in words:\n    random.random()",
        "with x as os:\n    os.getpid()",
        "try:\n    pass\nexcept ValueError as secrets:\n    secrets.token_hex()",
        "Worker.time()\nself.open()\nx.sleep(1)\nwords.read_text()",
        "random.Random(7).random()",
        "np.random.default_rng(7)",
        "uuid.uuid5(uuid.NAMESPACE_DNS, 'a')",
        "dt.datetime(2024, 1, 1)\nmoment.fromisoformat('2024-01-01')\nmoment.fromtimestamp(0, dt.UTC)",
        "time.strftime('%Y', x)\ntime.gmtime(0)\ntime.strptime(x, '%Y')",
        "Path('a') / 'b'\nPath('a').name\nPath('a').with_suffix('.b')\nstr(HOME)",
        "os.path.join('a', 'b')\npath.basename('a')\nos.sep",
        "raise subprocess.CalledProcessError(1, 'a')",
        "try:\n    await x\nexcept (sqlite3.Error, subprocess.TimeoutExpired):\n    pass",
        "hashlib.sha256(b'').hexdigest()\nsecrets.compare_digest('a', 'b')",
        "seen = set()\nseen.add(id(x))\nif id(x) in seen and id(x) == id(words):\n    return hash(3)",
        "key = id(x)\nif key not in words:\n    self.memo[key, 1] = {id(w): w for w in words}",
        "import unknown_module\nunknown_module.time()\nnot_defined_yet.open()",
        "asyncio.get_running_loop().time()",
        "use: Path = words\nreturn use",
    ],
)
def test_what_replay_can_repeat_is_not(code: str) -> None:
    """What goes to a step, the workbench's own, a user's own things of the same name, and pure functions pass."""
    assert found(agent(code)) == []


@pytest.mark.parametrize(
    "code",
    [
        "for word in set(words):\n    await Worker.get(word).run()",
        "for word in {'a', 'b'}:\n    Worker.get(word).run.trigger()",
        "for word in REGIONS:\n    wb.create_promise()",
        "for n, word in enumerate(frozenset(words)):\n    await Worker.get(n).run(word)",
        "for word in {w.lower() for w in words}:\n    asyncio.create_task(x(word))",
        "for word in set(words) - REGIONS:\n    await Worker.get(word).run()",
        "for word in x.keys() & words:\n    await Worker.get(word).run()",
        "for word in REGIONS.union(words):\n    await Worker.get(word).run()",
        "unique = set(words)\nfor word in unique:\n    await Worker.get(word).run()",
        "unique = set()\nfor word in words:\n    unique.add(word)\nfor word in unique:\n    await x.run(word)",
        "unique: set[str] = x\nfor word in unique:\n    await Worker.get(word).run()",
        "for word in set(words):\n    self.tell(word)",
        "await wb.join([Worker.get(word).run() for word in set(words)])",
        "await join(Worker.get(word).run() for word in set(words))",
        "await asyncio.gather(*(x(word) for word in REGIONS))",
        "await asyncio.gather(*{x(word) for word in words})",
        "await wb.bounded(x, set(words))",
        "await wb.fan_out(x, REGIONS)",
        "return [await x.run(word) for word in REGIONS]",
        "return {word: await x.run(word) for word in REGIONS}",
        "return list(REGIONS)",
        "return [word for word in set(words) if word]",
        "return {word: 1 for word in set(words)}",
        "return ', '.join(set(words))",
        "return f'{set(words)}'",
        "return list(set(words))[0]",
        "return next(iter(REGIONS))",
        "found = []\nfor word in set(words):\n    found.append(word)\nreturn found",
        "found = {}\nfor word in set(words):\n    found[word] = 1\nawait Worker.get(1).run(found)",
        "text = ''\nfor word in set(words):\n    text += word\nawait Worker.get(1).run(text)",
        "todo = set(words)\nwhile todo:\n    await Worker.get(todo.pop()).run()",
        "for word in set(words):\n    await wb.step(print, word)",
        "Worker.get(1).run.trigger([*REGIONS])",
        "wb.complete_promise_json(x, dict.fromkeys(set(words)))",
    ],
)
def test_the_order_of_a_set_is_found(code: str) -> None:
    """A set whose order gets into calls, promises, steps, tasks or the result is found once."""
    tell = "    def tell(self, word):\n        Worker.get(word).run.trigger()\n"
    lines = "".join(f"        {line}\n" for line in code.splitlines())
    cls = cell(f"class Agent:\n    async def run(self, words, x):\n{lines}{tell}")
    assert found(cls) == ["the order of a set"]
    assert "sorted" in hazards_of(cls)[0].use


@pytest.mark.parametrize(
    "code",
    [
        "for word in sorted(set(words)):\n    await Worker.get(word).run()",
        "unique = sorted(REGIONS | set(words))\nreturn await wb.join([x.run(w) for w in unique])",
        "words = set(words)\nwords = sorted(words)\nfor word in words:\n    await x.run(word)",
        "found = list(set(words))\nfound.sort()\nreturn found",
        "found = []\nfor word in set(words):\n    found.append(word)\nreturn sorted(found)",
        "total = 0\nfor word in set(words):\n    total += len(word)\nreturn total",
        "return len(set(words)), max(REGIONS), sum(len(w) for w in REGIONS), 'eu' in REGIONS",
        "return set(words) | {word.upper() for word in REGIONS}",
        "await Worker.get(1).run(set(words))",
        "await wb.step(print, list(set(words)))",
        "return sorted(word for word in REGIONS)",
        "return any(word in words for word in REGIONS)",
        "for port in PORTS:\n    await Worker.get(port).run()",
        "for number in {1, 2, 3} | set(range(5)):\n    await Worker.get(number).run()",
        "for number in {len(word) for word in words}:\n    await Worker.get(number).run()",
        "numbers: list[int] = words\nfor number in set(numbers):\n    await Worker.get(number).run()",
        "numbers = set()\nfor n in range(3):\n    numbers.add(n * 2)\nreturn list(numbers)",
        "tasks = {asyncio.create_task(x(w)) for w in words}\nfor task in tasks:\n    await task",
        "tasks = set()\ntasks.add(asyncio.create_task(x()))\nawait asyncio.gather(*tasks)",
        "pending = set(words)\ndone, pending = await asyncio.wait(pending)\nfor task in done:\n    await task",
        "for word in dict.fromkeys(words):\n    await Worker.get(word).run()",
        "for word in words:\n    if word in REGIONS:\n        await Worker.get(word).run()",
        "for word in set(words):\n    print(word)\n    wb.log(word)",
        "by = {word: len(word) for word in set(words)}\nreturn [by[word] for word in words], by.get('a')",
        "for word in set(words):\n    self.seen.add(word)",
    ],
)
def test_a_set_whose_order_stays_inside_is_not(code: str) -> None:
    """`sorted`, sums, membership, copies through the codec, and sets of numbers or of tasks pass."""
    assert found(agent(code)) == []


def test_sets_in_attributes_are_known() -> None:
    """A set that one method keeps is known in the others, by its annotation or by what goes into it."""
    text = """class Agent:
    kinds: frozenset[str] = frozenset()

    def __init__(self, ports: list[int], names):
        self.ports, self.names = set(ports), set()
        self.order = []

    def add(self, name: str):
        self.names.add(name)
        for each in self.names:
            self.order.append(each)

    async def run(self):
        for port in self.ports:
            await Worker.get(port).run()
        for name in self.names:
            await Worker.get(name).run()
        for kind in self.kinds:
            await Worker.get(kind).run()
        return self.order

    def _mine(self):
        return list(self.names)
"""
    assert [hazard.line for hazard in hazards_of(cell(text))] == [16, 18, 20]


def test_annotations_of_parameters_are_known() -> None:
    """A parameter that is annotated as a set or a path is one; what a user calls Path is not."""
    text = """class Agent:
    async def run(self, a: set[str], b: "set[int]", c: Path, d: frozenset[str] | None, e: set, f: own.Path):
        for word in a:
            await Worker.get(word).run()
        for number in b:
            await Worker.get(number).run()
        c.read_text()
        for word in d or ():
            await Worker.get(word).run()
        for word in e:
            await Worker.get(word).run()
        await f.open()
"""
    _space["own"] = type("own", (), {"Path": type("Path", (), {})})
    assert [hazard.line for hazard in hazards_of(cell(text))] == [3, 7, 8, 10]


def test_methods_that_only_steps_run_are_left_out() -> None:
    """A method that is only handed to `wb.step`, and what only it calls, may do what it likes; others may not."""
    text = """class Agent:
    async def run(self):
        await wb.step(self.fetch, 1)
        await wb.step(Agent.static)
        return self.called()
    def fetch(self, x): return self.deeper() + time.time()
    def deeper(self): return time.time()
    @staticmethod
    def static(): return time.time()
    def called(self): return time.time()
    def public(self): return time.time()
"""
    assert [hazard.method for hazard in hazards_of(cell(text))] == ["Agent.called", "Agent.public"]


def test_every_kind_of_method_is_looked_into() -> None:
    """Constructors, properties, static and class methods and wrapped methods are looked into, with their closures."""
    text = """def make(ticks):
    from time import time as clock
    class Agent:
        def __init__(self): self.begun = clock()
        @property
        def a(self): return clock()
        @staticmethod
        def b(): return clock()
        @functools.lru_cache
        def c(self): return clock()
        if True:
            def d(self): return clock(), ticks()
    return Agent
Agent = make(uuid4)
"""
    cls = cell(text)
    assert [(hazard.line, hazard.found) for hazard in hazards_of(cls)] == [
        (4, "time.time()"),
        (6, "time.time()"),
        (8, "time.time()"),
        (10, "time.time()"),
        (12, "time.time()"),
        (12, "uuid.uuid4()"),
    ]


def test_a_comment_silences_its_line() -> None:
    """`# workbench: deterministic` holds for the hazards of its line, also of one that goes over several lines."""
    code = (
        "time.time()  # workbench: deterministic, because nobody looks at it\ntime.time()\n"
        "open(\n    'a'\n)  #workbench:deterministic\ntime.time()  # deterministic"
    )
    assert [hazard.line for hazard in hazards_of(agent(code))] == [4, 8]


@pytest.fixture
def named() -> Iterator[None]:
    """Cells have names, as in a notebook."""

    def give(filename: str) -> str | None:
        return "In[3]" if filename.startswith("<cell") else None

    name_file.append(give)
    yield
    name_file.remove(give)


def test_a_hazard_says_what_why_and_do(named: None) -> None:
    """The message names class, method, call and line as people know it, the reason, and the way out."""
    cls = agent("pass\ntime.time()")
    (hazard,) = hazards_of(cls)
    assert hazard == Hazard(
        cls.run.__code__.co_filename,
        4,
        "In[3]:4",
        "Agent.run",
        "time.time()",
        "replay runs this line again, at another time",
        "use wb.now()",
    )
    assert hazard.message == (
        "Agent.run uses time.time() at In[3]:4: replay runs this line again, at another time. "
        "Use wb.now(), or end the line with `# workbench: deterministic` if it is the same on replay."
    )


AGENT = "@wb.agent\nclass Agent:\n    async def run(self):\n        return time.time(), uuid4()\n"


def test_the_decorator_warns_at_the_line() -> None:
    """`@wb.agent` gives one warning for each hazard, at the line that has it; the class is an agent none the less."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        cls = cell(AGENT)
    assert [(type(w.message), w.category, w.lineno) for w in warned] == [
        (DeterminismWarning, DeterminismWarning, 4)
    ] * 2
    assert [w.filename for w in warned] == [cls.run.__code__.co_filename] * 2
    assert [str(w.message) for w in warned] == [hazard.message for hazard in hazards_of(cls)]
    assert registry.get("Agent").cls is cls


def test_a_cell_that_runs_again_warns_again() -> None:
    """Under Python's default filter each run of a cell tells its hazards, also if its text is as before."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        cell(AGENT)
        cell(AGENT)
    assert len(warned) == 4


def test_warnings_can_be_errors_and_can_be_off() -> None:
    """Under an `error` filter the class is refused, and not registered; under `ignore` nothing is said."""
    text = AGENT.replace("Agent:", "RefusedAgent:")
    with pytest.raises(DeterminismWarning, match=r"RefusedAgent.run uses time.time\(\)"):
        cell(text, "RefusedAgent")
    assert registry.find("RefusedAgent") is None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeterminismWarning)
        cell(text, "RefusedAgent")
    assert warned == []
    assert registry.find("RefusedAgent") is not None


def test_a_failing_analysis_is_no_error(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Code that breaks the analysis defines its class all the same; a debug line in the log tells of it."""

    def broken(cls: type, node: object) -> None:
        raise RecursionError("so deep")

    monkeypatch.setattr(hazards, "methods_of", broken)
    with caplog.at_level("DEBUG", "workbench"):
        assert wb.agent(agent("time.time()")).__name__ == "Agent"
    assert "was not looked through" in caplog.text


@pytest.mark.parametrize(
    "code",
    [
        "x = x\nwords = words + x\nx |= set(x)\nfor w in x | words:\n    await w",
        "a, (b, *c) = words\nself.a = self.a | self.b\nself.b = self.a\nfor w in self.a:\n    await w",
        "async for a, b in x:\n    async with a as (b, c), b:\n        del b\n        yield c",
        "match x:\n    case {'a': [1, *r], **m}:\n        pass\n    case Worker(a=1) | None as y:\n        global g",
        "import a.b.c as d, e.f\nfrom . import g\nd.open(), e.open(), g.open()",
        "p = p / p\np.read_text()\nq = q.parent\nq.open()",
        "(yield)\nlambda *a, b=1, **k: (a, b, k)\nprint(*words, **x)\nwords[1:2], words[...], f'{x!r:>{words}}'",
        "class Inner(Worker, metaclass=type):\n    def run(self): return other\n    value = [i for i in REGIONS]",
    ],
)
def test_any_syntax_is_looked_through(code: str, caplog: pytest.LogCaptureFixture) -> None:
    """Names that lead to themselves and the rarer statements break nothing."""
    with caplog.at_level("DEBUG", "workbench"):
        hazards_of(agent(code))
    assert caplog.text == ""


def test_odd_objects_are_not_touched() -> None:
    """Objects behind names are not asked for attributes: a lazy proxy stays asleep."""

    class Proxy:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    _space["proxy"] = Proxy()
    assert found(agent("proxy.time()\nproxy()\nfor p in proxy:\n    await p\nproxy.open().read_text()")) == []


def test_without_source_nothing_is_said() -> None:
    """A class made without source, or in C, has no hazards to tell."""
    assert hazards_of(type("Made", (), {})) == []
    assert hazards_of(int) == []


def test_the_workbench_keeps_to_its_own_rules() -> None:
    """The agents that the package ships give no warning."""
    from workbench.bench import agents

    for found_class in vars(agents).values():
        if isinstance(found_class, type):
            assert hazards_of(found_class) == []


def test_a_usual_class_is_looked_through_quickly() -> None:
    """Looking through a class takes a few times as long as parsing it, which a cell does anyway: nobody feels it."""
    method = "    async def m{0}(self, x: int) -> int:\n        y = x + {0}\n        for word in sorted(words):\n"
    method += "            await Worker.get(word).run(y)\n        return y\n"
    text = "class Agent:\n" + "".join(method.format(n) for n in range(10))
    looked, parsed = [], []
    for _ in range(20):
        cls = cell(text)
        begun = time.perf_counter()
        hazards_of(cls)
        between = time.perf_counter()
        ast.parse(text)
        parsed.append(time.perf_counter() - between)
        looked.append(between - begun)
    assert min(looked) < 20 * min(parsed)
