"""The front end's text as it is sent: one module that builds no markup, with Python's numbers; and ipykernel's pin."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import zlib
from base64 import b64encode
from collections import Counter
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from ipykernel.comm.comm import BaseComm as KernelComm

from tests.views.entry_log import fan_out
from tests.widgets.conftest import Show
from tests.widgets.front_end import Feed, FrontEnd
from workbench import front
from workbench.exports.page import PANES
from workbench.views import graph_looks
from workbench.views.graph_nodes import Link, Origin, Status
from workbench.views.tape import Arrow, PromiseEvent, Reason, Row
from workbench.widgets.code import code
from workbench.widgets.dashboard import Dashboard
from workbench.widgets.subshells import answer_anywhere

MODULE = front.assemble(*front.DASHBOARD)
LOADER = Dashboard._esm
BUILDS_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|DOMParser|\beval\(|new Function|"
    r"setAttribute\(\"on|javascript:|srcdoc"
)
"""Ways in which a name that an agent was given could become code."""


@pytest.mark.parametrize("text", [MODULE, LOADER], ids=["module", "loader"])
def test_it_is_a_module_by_itself(text: str, tmp_path: Path) -> None:
    """It parses as one, imports nothing, exports its default only, builds no markup and names no other server."""
    path = tmp_path / "module.mjs"
    path.write_text(text, "utf-8")
    node = shutil.which("node")
    assert node, "the front end is checked with node"
    checked = subprocess.run([node, "--check", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"^\s*import\b(?!\()", text, re.MULTILINE)
    assert re.findall(r"^export \w+", text, re.MULTILINE) == ["export default"]
    assert not BUILDS_MARKUP.search(text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)


def test_the_script_of_a_page_parses_and_exports_nothing(tmp_path: Path) -> None:
    """An exported page runs the same code, and its own few lines."""
    path = tmp_path / "page.mjs"
    path.write_text(front.script(), "utf-8")
    node = shutil.which("node")
    assert node
    checked = subprocess.run([node, "--check", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"^(export|import)\b", front.script(), re.MULTILINE)
    assert not BUILDS_MARKUP.search(front.script())


def test_every_source_is_in_the_module() -> None:
    """A file that nobody assembles would be dead, and one that imports what stands after it would not run."""
    folder = Path(front.__file__).parent
    assert {path.stem for path in folder.glob("*.js")} == {*front.DASHBOARD, "loader", "page"}
    assert {path.stem for path in folder.glob("*.css")} == {*front.SHEETS, "page"}
    for at, name in enumerate(front.DASHBOARD):
        used = re.findall(
            r'^import [^;]*from "\./(\w+)\.js";', (folder / f"{name}.js").read_text("utf-8"), re.MULTILINE
        )
        assert set(used) <= set(front.DASHBOARD[:at]), name


def test_no_name_is_taken_twice() -> None:
    """Modules become one text: what two of them declare at the top would be one thing."""
    names: Counter[str] = Counter()
    for name in front.DASHBOARD:
        text = (Path(front.__file__).parent / f"{name}.js").read_text("utf-8")
        names.update(re.findall(r"^(?:export )?(?:async )?(?:function\*?|class) (\w+)", text, re.MULTILINE))
        for declared in re.findall(r"^(?:export )?(?:const|let) (.*)$", text, re.MULTILINE):
            # what is declared with commas, nested brackets left out
            flat = re.sub(r"\"[^\"]*\"|'[^']*'", "", declared)
            while re.search(r"[(\[{][^()\[\]{}]*[)\]}]", flat):
                flat = re.sub(r"[(\[{][^()\[\]{}]*[)\]}]", "", flat)
            names.update(re.findall(r"(?:^|,)\s*(\w+)\s*(?==(?!>|=))", flat))
    assert len(names) > 100
    assert [name for name, times in names.items() if times > 1] == []


def test_it_is_small() -> None:
    """A notebook stores the loader with each widget, and once the module, compressed, and the style sheets."""
    assert len(LOADER) < 4_000
    assert len(b64encode(zlib.compress(MODULE.encode()))) + len(front.styles(*front.SHEETS)) < 250_000


def listed(name: str) -> list[str]:
    """The parts of a list in the module."""
    found = re.search(rf"const {name} = \[([^\]]*)\]", MODULE)
    assert found, name
    return [part.strip(' "') for part in found[1].split(",")]


def test_both_sides_know_the_same_statuses() -> None:
    """Numbers, words, order of reading and colours of the statuses are the same in Python and in the page."""
    assert listed("STATUS") == [status.word for status in Status]
    assert listed("READING_ORDER") == [status.name for status in graph_looks.ORDER]
    assert listed("BAR") == [status.name for status in graph_looks.BAR]
    assert listed("LIGHT") == [graph_looks.COLOURS[status] for status in Status]
    assert len(listed("DARK")) == len(Status)


@pytest.mark.parametrize(
    ("numbers", "form"),
    [
        (Status, "{}"),
        (Origin, "{}"),
        (Row, "{}_ROW"),
        (Reason, "FOR_{}"),
        (Arrow, "{}_ARROW"),
        (PromiseEvent, "{}"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_both_sides_know_the_same_numbers(numbers: type[IntEnum], form: str) -> None:
    """What travels as a number means the same thing at both ends."""
    for member in numbers:
        assert re.search(rf"\b{form.format(member.name)} = {member.value}\b", MODULE), member


def test_both_sides_know_the_same_links() -> None:
    """Those that the page draws have their names there; the others have no use for one."""
    assert {link.name: link.value for link in Link} | dict.fromkeys(("TIMER", "STEP"), 0) == {
        **{name: int(n) for name, n in re.findall(r"\b(CALL|TRIGGER|PROMISE|COMPLETION) = (\d+)\b(?!_)", MODULE)},
        "TIMER": 0,
        "STEP": 0,
    }


def test_both_sides_know_the_same_arrows_by_word() -> None:
    """The page's words for messages stand in the order of their numbers."""
    assert listed("ARROWS") == ["", *(arrow.name.lower() for arrow in Arrow)]


def test_both_sides_know_the_same_views() -> None:
    """The tabs are what `panes` may name, in their order."""
    found = re.search(r"^const PANES = \{(.*)\};$", MODULE, re.MULTILINE)
    assert found
    assert re.findall(r"(\w+): \[", found[1]) == list(PANES)


def test_the_code_is_one_model_for_all_widgets(front_end: FrontEnd, show: Show) -> None:
    """Widgets name it by reference, and it is made anew only when somebody closed it."""
    first, second = show(Feed(fan_out(1))), show(Feed(fan_out(1)))
    made = code()
    assert first.code is second.code is made
    opened = [data["state"] for _, kind, _, data, _ in front_end.arrived if kind == "comm_open"]
    assert [state["code"] for state in opened if "panes" in state] == [f"IPY_MODEL_{made.model_id}"] * 2
    assert len([state for state in opened if "css" in state]) == 1
    assert zlib.decompress(made.module).decode() == MODULE
    assert made.css == front.styles(*front.SHEETS)
    made.close()
    anew = code()
    assert anew is not made
    assert code() is anew
    assert anew.comm is not None


def test_ipykernel_still_has_the_pin_that_we_loosen() -> None:
    """From ipykernel 7.4 on comms pin replies to a shell by `_reply_subshell_for(data, default)`; we replace just that.

    When this fails ipykernel has changed: look for what decides which subshell handles a `comm_msg`, and adapt
    `workbench/widgets/subshells.py`, or clicks will not arrive while a cell blocks.
    """
    pinned = tuple(int(part) for part in version("ipykernel").split(".")[:2]) >= (7, 4)
    pin = getattr(KernelComm, "_reply_subshell_for", None)
    assert (pin is not None) == pinned
    assert pin is None or list(inspect.signature(pin).parameters) == ["self", "data", "default"]
    stand_in = SimpleNamespace(_reply_subshell_for=lambda *_: "pinned")
    assert answer_anywhere(stand_in)
    assert stand_in._reply_subshell_for({}, "any") == "any"
    assert not answer_anywhere(SimpleNamespace())
