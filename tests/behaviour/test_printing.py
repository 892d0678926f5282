# ruff: noqa: T201 - agents print
# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""`print` and `wb.log` in agents: recorded, shown once, silent on replay."""

import asyncio
import builtins
import io
import sys
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.behaviour.looking import PATIENCE, bodies
from workbench.model import entries as e


@wb.agent
class Talker:
    async def talk(self, *words: Any) -> int:
        for word in words:
            print(word)
        return len(words)

    def options(self, path: str) -> None:
        print("a", "b", sep="-", end="!\n")
        print("error", file=sys.stderr)
        stream = io.StringIO()
        print("elsewhere", file=stream)
        assert stream.getvalue() == "elsewhere\n"
        print()
        print("flushed", flush=True)

    def log(self, *values: Any, level: str = "info") -> None:
        wb.log(*values, level=level)

    async def wait(self, promise: wb.PromiseId) -> None:
        print("before")
        await wb.await_promise(promise)
        print("after")


def said(session: wb.Session, agent: object) -> list[tuple[str, str]]:
    """What an agent printed and logged: level and text."""
    return [(b.level, b.message) for b in bodies(session, agent, e.Logged)]  # type: ignore[attr-defined]


def test_print_is_recorded_and_shown_in_order(either: wb.Session, capsys: pytest.CaptureFixture[str]) -> None:
    """What agents print stands in their oplog and comes out once, in order, before the result."""
    assert wb.run(Talker.get().talk("one", "two", 3)) == 3
    assert capsys.readouterr().out == "one\ntwo\n3\n"
    assert said(either, "Talker()") == [("stdout", "one\n"), ("stdout", "two\n"), ("stdout", "3\n")]


def test_print_is_silent_on_replay(either: wb.Session, capsys: pytest.CaptureFixture[str]) -> None:
    """After a crash in the middle, what was printed is not printed again, and the rest is printed once."""
    promise = wb.create_promise()
    Talker.get().wait.trigger(promise)
    wb.run(either.at_rest())
    for _ in range(3):
        either.simulate_crash()
        wb.run(either.at_rest())
    wb.complete_promise(promise, b"")
    wb.run(either.result("Talker()"))
    assert capsys.readouterr().out == "before\nafter\n"
    assert [m for _, m in said(either, "Talker()")] == ["before\n", "after\n"]


def test_prints_options(session: wb.Session, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`sep`, `end`, `file` and `flush` mean what they mean; another stream is written to as usual and not recorded."""
    wb.run(Talker.get().options(str(tmp_path / "x")))
    out, err = capsys.readouterr()
    assert (out, err) == ("a-b!\n\nflushed\n", "error\n")
    assert said(session, "Talker()") == [
        ("stdout", "a-b!\n"),
        ("stderr", "error\n"),
        ("stdout", "\n"),
        ("stdout", "flushed\n"),
    ]


@pytest.mark.parametrize("word", ["\ud800", "x\udcff.txt", "</script>", "\x00\x1b[2J", "日本\U0001f916"], ids=ascii)
def test_any_text_can_be_printed(either: wb.Session, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a surrogate pair (from a file name, say), control characters and markup print and log without harm."""
    assert wb.run(Talker.get().talk(word), PATIENCE) == 1
    wb.run(Talker.get().log(word), PATIENCE)
    told = word.encode("utf-8", "backslashreplace").decode()
    assert said(either, "Talker()") == [("stdout", f"{told}\n"), ("info", told)]
    assert wb.run(Talker.get().talk("on")) == 1


def test_log_is_recorded_and_not_printed(session: wb.Session, capsys: pytest.CaptureFixture[str]) -> None:
    """`wb.log` joins its values by spaces, takes a level, prints nothing; outside an agent it is refused."""
    wb.run(Talker.get().log("a", 1, None))
    wb.run(Talker.get().log("careful", level="warn"))
    assert said(session, "Talker()") == [("info", "a 1 None"), ("warn", "careful")]
    assert capsys.readouterr().out == ""
    with pytest.raises(wb.NotInAgentError):
        wb.log("outside")


def test_an_odd_level_does_no_harm(session: wb.Session) -> None:
    """A level that is no text is made text: the store holds nothing that it could not read again."""

    @wb.agent
    class Odd:
        def run(self) -> None:
            wb.log("x", level=5)  # type: ignore[arg-type]

    wb.run(Odd.get().run())
    session.simulate_crash()
    assert said(session, "Odd()") == [("5", "x")]


def test_prints_in_forks_and_helpers(session: wb.Session, capsys: pytest.CaptureFixture[str]) -> None:
    """A fork does not repeat what its source printed before the cut."""

    @wb.agent
    class Split:
        async def run(self) -> None:
            print("shared")
            print(type(wb.fork()).__name__)

    wb.run(Split.get().run())
    wb.run(session.at_rest())
    assert sorted(capsys.readouterr().out.split()) == ["Forked", "Original", "shared"]


def test_print_outside_agents_is_plain(session: wb.Session, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells and steps print as always, and the built-in comes back when the last session closes."""

    @wb.agent
    class Printing:
        async def run(self) -> None:
            await wb.step(print, "from a step")

    print("from a cell")
    wb.run(Printing.get().run())
    assert capsys.readouterr().out == "from a cell\nfrom a step\n"
    assert said(session, "Printing()") == []
    session.close()
    assert type(builtins.print).__name__ == "builtin_function_or_method"


def test_an_error_that_no_code_awaited_is_told_once(either: wb.Session, caplog: pytest.LogCaptureFixture) -> None:
    """A task that failed and was forgotten is told of in the log when its method ends, and not again on replay."""

    @wb.agent
    class Careless:
        async def run(self) -> None:
            async def fail() -> None:
                raise ValueError("lost")

            asyncio.ensure_future(fail())  # noqa: RUF006 - nobody keeps it
            await asyncio.sleep(0)

    for _ in range(2):
        wb.run(Careless.get().run())
        assert caplog.text.count("never retrieved") == 1
        caplog.clear()
        either.simulate_crash()
