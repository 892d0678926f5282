"""Whatever agents, callers and stores are called and say: in all that a session gives out it is text, and nothing else.

Each payload has a world of its own, made once, and each output of that world is read by a strict reader.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from tests.exports.test_mermaid import GRAPH_LINES, SEQUENCE_LINES
from tests.hostile.payloads import BEACON, PAYLOADS, RUN
from tests.hostile.reading import DANGEROUS, Element, drawn, terminal
from tests.hostile.world import World, world
from workbench import cli
from workbench.errors import RefusedError, SearchError, WorkbenchError
from workbench.exports import shiviz
from workbench.exports.answers import Answers
from workbench.exports.figures import figure
from workbench.exports.pictures import KINDS
from workbench.exports.saving import tape_of
from workbench.magics import crash_line, status_line
from workbench.signs import printable
from workbench.views import tables
from workbench.views.drawing import Drawing, Text
from workbench.views.lettering import plain
from workbench.views.progress import JobProgress
from workbench.views.tape import Row
from workbench.widgets.acts import Acts, client_of
from workbench.widgets.pump import PUMP
from workbench.widgets.show import Still

IGNORED: Final = {"class": "tex2jax_ignore mathjax_ignore"}
"""What keeps MathJax from looking for formulas in an element."""
XLINK: Final = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module", params=PAYLOADS)
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world of one payload."""
    with world(PAYLOADS[request.param], tmp_path_factory.mktemp("hostile")) as made:
        yield made


def begin_of(world: World) -> str:
    """How the payload looks at its beginning wherever it is drawn; empty where each place writes it in its own way."""
    found = re.match(r"[\w<>/=$({:.,;'`%&! -]{1,10}", world.text)
    return found[0].strip() if found else ""


def telling(world: World) -> list[Any]:
    """What sentences there are: why each agent stands where it stands, what took so long, what came of forks."""
    session, found = world.session, list[Any]()
    for agent in session.agents():
        found.append(session.why(agent.agent_id))
        try:
            found.append(session.critical_path(agent.agent_id))
        except WorkbenchError as refused:  # it did nothing yet
            terminal(printable(str(refused)))
    source, *forks = [a.agent_id for a in session.agents() if world.agents["source"] in (a.agent_id, a.forked_from)]
    values = [session.why(value_of=one) for one in session.invocations()[::4] if one.state == "finished"]
    return [*found, *values, session.compare(source, *forks)]


def listing(world: World) -> list[tables.Table]:
    """All tables."""
    session = world.session
    return [
        tables.agents_table(session.agents()),
        tables.promises_table(session.promises()),
        tables.forks_table(session.fork_tree()),
        tables.invocations_table(session.invocations()),
        *(tables.oplog_table(session.oplog(agent.agent_id)) for agent in session.agents()),
    ]


# ---- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_shapes_and_texts(hostile: World, kind: str) -> None:
    """Each SVG parses strictly, has nothing that could refer to anything, and shows the text as text."""
    snapshot = hostile.session.snapshot(kind)
    bundle = snapshot._repr_mimebundle_()
    texts = drawn(bundle["image/svg+xml"])
    terminal(bundle["text/plain"] + repr(snapshot))
    if kind in ("graph", "timeline"):
        assert any(begin_of(hostile) in text for text in texts)


def test_the_picture_of_a_deadlock_is_shapes_and_texts(hostile: World) -> None:
    """The same of the picture of a refused cycle, whose agents, methods and lines are hostile."""
    texts = drawn(str(hostile.deadlock._repr_svg_()))
    assert any(begin_of(hostile) in text for text in texts)


def test_a_figure_holds_its_texts_letter_by_letter(hostile: World) -> None:
    """A figure is saved as SVG, PDF and PNG without a warning; its SVG refers to itself only, and has plain texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sheet, pages = hostile.session.figure("forks"), io.BytesIO()
        sheet.savefig(pages, format="svg")
        texts = _of_figure(pages.getvalue())
        small = _texts_of(hostile)
        for ending in ("svg", "pdf", "png"):
            pages = io.BytesIO()
            figure(small).savefig(pages, format=ending)
            if ending == "svg":
                texts = [*texts, *_of_figure(pages.getvalue())]
    shown = [mark.text for mark in small.marks if isinstance(mark, Text)]
    assert shown
    for text in shown:
        assert any(plain(text).split() == found.split() for found in texts), text


def _texts_of(world: World) -> Drawing:
    """A picture of the texts of all pictures that hold something of the payload, and of the payload itself."""
    wanted = {world.text, world.payload}
    for kind in KINDS:
        for text in drawn(world.session.snapshot(kind)._repr_mimebundle_()["image/svg+xml"])[2:]:
            if begin_of(world) in text and len(wanted) < 5:
                wanted.add(text)
    shown = sorted(text for text in wanted if plain(text).strip())
    marks = tuple(Text(8, 16 + 20 * row, text) for row, text in enumerate(shown or ["nothing to see"]))
    return Drawing(400, 20 * len(marks) + 16, "texts", marks)


def _of_figure(data: bytes) -> list[str]:
    """Texts of matplotlib's SVG, once it is sure that it refers to nothing outside."""
    source = data.decode()
    root = ET.fromstring(source)  # noqa: S314 - a picture of our own
    texts = []
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        assert name not in ("script", "image", "a", "foreignObject", "animate", "set", "iframe"), name
        for attribute, value in element.attrib.items():
            assert not attribute.lower().startswith("on")
            if attribute in ("href", XLINK):
                assert value.startswith("#"), value
            assert RUN not in value
            assert BEACON not in value
        if name == "text":
            texts.append("".join(element.itertext()))
        elif name != "tspan":
            assert RUN not in (element.text or "")
    return texts


# ---- cells -----------------------------------------------------------------------------------------------------------


def test_sentences_in_a_cell_are_text(hostile: World) -> None:
    """Answers are lists of text in HTML, and lines without control signs where they are printed."""
    for answer in telling(hostile):
        page = Element(answer._repr_html_())
        assert page.tags == {"ul", "li"}
        assert page.elements[0] == ("ul", IGNORED)
        assert all(not attributes for _, attributes in page.elements[1:])
        assert not DANGEROUS.search(page.text)
        terminal(repr(answer))
        terminal(str(answer))


def test_what_stands_for_a_value_in_a_terminal_is_one_line(hostile: World) -> None:
    """Sessions, clients, methods, errors and results are shown by lines without control signs."""
    client = next(iter(hostile.deadlock.cycle))[0]
    for value in (hostile.session, client_of(client), client_of(client).ask, hostile.results, hostile.results.failed):
        assert "\n" not in terminal(repr(value))


def test_tables_in_a_cell_are_text(hostile: World) -> None:
    """Tables have cells and nothing else in HTML, and no control sign where they are printed."""
    texts = ""
    for table in listing(hostile):
        page = Element(table._repr_html_())
        assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
        assert page.elements[0] == ("table", IGNORED)
        assert all(attributes in (IGNORED, {"style": "text-align:left"}, {}) for _, attributes in page.elements)
        assert dict(page.elements).get("p", IGNORED) == IGNORED
        assert not DANGEROUS.search(page.text)
        terminal(repr(table))
        texts += page.text
    assert printable(hostile.text[:8]) in texts


def test_progress_of_a_job_is_one_line_of_text(hostile: World) -> None:
    """The line of a job whose name is hostile is one line, with nothing that moves a cursor; its HTML is a bar."""
    job = next(a.agent_id for a in hostile.session.agents(type="_item") if a.parent == "Session()")
    line = JobProgress(job, hostile.payload, 2)
    line.apply(hostile.session.entries())
    note = f"no longer updated (OSError: {hostile.payload})"
    text = terminal(line.text(note))
    assert "\n" not in text
    assert "2 of 2 done, 1 failed" in text
    page = Element(line.html(note))
    assert page.tags <= {"div", "span"}
    assert page.elements[0][1].pop("class") == IGNORED["class"]
    assert {name for _, attributes in page.elements for name in attributes} <= {"style"}
    for _, attributes in page.elements:
        assert re.fullmatch(r"[\w:;.,()%# -]*", attributes.get("style") or "")
    assert not DANGEROUS.search(page.text)


def test_what_a_saved_notebook_shows_is_a_picture(hostile: World) -> None:
    """The still below a live view is an image of data with a text instead; the widget's own outputs are text too."""
    view = hostile.session.dashboard()
    try:
        view.settle()
        bundle = Still(view)._repr_mimebundle_()
        page = Element(bundle["text/html"])
        assert [name for name, _ in page.elements] == ["img"]
        attributes = page.elements[0][1]
        assert set(attributes) == {"class", "alt", "src"}
        head, data = str(attributes["src"]).split(",")
        assert head == "data:image/svg+xml;base64"
        drawn(b64decode(data).decode())
        terminal(bundle["text/plain"])
        saved = zlib.decompress(view.state["data"])
        told = json.loads(saved[4 : 4 + int.from_bytes(saved[:4], "little")])
        assert not any("\ud800" <= sign <= "\udfff" for sign in json.dumps(told, ensure_ascii=False))
        assert hostile.text in told["texts"] or not hostile.text
    finally:
        view.close()
        assert PUMP.join()


def test_answers_to_a_page_are_whole(hostile: World) -> None:
    """Whatever a page asks, the answer is JSON without halves of pairs, and never an error that was not foreseen."""
    tape = tape_of(hostile.session)
    answers = Answers(hostile.session, tape)
    slots = range(len(tape.view.nodes))
    kinds = {(entry.kind, getattr(entry.body, "ok", None)): entry.seq for entry in hostile.session.entries()}
    asked: list[tuple[str, dict[str, Any]]] = [("entry", {"seq": seq}) for seq in (0, *kinds.values())]
    asked += [("promise", {"number": number}) for number in range(len(tape.promises))]
    asked += [("details", {"slot": slot}) for slot in slots]
    asked += [(kind, {"slot": slot}) for slot in slots[::3] for kind in ("oplog", "why", "path")]
    asked += [("oplog", {"slot": slot, "search": hostile.payload}) for slot in list(slots)[:3]]
    bars = {(tape.slot[row], tape.a[row]): tape.seq[row] for row in tape.rows(Row.STATUS)}
    asked += [("bar", {"slot": slot, "seq": seq}) for (slot, _), seq in list(bars.items())[::3]]
    asked += [("forks", {"slots": list(slots)}), (hostile.payload, {}), ("bar", {"slot": hostile.payload, "seq": 1})]
    texts = ""
    for kind, args in asked:
        try:
            texts += json.dumps(answers.answer(kind, args), ensure_ascii=False)
        except WorkbenchError as refused:
            texts += str(refused)
    texts.encode()
    whole = json.dumps(hostile.payload[:100], ensure_ascii=False)[1:-1]
    assert whole in texts or any("\ud800" <= sign <= "\udfff" for sign in whole) or not hostile.text.isprintable()


def test_a_page_completes_with_json_only(hostile: World) -> None:
    """What is written by hand as a promise's value is JSON or refused in words, whatever it is."""
    tape = tape_of(hostile.session)
    acts = Acts(hostile.session, tape)
    number = next(n for n, promise in enumerate(tape.promises) if promise.owner == 1)
    for text in (hostile.payload, f'"{hostile.payload}', f"[{hostile.payload}", '"\\ud800"', "\ud800"):
        with pytest.raises(RefusedError) as refused:
            acts.act("complete", {"number": number, "text": text})
        str(refused.value).encode()


def test_status_and_crash_in_a_cell_are_one_line(hostile: World) -> None:
    """What the magics print of a store and its agents moves no cursor."""
    assert "\n" not in terminal(status_line())
    assert "\n" not in terminal(crash_line())


# ---- terminals -------------------------------------------------------------------------------------------------------


def test_commands_print_no_control_sign(hostile: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command on a hostile store prints lines without a sign that moves the cursor, and so do its complaints."""
    store, agents = str(hostile.store), hostile.agents
    capsys.readouterr()
    tables_and_json = [["agents", store], ["promises", store], ["forks", store]]
    tables_and_json += [["oplog", store, agents["worker"]], ["why", store, agents["retries"]]]
    for command in (*tables_and_json, ["oplog", store, agents["first"]], ["why", store, agents["changed"]]):
        for form in ([], ["--json"]) if command in tables_and_json[::2] else ([],):
            assert cli.main([*command, *form]) == 0
            printed = capsys.readouterr()
            terminal(printed.out)
            assert printed.err == ""
            if form:
                json.loads(printed.out)
    for command in (["why", store], ["oplog", store, agents["worker"], "--search"], ["agents"]):
        assert cli.main([*command, f"x{hostile.payload}"]) in (0, 1)
        printed = capsys.readouterr()
        terminal(printed.out)
        terminal(printed.err)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_mermaid_is_statements_of_known_forms(hostile: World) -> None:
    """Each line of a diagram is a statement of ours, with letters and codes in the place of the payload."""
    for kind, forms in (("graph", GRAPH_LINES), ("sequence", SEQUENCE_LINES)):
        text = hostile.session.to_mermaid(kind)
        for line in text.splitlines():
            assert any(form.fullmatch(line) for form in forms), line
        assert not DANGEROUS.search(text.replace("\n", ""))


def test_a_trace_is_json_without_control_signs(hostile: World, tmp_path: Path) -> None:
    """The trace is JSON in UTF-8, and none of its texts holds a control sign or half of a pair."""
    data = hostile.session.to_perfetto(tmp_path / "trace.json").read_bytes()
    trace = json.loads(data.decode())
    texts: list[str] = []
    todo: list[Any] = [trace]
    while todo:
        value = todo.pop()
        todo += value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else []
        texts += [value] if isinstance(value, str) else []
    terminal("".join(texts))
    assert printable(hostile.text[:40]) in "".join(texts)


def test_a_log_for_shiviz_keeps_its_lines(hostile: World, tmp_path: Path) -> None:
    """Each event takes two lines, whatever is in it, and they are found by the pattern in the first line."""
    path = hostile.session.to_shiviz(tmp_path / "run.log")
    head, empty, *lines = terminal(path.read_bytes().decode()).split("\n")[:-1]
    assert (head, empty) == (shiviz.PATTERN, "")
    entries = list(hostile.session.entries())
    assert len(lines) == 2 * len(entries)
    pattern = re.compile(shiviz.PATTERN.replace("(?<", "(?P<"))
    for entry, first, second in zip(entries, lines[::2], lines[1::2], strict=True):
        found = pattern.fullmatch(f"{first}\n{second}")
        assert found is not None
        assert int(found["entry"]) == entry.seq
        assert " " not in found["host"]
        assert found["host"] in json.loads(found["clock"])


def test_a_page_of_its_own_holds_the_payload_as_data_only(hostile: World, tmp_path: Path) -> None:
    """The page's policy allows its script and style by their hashes; the payload is in it compressed, or escaped."""
    text = hostile.session.to_html(tmp_path / "page.html").read_bytes().decode()
    page = Element(text)
    assert page.declared == ["doctype html"]
    names = [name for name, _ in page.elements]
    head = ["html", "head", "meta", "meta", "meta", "title", "style"]
    assert names == [*head, "body", "div", "noscript", "script", "script", "script"]
    scripts = [attributes for name, attributes in page.elements if name == "script"]
    assert [str(attributes.pop("type")) for attributes in scripts[:2]] == [
        "application/json",
        "application/octet-stream",
    ]
    assert scripts == [{"id": "wb-options"}, {"id": "wb-data"}, {"type": "module"}]
    bodies = re.findall(r"<script [^>]*>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert (len(bodies), len(styles)) == (3, 1)
    assert "<!--" not in bodies[2]
    assert "<script" not in bodies[2].lower()
    policy = str(page.elements[3][1]["content"])
    assert page.elements[3][1]["http-equiv"] == "Content-Security-Policy"
    assert policy == (
        f"default-src 'none'; script-src '{_hash(bodies[2])}'; style-src '{_hash(styles[0])}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    saved = zlib.decompress(b64decode(bodies[1], validate=True))
    told = json.loads(saved[4 : 4 + int.from_bytes(saved[:4], "little")])
    assert hostile.text in told["texts"] or not hostile.text
    assert text.endswith("</script></body></html>\n")
    title = re.search(r"<title>(.*?)</title>", text)
    assert title is not None
    assert not DANGEROUS.search(title[1])
    rest = text.replace(bodies[2], "").replace(styles[0], "")
    if re.search(r"[<>\"'&\x00-\x1f]", hostile.text) and hostile.text.strip():
        assert hostile.text not in rest
    assert RUN not in rest.replace(title[1], "")
    assert BEACON not in rest.replace(title[1], "")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


# ---- the payloads ----------------------------------------------------------------------------------------------------


def test_there_are_enough_payloads() -> None:
    """There are at least 30, no two of them equal."""
    assert len(set(PAYLOADS.values())) == len(PAYLOADS) >= 30


def test_a_kind_of_picture_there_is_not_is_refused(tmp_path: Path) -> None:
    """A kind whose name is a payload is an error in words."""
    with world("x", tmp_path) as made:
        for payload in PAYLOADS.values():
            for show in (made.session.snapshot, made.session.figure, made.session.to_mermaid):
                with pytest.raises(SearchError):
                    show(payload)
