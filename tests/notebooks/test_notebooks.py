"""The tutorials run as a newcomer runs them, and are committed executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def texts(notebook: Any) -> str:
    """All that a notebook printed or returned, as text: of each cell first what it printed, in one piece."""
    found: list[str] = []
    for cell in notebook.cells:
        by_stream: dict[str, str] = {"stdout": ""}
        for output in cell.get("outputs", ()):
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            stream = output.get("name", f"result {len(by_stream)}")
            by_stream[stream] = by_stream.get(stream, "") + text
        found.extend(by_stream.values())
    return "\n".join(found)


def code_cells(notebook: Any) -> list[Any]:
    """The cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(params=TUTORIALS, ids=lambda path: path.stem)
def tutorial(request: pytest.FixtureRequest) -> Path:
    """Each tutorial in turn."""
    path: Path = request.param
    return path


@pytest.mark.timeout(300)
def test_a_tutorial_runs_from_top_to_bottom(tutorial: Path, tmp_path: Path) -> None:
    """Every cell runs without an error in an empty folder, and says what the text around it claims."""
    notebook = nbformat.read(tutorial, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    told = texts(notebook)
    for claim in CLAIMS[tutorial.stem]:
        assert claim in told, claim


CLAIMS = {
    "01_fan_out": (
        "APPLE (item number 1 of worker 0)",
        "Report for africa: OK",
        "Shall we ship? yes",
        "refused: a bad pear is not good",
        "Atlantis is nowhere to be found",
        "Combined: original has [0, 1, 4, 9, 16], fork has sum 30",
        "seen only in the fork's own log",
        "result-from-fork-4",
        "deadlock refused, a cycle of 2 waiting agents",
        "soup with salt",
        "crashed and recovered; still 80?",
        "\n80\n",
        "20540",
    ),
    "02_real_job": ("crash!", "agents that finished more than once: 0", "Error", "all files", "True"),
    "03_agents_in_depth": (
        "with a key:    50 50",
        "finished / None",
        "withdrawn: True",
        "taken back in time: True",
        "ticks: 4",
        "status: interrupted",
        "2 dishes are ready",
        "sunny in Oslo after 4 attempts",
        "[78498, 148933,",
        "no trip: no car left",
        "still booked: []",
        "after the revert: 45",
        "what if:        ['peas', 'beans', 'strawberries']",
        "keeps the code it has",
        "Hello Mia\nAhoy Leo",
        "Baker() has run bake",
        "we sell bread from spelt",
    ),
    "04_seeing": (
        "at most 4 agents at work at the same time",
        "nobody alive can complete it",
        "Editor() - awaited by Editor()",
        "'printed: published",
        "Left()",
        "which a cell completed",
        "files have more than 3000 lines",
        "share 5 entries",
        "then: {",
        "[<client of Analyst()>, <client of Editor()>]",
        "opens in any browser",
        "flowchart LR",
    ),
}


def test_every_tutorial_has_claims() -> None:
    """A tutorial without a claim here would only be run, not checked."""
    assert {path.stem for path in TUTORIALS} == set(CLAIMS)


def test_a_tutorial_is_committed_executed(tutorial: Path) -> None:
    """A reader without a kernel sees results and pictures: outputs and widget state are in the file, and no errors."""
    notebook = nbformat.read(tutorial, as_version=4)
    cells = code_cells(notebook)
    assert all(cell.execution_count for cell in cells)
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    states = notebook.metadata["widgets"][WIDGET_STATE]["state"]
    shown = [
        o.data["application/vnd.jupyter.widget-view+json"]["model_id"]
        for cell in cells
        for o in cell.outputs
        if "widget-view" in str(o)
    ]
    assert shown
    assert set(shown) <= set(states)


def test_a_tutorial_tells_nothing_of_the_machine_it_ran_on(tutorial: Path) -> None:
    """Outputs name no folder of the one who ran the notebook."""
    notebook = nbformat.read(tutorial, as_version=4)
    outputs = "\n".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "/home/" not in outputs
    assert "/tmp/" not in outputs  # noqa: S108 - looked for, not used
    assert "/root/" not in outputs
