"""Logs for the tests of exports: one of a real session that used every verb, one with names that mean harm."""

from __future__ import annotations

from functools import cache

from tests.views.entry_log import EntryLog
from tests.views.lesson import Lesson, everything
from workbench.model import entries as e
from workbench.model.agent_type import registry
from workbench.model.entries import Entry
from workbench.views.tape import Tape

HOSTILE = (
    "end",
    "click",
    'click n0 "javascript:alert(1)"',
    '"]; click n0 href "javascript:alert(1)"',
    "%%{init: {'securityLevel': 'loose'}}%%",
    "%% remark",
    "a;b",
    "a\nb\r\nclick n0 call alert(1)",
    "#quot;#35;&lt;b&gt;",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "`**bold**`",
    "1. item",
    "[a](javascript:alert(1))",
    "fa:fa-car",
    "$$x^2$$",
    "classDef x fill:#fff;",
    "ﬂ°°60¶ß",
    "a|b",
    "a-->b",
    "a:::b",
    "wrap: x",
    "---\ntitle: x\n---",
    "@{ shape: x }",
    "\u202eabc\u2028\x00",
    "\ud800",
    "",
    " ",
    "x" * 600,
    'x {"y":1}',
)
"""Names of agents and of methods that are something else to a parser, a page or a terminal."""


@cache
def every_verb() -> tuple[Entry, ...]:
    """The log of a real session, in simulated time, that used every verb."""
    before = dict(registry._types)
    lesson = Lesson()
    try:
        everything(lesson)
        return tuple(lesson.log())
    finally:
        lesson.session.close()
        registry._types.clear()
        registry._types.update(before)


def hostile() -> EntryLog:
    """A boss whose children, their methods and their work have hostile names."""
    log = EntryLog()
    top = log.work(log.root, "Boss()")
    assert isinstance(top.body, e.CallMade)
    boss = top.body.target
    for i, name in enumerate(HOSTILE):
        uid = log.agent(name, by=boss)
        call = log.put(boss, e.CallMade(uid, name, name, b"[]", i % 3 != 0, None, name))
        log.put(uid, e.InvocationStarted(name, b"[]", name), call.seq)
        log.put(uid, e.StepStarted(name), call.seq)
        if i % 2:
            log.finish(call, ok=i % 4 == 1)
            log.deliver(call)
    return log


def tape_of(entries: tuple[Entry, ...] | list[Entry]) -> Tape:
    """The rows of a log."""
    tape = Tape()
    tape.apply(entries)
    return tape
