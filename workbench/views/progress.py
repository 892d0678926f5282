"""How far a fan-out job is: a fold of the feed that counts the children of one agent."""

from collections.abc import Iterable
from html import escape

from workbench.model.entries import (
    AgentCreated,
    AgentDeleted,
    AgentFailed,
    AgentReverted,
    Body,
    Entry,
    InvocationFinished,
    InvocationStarted,
)
from workbench.signs import NO_FORMULAS, printable


class JobProgress:
    """Counts of one job.

    Args:
        agent_id: the job's agent id.
        title: what people call it.
        items: how many children there will be.
    """

    def __init__(self, agent_id: str, title: str, items: int) -> None:
        self.agent_id, self.title, self.items = agent_id, title, items
        self.seq = self.done = self.failed = 0
        self.began = self.wall = 0
        self.over = ""
        """What ended it, in a word; empty while it runs."""
        self._job = 0
        self._children: set[int] = set()
        self._at_work: set[int] = set()

    @property
    def running(self) -> int:
        """Children at work."""
        return len(self._at_work)

    def apply(self, entries: Iterable[Entry]) -> bool:
        """Fold entries in; whether any of them belongs to the job."""
        news = False
        for entry in entries:
            self.seq = entry.seq
            body = entry.body
            if isinstance(body, AgentCreated):
                if body.agent_id == self.agent_id:
                    self._job = entry.agent
                elif self._job and body.spawned_by == self._job:
                    self._children.add(entry.agent)
            elif entry.agent == self._job:
                news = self._of_job(entry) or news
            elif entry.agent in self._children:
                news = self._of_child(entry) or news
        return news

    def _of_job(self, entry: Entry) -> bool:
        if isinstance(entry.body, InvocationStarted):  # a named job that is run again starts from nothing
            self.done = self.failed = 0
            self.began, self.over = entry.wall, ""
            self._children.clear()
            self._at_work.clear()
        elif isinstance(entry.body, InvocationFinished):
            self.over = "done" if entry.body.ok else "failed"
        elif isinstance(entry.body, AgentFailed):
            self.over = "failed"
        elif isinstance(entry.body, AgentDeleted):
            self.over = self.over or "deleted"
        else:
            return False
        self.wall = entry.wall
        return True

    def _of_child(self, entry: Entry) -> bool:
        if isinstance(entry.body, InvocationStarted):
            self._at_work.add(entry.agent)
        elif entry.agent in self._at_work and _ends(entry.body):
            self._at_work.discard(entry.agent)
            ok = isinstance(entry.body, InvocationFinished) and entry.body.ok
            self.done += ok
            self.failed += not ok
        else:
            return False
        self.wall = entry.wall
        return True

    def text(self, note: str = "") -> str:
        """One line for people."""
        parts = [f"{self.done + self.failed:,} of {self.items:,} done"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.running and not self.over:
            parts.append(f"{self.running:,} running")
        if self.over == "deleted":
            parts.append("deleted")
        parts.append(f"{(self.wall - self.began) / 1e9:.1f} s")
        return printable(f"{self.title}: {', '.join(parts)}{f' — {note}' if note else ''}")

    def html(self, note: str = "") -> str:
        """The same line with a bar, for a notebook; all names are text."""
        share = 100 * (self.done + self.failed) / self.items if self.items else 100
        bad = 100 * self.failed / self.items if self.items else 0
        bar = "width:220px;height:8px;border-radius:4px;overflow:hidden;display:flex;background:rgba(128,128,128,.25)"
        return (
            f'<div {NO_FORMULAS} style="display:flex;align-items:center;gap:10px;'
            'font:13px var(--jp-ui-font-family,sans-serif)">'
            f'<div style="{bar}"><div style="width:{share - bad:.1f}%;background:#009e73"></div>'
            f'<div style="width:{bad:.1f}%;background:#d55e00"></div></div>'
            f"<span>{escape(self.text(note))}</span></div>"
        )


def _ends(body: Body) -> bool:
    """Whether an agent that ran does not after this: whoever waits for it gets an outcome, or a failure."""
    if isinstance(body, AgentReverted):
        return not body.facts.invocation
    return isinstance(body, InvocationFinished | AgentFailed | AgentDeleted)
