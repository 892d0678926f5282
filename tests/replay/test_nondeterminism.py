"""Code that reads something outside its oplog is stopped by replay; code that does not is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.replay import deterministic, nondeterministic
from tests.replay.nondeterministic import KINDS
from workbench.model.source import revision_of
from workbench.testing import Launcher, read_log, violations

WITHOUT_A_LINE = {"fork_or_not", "order_of_exceptions", "raises_or_not", "result_only"}
"""Kinds that differ in how the method ends, which no line of it asked for."""
STATE_OF_THE_PROCESS = {
    "count_in_a_closure", "fetched_once_a_process", "freed", "global_count", "memoised", "modules_loaded",
    "module_setting", "mutable_class_attribute", "mutable_default", "order_of_exceptions", "singleton",
}  # fmt: skip
"""Kinds of which the text of the class says nothing: only replay finds them."""


@pytest.fixture(scope="module")
def verdicts(launcher: Launcher, stranger: Launcher, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each nondeterministic agent in a second process."""
    folder = tmp_path_factory.mktemp("nondeterministic")
    (folder / "read").mkdir()
    places = {"store": str(folder / "store.db"), "folder": str(folder / "read")}
    acted = launcher.run(nondeterministic.first, **places)
    assert not acted.error, acted.error
    found = stranger.run(nondeterministic.second, **places)
    assert not found.error, found.error
    assert violations(read_log(places["store"])) == []
    result: dict[str, Any] = found.result
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_nondeterminism_is_found(kind: str, verdicts: dict[str, Any]) -> None:
    """Code that read something outside its oplog is stopped, with agent, index, what was, what is, and the line."""
    assert isinstance(verdicts[kind], list), f"{kind} went on as if nothing was: {verdicts[kind]}"
    agent, index, expected, got, line, text = verdicts[kind]
    assert agent == f'Bad("{kind}")'
    assert index >= 3
    assert expected
    assert got
    assert expected != got
    for part in (agent, str(index), expected, got):
        assert part in text
    assert kind in WITHOUT_A_LINE or "nondeterministic.py" in line


def test_only_the_diverging_agents_stop(verdicts: dict[str, Any]) -> None:
    """The agent beside them goes on, and has all that it had."""
    assert verdicts["good"] == len(KINDS) + 1
    assert set(verdicts["failed"]) == {f'Bad("{kind}")' for kind in KINDS}


def test_most_kinds_are_warned_of_at_the_definition() -> None:
    """What can be seen in the class itself is warned of when it is defined, at the line that does it."""
    told = {str(each.message).partition(" ")[0].removeprefix("Bad._"): each for each in nondeterministic.warned}
    assert set(told) == set(KINDS) - STATE_OF_THE_PROCESS
    for kind, warning in told.items():
        code = getattr(nondeterministic.Bad, f"_{kind}").__code__
        assert warning.filename == code.co_filename
        assert code.co_firstlineno < warning.lineno <= max(line for _, _, line in code.co_lines() if line)


def test_good_agents_are_not_warned_of() -> None:
    """Two hundred agents that keep to the rules, all different, give no warning when they are defined."""
    agents, warned = deterministic.define()
    assert warned == []
    assert len({revision_of(agent) for agent in agents}) == len(agents) == 200


def test_good_agents_do_not_diverge(launcher: Launcher, stranger: Launcher, tmp_path: Path) -> None:
    """Replay in a fresh process under another hash seed leaves all of them as they were, and they go on."""
    store = tmp_path / "good.db"
    worked = launcher.run(deterministic.work, store=str(store))
    assert not worked.error, worked.error
    assert worked.result["failed"] == []
    assert set(worked.result["lengths"]) == {4}
    rebuilt = stranger.run(deterministic.rebuild, store=str(store))
    assert not rebuilt.error, rebuilt.error
    assert rebuilt.result["failed"] == {}
    assert rebuilt.result["added"] == []
    assert rebuilt.result["objects"] == worked.result["objects"]
    assert min(rebuilt.result["counts"]) == 3
    assert violations(read_log(store)) == []
