"""Tapes on the wire and in files: what a page makes of them is what was written."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.views.entry_log import EntryLog, fan_out
from tests.views.moments import tape_of, told
from tests.views.pages import Page, rows_of, unpacked
from tests.views.wandering import wander
from workbench import front
from workbench.model.entries import CallMade
from workbench.views import tape_packet
from workbench.views.graph_nodes import Origin, Status
from workbench.views.tape import Row, Tape
from workbench.views.tape_packet import COLUMNS, packet, saved

HOUR = 3600 * 10**9
FACTS = {"store": "lesson.db", "entries": 7}
choices = st.lists(st.integers(0, 1000), max_size=150)


def assert_saved(tape: Tape) -> dict[str, Any]:
    """A saved tape has the same rows; times differ by a hundredth of a millisecond at most. Returns its head."""
    head, rows = unpacked(saved(tape, FACTS, {"why:1": [1]}))
    assert [row[1:] for row in rows] == [row[1:] for row in rows_of(tape)]
    assert all(abs(a[0] - b) <= 0.0105 for a, b in zip(rows, tape.wall, strict=True))
    assert head["texts"] == tape.texts
    assert (head["seq"], head["facts"], head["notes"]) == (tape.last_seq, FACTS, {"why:1": [1]})
    return head


@given(choices, st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=20))
def test_packets_put_together_are_the_tape(numbers: list[int], cuts: list[tuple[int, int]]) -> None:
    """Whatever their size, also when some rows and texts are sent twice; the last one tells how far the log is read."""
    tape, page, i = tape_of(wander(numbers).entries), Page(), 0
    while len(page.rows) < len(tape):
        size, again = cuts[i % len(cuts)]
        i += 1
        page.take(packet(tape, max(0, len(page.rows) - again), max(1, len(page.texts) - again), size + again))
    page.take(packet(tape, len(tape), len(page.texts)))
    assert page.rows == rows_of(tape)
    assert page.texts == tape.texts
    assert page.seq == tape.last_seq


def test_a_packet_says_up_to_which_entry_it_tells() -> None:
    """That of its last row, or of all that is read when it holds the last one, though no row came of that."""
    log = fan_out(3)
    log.put(log.root, CallMade(0, "Nobody()", "process", b"", awaited=False))
    tape = tape_of(log.entries)
    assert tape.seq[-1] < tape.last_seq
    assert packet(tape, 0, 1, 5).head["seq"] == tape.seq[4]
    assert packet(tape, 0, 1).head["seq"] == tape.last_seq
    assert packet(tape, len(tape), 1).head | {"texts": []} == {
        "t": "rows",
        "from": len(tape),
        "rows": 0,
        "text": 1,
        "texts": [],
        "seq": tape.last_seq,
    }


@given(choices)
def test_a_saved_tape_is_the_tape(numbers: list[int]) -> None:
    """Every column of every row, and its texts."""
    assert_saved(tape_of(wander(numbers).entries))


def test_an_empty_tape_can_be_saved() -> None:
    """A view that begins now, and whose session does nothing."""
    assert assert_saved(Tape())["rows"] == 0


def test_long_gaps_are_kept() -> None:
    """A night, and a year: more than four bytes of hundredths of a millisecond hold."""
    log = fan_out(6, done=3)
    slept = 0
    for at, hours in ((4, 11), (9, 12), (15, 24 * 365), (16, 13)):
        slept += hours * HOUR
        log.entries[at:] = [msgspec.structs.replace(x, wall=x.wall + hours * HOUR) for x in log.entries[at:]]
    tape = tape_of(log.entries)
    head = assert_saved(tape)
    assert len(head["packed"]["jumps"]) == 3
    assert tape.wall[-1] - tape.wall[0] > slept / 1e6


def test_a_clock_that_was_set_back_stands_still() -> None:
    """Times never go back in what is saved, and are right again once they have caught up."""
    log = fan_out(6)
    log.entries[8:12] = [msgspec.structs.replace(x, wall=x.wall - HOUR) for x in log.entries[8:12]]
    tape = tape_of(log.entries)
    walls = [row[0] for row in unpacked(saved(tape, FACTS)).rows]
    assert walls == sorted(walls)
    right = [row for row in range(len(tape)) if not 9 <= tape.seq[row] <= 12]
    assert all(abs(walls[row] - tape.wall[row]) <= 0.0105 for row in right)


def test_texts_travel_whole() -> None:
    """Ids, labels and lines of any letters, markup included; as JSON they are texts."""
    log = EntryLog()
    odd = 'Worker("</script><img src=x onerror=alert(1)> ü 漢 🦑 \\u0000")'
    log.call(log.root, log.agent(odd), label=f"<b>{odd}</b>")
    tape = tape_of(log.entries)
    assert Page.of(packet(tape, 0, 1)).texts == tape.texts
    assert odd in unpacked(saved(tape, FACTS)).head["texts"]


# ---- a long one


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long is what has more than a hundred rows; twelve agents of it are saved."""
    monkeypatch.setattr(tape_packet, "SAVED_ROWS", 100)
    monkeypatch.setattr(tape_packet, "SAVED_AGENTS", 12)


def rebuilt(data: bytes) -> tuple[dict[str, Any], list[tuple[str, int, Status | None]], list[tuple[int, int]]]:
    """Of a saved tape: its head, the agents with parent and status, and who waits for whom."""
    head, rows = unpacked(data)
    agents: list[tuple[str, int, Status | None]] = []
    links = []
    for _, _, slot, a, b, c, _, kind in rows:
        if kind == Row.AGENT:
            assert slot == len(agents)
            assert -1 <= a < slot
            assert Origin(b).name
            agents.append((head["texts"][c], a, None))
        elif kind == Row.STATUS:
            agents[slot] = (*agents[slot][:2], Status(a & 15))
        elif kind == Row.OPEN:
            links.append((slot, a))
    return head, agents, links


def test_a_long_tape_is_saved_as_its_last_moment(short: None) -> None:
    """Failed agents before those with work before those that are done, each with all that it descends from."""
    log = EntryLog()
    top = log.work(log.root, "Top()")
    assert isinstance(top.body, CallMade)
    calls = [log.work(top.body.target, f"Worker({i})") for i in range(60)]
    for call in calls[:50]:
        log.finish(call)
        log.deliver(call)
    deep = top.body.target
    for i in range(4):
        deep = log.agent(f"Deep({i})", by=deep)
    failed = log.call(deep, log.agent("Lost()", by=deep), label="the <b>lost</b> one")
    log.start(failed)
    log.finish(failed, ok=False)
    tape = tape_of(log.entries)
    head, agents, links = rebuilt(saved(tape, FACTS))
    statuses = {name: status for name, _, status in agents}
    parents = {name: agents[parent][0] for name, parent, _ in agents if parent >= 0}
    assert len(agents) == 12
    assert head["left_out"] == len(tape.view.nodes) - 12
    assert head["seq"] == tape.last_seq
    assert statuses["Lost()"] is Status.FAILED
    assert [parents["Lost()"], parents["Deep(3)"], parents["Deep(0)"], parents["Top()"]] == [
        "Deep(3)",
        "Deep(2)",
        "Top()",
        "Session()",
    ]
    assert Status.DONE not in statuses.values()
    running = [slot for slot, (name, *_) in enumerate(agents) if statuses[name] is Status.RUNNING]
    assert len(running) == 12 - 7
    assert {(1, slot) for slot in running} <= set(links)
    labels = [row for row in unpacked(saved(tape, FACTS)).rows if row[7] == Row.LABEL]
    assert [(agents[row[2]][0], head["texts"][row[5]]) for row in labels] == [("Lost()", "the <b>lost</b> one")]


def test_of_a_long_tape_the_exited_are_saved_last(short: None) -> None:
    """Who stands still needs somebody; who was deleted needs nobody."""
    log = fan_out(40, done=30)
    uids = {node.agent_id: node.uid for node in tape_of(log.entries).view.nodes}
    for i in range(25):
        log.delete(uids[f"Worker({i})"])
    log.interrupt(uids["Worker(39)"])
    _, agents, _ = rebuilt(saved(tape_of(log.entries), FACTS))
    statuses = [status for _, _, status in agents]
    assert Status.INTERRUPTED in statuses
    assert Status.EXITED not in statuses


def test_a_tape_that_just_fits_is_saved_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left out of it; one more row, and only the last moment is there."""
    log = fan_out(30, done=9)
    tape = tape_of(log.entries)
    monkeypatch.setattr(tape_packet, "SAVED_ROWS", len(tape))
    assert "left_out" not in assert_saved(tape)
    monkeypatch.setattr(tape_packet, "SAVED_ROWS", len(tape) - 1)
    head, agents, _ = rebuilt(saved(tape, FACTS))
    assert head["left_out"] == 0
    moment = tape.moment()
    assert agents == [
        (node.agent_id, node.parent, tape.status(moment, node.slot) if moment.last[node.slot] >= 0 else None)
        for node in tape.view.nodes
    ]


@pytest.mark.parametrize("children", [100, 10_000])
def test_what_a_notebook_stores_stays_small(children: int) -> None:
    """About ten bytes a row, and of ten thousand agents less than a picture."""
    tape = tape_of(fan_out(children, done=children - 10, failed=5).entries)
    data = saved(tape, FACTS)
    assert len(data) < (12 * len(tape) if children == 100 else 120_000)


# ---- the page's own reading

READ = """
import { Tape } from "./tape.js";
import { inflate } from "./desk.js";
const given = JSON.parse(await new Response(process.stdin).text());
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
const names = ["wall", "seq", "slot", "a", "b", "c", "index", "kind"];
const rows = (tape) => Array.from({ length: tape.rows }, (_, i) => names.map((name) => tape[name][i]));
const told = (tape) => ({ rows: rows(tape), texts: tape.texts, seq: tape.lastSeq });
const live = new Tape();
for (const [head, data] of given.packets) if (!live.apply(head, bytes(data).buffer)) throw new Error("a gap");
const whole = await inflate(bytes(given.saved)), length = new DataView(whole).getUint32(0, true);
const head = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, 4, length)));
const kept = new Tape();
kept.apply({ ...head, from: 0, text: 1, texts: head.texts.slice(1) }, whole.slice(4 + length));
const moments = given.seqs.map((seq) => {
  const { row, n, last, links } = live.moment(seq);
  return [row, n, [...last.subarray(0, n)], [...links.values()]];
});
console.log(JSON.stringify({ live: told(live), kept: told(kept), moments }));
"""


def test_the_page_reads_what_is_written(tmp_path: Path) -> None:
    """Live and saved, its rows, times and moments are Python's."""
    log = wander([(i * i * 7919 + 31 * i) % 1009 for i in range(1500)])
    log.entries[20:] = [msgspec.structs.replace(x, wall=x.wall + 20 * HOUR) for x in log.entries[20:]]
    tape = tape_of(log.entries)
    seqs = list(range(0, tape.last_seq + 2, 17))
    packets, row, text = [], 0, 1
    while row < len(tape):
        part = packet(tape, row, text, 97)
        packets.append([part.head, b64encode(part.data).decode()])
        row, text = row + part.head["rows"], len(tape.texts)
    given = json.dumps({"packets": packets, "saved": b64encode(saved(tape, FACTS)).decode(), "seqs": seqs})
    node = shutil.which("node")
    assert node, "the front end is checked with node"
    for source in Path(front.__file__).parent.glob("*.js"):
        shutil.copy(source, tmp_path / source.name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "read.js").write_text(READ)
    read = subprocess.run(
        [node, "read.js"], cwd=tmp_path, input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout)
    expected = [list(row) for row in rows_of(tape)]
    assert found["live"] == {"rows": expected, "texts": tape.texts, "seq": tape.last_seq}
    assert [row[1:] for row in found["kept"]["rows"]] == [row[1:] for row in expected]
    assert all(abs(a[0] - b[0]) <= 0.0105 for a, b in zip(found["kept"]["rows"], expected, strict=True))
    for seq, (upto, agents, last, links) in zip(seqs, found["moments"], strict=True):
        moment = tape.moment(seq)
        assert told(moment) == (moment.seq, upto, agents, last, sorted(links)), seq


def test_columns_are_named_in_their_order() -> None:
    """The description of the wire is what is sent."""
    names = [part.split()[0] for part in COLUMNS.split(", ")]
    tape = tape_of(fan_out(3).entries)
    page = Page.of(packet(tape, 0, 1))
    assert list(zip(*(getattr(tape, name) for name in names), strict=True)) == page.rows
