# mypy: disable-error-code="attr-defined, no-any-return, no-untyped-call, unused-ignore"
# (`get` and its like are added by the decorator, which a type checker does not follow.)
"""What a fresh process finds: classes that are not defined yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import workbench as wb
from workbench.testing import Launcher, SimulatedClock, read_log, violations
from workbench.testing.arming import die
from workbench.testing.channel import Channel


def begin_late(channel: Channel, *, store: str) -> None:
    """Leave behind an agent that waits, and a queue behind it; then die."""
    from tests.replay.late import Late

    session = wb.start(store, clock=SimulatedClock(1))
    pid = wb.create_promise()
    Late.get(1).wait_for.with_options(key="w").trigger(pid)
    Late.get(1).count.with_options(key="c").trigger()
    wb.run(session.at_rest())
    channel.tell("pid", str(pid))
    die()


def go_on_late(channel: Channel, *, store: str, pid: str) -> dict[str, Any]:
    """Open the store without the class, look, complete the promise; then define the class."""
    session = wb.start(store, clock=SimulatedClock(2))
    wb.run(session.at_rest())
    before = {a.agent_id: a.status for a in session.agents()}
    wb.complete_promise(wb.PromiseId.parse(pid), b"meanwhile")
    wb.run(session.at_rest())
    still = {a.agent_id: a.status for a in session.agents()}
    from tests.replay.late import Late

    wb.run(session.at_rest())
    after = {a.agent_id: a.status for a in session.agents()}
    results = [
        wb.run(Late.get(1).wait_for.with_options(key="w")(wb.PromiseId.parse(pid))),
        wb.run(Late.get(1).count.with_options(key="c")()),
    ]
    session.close()
    return {"before": before, "still": still, "after": after, "results": results}


def test_agents_of_an_undefined_class_wait_for_it(launcher: Launcher, tmp_path: Path) -> None:
    """Agents whose class is not defined wait, visibly; once it is defined they go on by themselves, in order."""
    store = tmp_path / "late.db"
    left = launcher.run(begin_late, store=str(store))
    assert left.status == -9
    found = launcher.run(go_on_late, store=str(store), pid=left.told["pid"])
    assert not found.error, found.error
    assert found.result["before"] == {"Late(1)": "undefined"}
    assert found.result["still"] == found.result["before"]
    assert found.result["after"] == {"Late(1)": "idle"}
    assert found.result["results"] == [[1, 2, "meanwhile"], 3]
    assert violations(read_log(store)) == []
