"""Stores of each format that was released, opened by today's code. They are never made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.replay.corpus import PROGRAMS
from workbench.model.places import name_file
from workbench.store.log import SqliteLog
from workbench.testing import SimulatedClock, read_log, rebuild_all, violations
from workbench.testing.effects import effects_go_to

FOLDER = Path(__file__).parent
STORES = sorted(FOLDER.glob("format-*.db"))


@pytest.fixture(params=STORES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a store, and what its programs came to when it was made."""
    told: dict[str, Any] = json.loads(request.param.with_suffix(".json").read_text())
    return Path(shutil.copy(request.param, tmp_path / "store.db")), told


def test_there_is_one_of_this_format() -> None:
    """The present format has its store."""
    assert FOLDER / "format-1.db" in STORES


def test_its_log_is_sound(golden: tuple[Path, dict[str, Any]]) -> None:
    """Every entry is read, the chain holds, and the judge finds nothing."""
    entries = read_log(golden[0])
    assert len(entries) == golden[1]["entries"]
    assert sorted({entry.kind for entry in entries}) == golden[1]["kinds"]
    assert violations(entries) == []


def test_every_agent_is_rebuilt(golden: tuple[Path, dict[str, Any]]) -> None:
    """Replay on today's code asks for all that the log holds."""
    with wb.start(golden[0], clock=SimulatedClock("golden")) as session:
        wb.run(session.at_rest())
        assert {a.agent_id: a.status for a in session.agents()} == golden[1]["agents"]
        assert rebuild_all(session) == {}


def test_its_programs_are_done(golden: tuple[Path, dict[str, Any]]) -> None:
    """Run again, each program gets what it came to then."""
    effects_go_to(golden[0].with_suffix(".effects"))
    with wb.start(golden[0], clock=SimulatedClock("golden")):
        for name, result in golden[1]["results"].items():
            assert json.loads(json.dumps(PROGRAMS[name](lambda *_: None))) == result, name


def test_it_is_read_as_it_lies(golden: tuple[Path, dict[str, Any]]) -> None:
    """Opened to read only, it tells its agents and is left as it was."""
    before = golden[0].read_bytes()
    with wb.start(golden[0], read_only=True) as session:
        assert [a.agent_id for a in session.agents()] == list(golden[1]["agents"])
    assert golden[0].read_bytes() == before


def make(path: Path, programs: list[str]) -> None:
    """Make the store of a new format. For that day only."""
    here = FOLDER.parents[1]
    name_file.append(lambda name: str(Path(name).relative_to(here)) if name.startswith(str(here)) else None)
    effects_go_to(path.with_suffix(".effects"))
    session = wb.start(path, clock=SimulatedClock("made"))
    results = {name: PROGRAMS[name](lambda *_: None) for name in programs}
    wb.run(session.at_rest())
    agents = {a.agent_id: a.status for a in session.agents()}
    session.close()
    log = SqliteLog(path, "", read_only=True)
    entries = list(log.read())
    log.close()
    told = {
        "agents": agents,
        "entries": len(entries),
        "kinds": sorted({entry.kind for entry in entries}),
        "results": results,
    }
    path.with_suffix(".json").write_text(json.dumps(told, indent=1))
