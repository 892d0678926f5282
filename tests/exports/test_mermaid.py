"""Diagrams for Mermaid: who made whom and who told whom, with text from agents that is nothing but text to it.

That real Mermaid draws these forms as text was tried with versions 10.9 and 11.17, in each of its security levels.
"""

from __future__ import annotations

import re

import msgspec
import pytest

from tests.exports.lessons import HOSTILE, every_verb, hostile, tape_of
from tests.views.entry_log import EntryLog, fan_out
from workbench.exports import mermaid
from workbench.model import entries as e
from workbench.signs import printable
from workbench.views.graph_nodes import Status
from workbench.views.tables import fitted
from workbench.views.tape import Tape

TEXT = r"(?:[^\W_]| |#\d+;)*"
"""What text from agents is made of: letters, digits, blanks and entity codes."""
NODE = re.compile(rf'    n\d+(?:\(\["|\[")({TEXT}(?:<br/>{TEXT})*)(?:"\]\)|"\]):::(\w+)')
GRAPH_LINES = (
    re.compile(r"flowchart LR"),
    re.compile(r"    accTitle: Agents at entry \d+"),
    NODE,
    re.compile(rf'    more\d*\[\["{TEXT}<br/>{TEXT}"\]\]:::more'),
    re.compile(r'    waits\[\["\d+ waits are left out"\]\]:::more'),
    re.compile(r"    n\d+ --> (?:n|more)\d+"),
    re.compile(r'    n\d+ -\. "fork(?: at \d+)?" \.-> n\d+'),
    re.compile(r'    n\d+ == "[a-z ]+(?:, [\d,]+ times)?" ==> n\d+'),
    re.compile(r"    classDef \w+ fill:#\w{6},stroke:#\w{6},stroke-width:\dpx,color:#1c1c1c"),
)
MESSAGE = re.compile(rf"    p(\d+)(->>|-->>|-\)|--\))p(\d+): ([a-z ]+{TEXT})")
SEQUENCE_LINES = (
    re.compile(r"sequenceDiagram"),
    re.compile(r"    accTitle: Messages up to entry \d+"),
    re.compile(rf"    participant p\d+ as {TEXT}"),
    re.compile(rf"    Note over p\d+(?:,p\d+)?: {TEXT}"),
    MESSAGE,
)


def graph(log: EntryLog, most: int = mermaid.MOST_AGENTS) -> str:
    """The graph at a log's end."""
    tape = tape_of(log.entries)
    return mermaid.graph(tape, tape.moment(), most=most)


def sequence(log: EntryLog, most: int = mermaid.MOST_MESSAGES) -> str:
    """The sequence of a whole log."""
    tape = tape_of(log.entries)
    return mermaid.sequence(tape, tape.moment(), most=most)


def decoded(text: str) -> str:
    """What Mermaid shows of a label."""
    return re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text).replace("\u200b", "")


def tapes() -> list[Tape]:
    """Of a session that used every verb, and of one with hostile names."""
    return [tape_of(every_verb()), tape_of(hostile().entries)]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_letters_and_codes_and_reads_as_it_was(text: str) -> None:
    """Each sign that could mean something is a code; what is shown is the text, in one line that is not too long."""
    made = mermaid.encoded(text)
    assert re.fullmatch(TEXT, made)
    assert decoded(made) == fitted(printable(text), 48)


@pytest.mark.parametrize("begins", ["$$", "fa:fa", "\\n", "ﬂ°°", "¶ß"])
def test_what_works_as_codes_too_is_parted(begins: str) -> None:
    """Formulas, icons, line breaks and Mermaid's own marks have a blank of no width in them."""
    shown = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), mermaid.encoded(f"a{begins}b"))
    assert begins not in shown
    assert shown.replace("\u200b", "") == f"a{begins}b"


def test_every_line_of_a_graph_is_of_a_known_form() -> None:
    """Whatever names hold, a graph is made of nodes, edges and classes, and no name is an identifier."""
    for tape in tapes():
        for seq in range(1, tape.last_seq + 1, 13):
            for line in mermaid.graph(tape, tape.moment(seq)).splitlines():
                assert any(form.fullmatch(line) for form in GRAPH_LINES), line


def test_every_line_of_a_sequence_is_of_a_known_form() -> None:
    """Whatever names hold, a sequence is made of participants, messages and notes."""
    for tape in tapes():
        for seq in range(1, tape.last_seq + 1, 13):
            for line in mermaid.sequence(tape, tape.moment(seq)).splitlines():
                assert any(form.fullmatch(line) for form in SEQUENCE_LINES), line


def test_graph_tells_what_the_tape_tells() -> None:
    """At each entry every agent is a node with its id and the word of its status, which is its class too."""
    tape = tape_of(every_verb())
    for seq in range(1, tape.last_seq + 1, 7):
        moment = tape.moment(seq)
        nodes = [match for line in mermaid.graph(tape, moment).splitlines() if (match := NODE.fullmatch(line))]
        assert len(nodes) == moment.agents
        for slot, node in enumerate(nodes):
            name, *_, doing = decoded(node[1]).split("<br/>")
            assert name == fitted(tape.view.nodes[slot].agent_id, 48)
            if slot:
                assert doing.split()[0] == node[2] == tape.status(moment, slot).word


def test_graph_has_spawns_forks_and_waits() -> None:
    """A child has a line, a fork a dotted one with its cut, an open wait a thick one; several waits are counted."""
    log = EntryLog()
    call = log.work(log.root, "Boss()")
    assert isinstance(call.body, e.CallMade)
    boss = call.body.target
    child = log.agent("Worker(1)", by=boss)
    log.call(boss, child)
    log.call(boss, child)
    log.fork(boss, "Boss()[x]")
    text = graph(log)
    assert 'n0(["Session#40;#41;<br/>cells"]):::root' in text
    assert 'n1["Boss#40;#41;<br/>waiting process"]:::waiting' in text
    assert "    n1 --> n2\n" in text
    assert f'    n1 -. "fork at {log.index(boss)}" .-> n3\n' in text
    assert '    n1 == "waits for a reply, 2 times" ==> n2\n' in text
    for status in Status:
        assert f"classDef {status.word} " in text


def test_large_graph_keeps_what_needs_a_look() -> None:
    """Of many agents the failed and the busy ones are shown, with their ancestors; the others are counted by status."""
    text = graph(fan_out(400, done=395, failed=3), most=10)
    nodes = [match for line in text.splitlines() if (match := NODE.fullmatch(line))]
    assert [node[2] for node in nodes].count("failed") == 3
    assert [node[2] for node in nodes].count("running") == 2
    assert len(nodes) == 10
    assert "Coordinator" in nodes[1][1]
    assert 'more1[["392 more<br/>392 done"]]:::more' in text


def test_diagrams_fit_into_mermaid() -> None:
    """However many agents there are and however long their names, Mermaid's limits of text and edges hold."""
    log = fan_out(700, name="\"{}'" + "<>" * 60)
    for text in (graph(log, most=10_000), sequence(log, most=10_000)):
        assert len(text) < 50_000
        assert len(re.findall("-->|==>|[.]->", text)) <= 500


def test_sequence_tells_messages_in_order_of_receipt() -> None:
    """Calls, replies, triggers and completions have arrows of their own; a fork is a note."""
    log = EntryLog()
    call = log.work(log.root, "Boss()")
    assert isinstance(call.body, e.CallMade)
    boss = call.body.target
    child = log.work(boss, "Worker(1)")
    assert isinstance(child.body, e.CallMade)
    log.finish(child, ok=False)
    log.deliver(child, ok=False)
    reply = len(log.entries)
    trigger = log.call(boss, child.body.target, awaited=False)
    log.start(trigger)
    promise = log.promise(boss)
    wait = log.await_promise(boss, boss, promise)
    done = log.put(child.body.target, e.PromiseCompleted(boss, promise, b"", first=True))
    given = log.put(wait.agent, e.PromiseDelivered(wait.index, b""))
    log.fork(boss, "Boss()[x]")
    for seq, cause in ((reply, reply - 1), (given.seq, done.seq)):
        log.entries[seq - 1] = msgspec.structs.replace(log.entries[seq - 1], cause=cause)
    lines = sequence(log).splitlines()
    assert lines[2:6] == [
        "    participant p0 as Session#40;#41;",
        "    participant p1 as Boss#40;#41;",
        "    participant p2 as Worker#40;1#41;",
        "    participant p3 as Boss#40;#41;#91;x#93;",
    ]
    assert [line.strip() for line in lines[6:]] == [
        "p0->>p1: call process",
        "p1->>p2: call process",
        "p2-->>p1: error of process",
        "p1-)p2: trigger process",
        f"p2--)p1: complete promise {promise} of Boss#40;#41;",
        "Note over p1,p3: Boss#40;#41;#91;x#93; is forked off",
    ]


def test_replies_and_completions_of_a_real_session_are_there() -> None:
    """In a session that used every verb there are arrows of all kinds, between participants that are declared."""
    tape = tape_of(every_verb())
    lines = mermaid.sequence(tape, tape.moment()).splitlines()
    found = [match for line in lines if (match := MESSAGE.fullmatch(line))]
    assert {match[2] for match in found} == {"->>", "-->>", "-)", "--)"}
    declared = [line.split()[1] for line in lines if line.startswith("    participant")]
    assert declared == sorted(declared, key=lambda name: int(name[1:]))
    assert {f"p{slot}" for match in found for slot in (match[1], match[3])} <= set(declared)
    assert any(match[4].startswith("error of work") for match in found)
    assert any(decoded(match[4]).startswith("complete promise ") for match in found)


def test_long_sequence_keeps_the_newest_and_says_so() -> None:
    """Of many messages the newest are shown, and a note says how many came before."""
    log = fan_out(50)
    lines = sequence(log, most=5).splitlines()
    assert len([line for line in lines if MESSAGE.fullmatch(line)]) == 5
    assert "Note over p1,p51: 46 earlier messages are left out" in "\n".join(lines)
    assert "earlier message" not in sequence(log)


def test_nothing_is_a_diagram_too() -> None:
    """Before the first entry, and before the first message, there is an empty diagram."""
    assert mermaid.graph(Tape(), Tape().moment()).startswith("flowchart LR\n")
    assert mermaid.sequence(Tape(), Tape().moment()) == "sequenceDiagram\n    accTitle: Messages up to entry 0\n"
    assert "participant p0" in sequence(EntryLog())
