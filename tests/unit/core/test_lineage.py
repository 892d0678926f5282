"""Lineage: which parts make up a fork's oplog, and replay along them."""

from tests.unit.core.test_waits import Script
from workbench.core import decisions
from workbench.core.lineage import Cursor, Segment, forked_at, segments
from workbench.core.nouns import ROOT_UID
from workbench.ids import AgentId
from workbench.model import entries as e
from workbench.model.entries import Entry


def fork(script: Script, uid: int, number: int) -> tuple[Entry, int]:
    """Fork an agent; the cut and the fork's uid."""
    source = script.state.agents[uid]
    phantom = AgentId.parse(source.text).with_phantom(__import__("uuid").UUID(int=number, version=4))
    drafts = decisions.fork(script.state, source, phantom)
    made = script.put(*drafts[0])
    body = drafts[1][1]
    assert isinstance(body, e.AgentForked)
    entry = Entry(script.state.seq + 1, drafts[1][0], body.cut + 1, 0, 0, 0, 0, "", body)
    script.state.apply(entry)
    return made, entry.agent


def test_segments_of_a_fork_of_a_fork() -> None:
    """Each ancestor gives what stands between its own beginning and the cut; indices go on without a gap."""
    script = Script()
    root = script.agent("A")
    script.call(ROOT_UID, root)
    script.put(root, e.PromiseCreated())
    first_cut, first = fork(script, root, 1)
    script.put(root, e.PromiseCreated())
    script.put(first, e.PromiseCreated())
    second_cut, second = fork(script, first, 2)
    script.put(second, e.PromiseCreated())
    parts = segments(script.state, second)
    assert parts == [
        Segment(root, 1, first_cut.index),
        Segment(first, first_cut.index + 1, second_cut.index),
        Segment(second, second_cut.index + 1, second_cut.index + 2),
    ]
    assert segments(script.state, root) == [Segment(root, 1, script.state.agents[root].index)]


def test_a_fork_inherits_the_invocation_and_not_the_queue() -> None:
    """The fork is in the same invocation, whose outcome is its own; what is queued stays with the source."""
    script = Script()
    uid = script.agent("A")
    script.call(ROOT_UID, uid)
    script.put(ROOT_UID, e.CallMade(uid, "A()", "later", b"\x90", awaited=False))
    _, forked = fork(script, uid, 1)
    source, twin = script.state.agents[uid], script.state.agents[forked]
    assert twin.current is not None
    assert source.current is not None
    assert twin.current.seq == source.current.seq
    assert twin.queue is None
    script.put(forked, e.InvocationFinished(ok=True, value=b"\x01"))
    assert twin.last is not None
    assert twin.last.settled
    assert not source.current.settled


def test_the_cursor_tells_the_sides_apart() -> None:
    """The same `ForkMade` reads as the fork along the fork's lineage, and as the original along the source's."""
    script = Script()
    uid = script.agent("A")
    script.call(ROOT_UID, uid)
    before = script.put(uid, e.PromiseCreated())
    made, forked = fork(script, uid, 1)
    assert Cursor([before, made], forked_at(script.state, forked)).is_fork_side(made)
    assert not Cursor([before, made], forked_at(script.state, uid)).is_fork_side(made)


def test_the_cursor_steps_over_hints() -> None:
    """Hints are no past that code could ask for; what was said before is silent once."""
    said = Entry(2, 5, 2, 0, 0, 0, 0, "", e.Logged("stdout", "x\n"))
    made = Entry(3, 5, 3, 0, 0, 0, 0, "", e.PromiseCreated())
    cursor = Cursor([said, made, said])
    assert cursor.said_before("stdout", "x\n")
    assert cursor.peek() is made
    assert [cursor.live, cursor.take() is made, cursor.live, cursor.peek()] == [False, True, True, None]
