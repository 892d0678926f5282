"""Explanations of a session: why an agent waits, where a result came from, what took the time, how forks differ.

The state is asked on its own thread, the log is read on the caller's. An answer is as of one moment: the state is
looked at in one question, and all that it rests on is committed when that is answered. To say who could complete a
promise, the log is read from where the promise was made on, and the state is looked at again; that goes on until
nothing that matters has come in between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple

from workbench.core.lineage import Segment, segments
from workbench.core.nouns import Agent
from workbench.core.state import State
from workbench.errors import AgentTypeError, UnknownAgentError
from workbench.model import entries as e
from workbench.model.entries import Entry
from workbench.questions import invocations
from workbench.questions.critical_path import CriticalPath
from workbench.questions.critical_path import critical_path as path_of
from workbench.questions.explanation import Why
from workbench.questions.fork_answer import ForkComparison
from workbench.questions.fork_difference import compare_forks
from workbench.questions.fork_family import family
from workbench.questions.invocations import Fate, Invocations
from workbench.questions.mentions import TELLING, Mentions, PromiseKey
from workbench.questions.origins import origins
from workbench.questions.standing import Kept, View
from workbench.questions.why import Fan, Trail, follow, follow_plans, tell
from workbench.questions.window import Window
from workbench.runtime.reading import Reader, id_text
from workbench.store.log import Log

MAX_READ: Final = 1_000_000
"""Entries that are read for one answer."""
MAX_COUNTED: Final = 20_000
"""Entries of one oplog that are read to count what is done of a fan-out."""
_CHUNK: Final = 2_000
_ROUNDS: Final = 8
"""Times that the state is looked at before the answer is given as it is."""
_HOW: Final = "name it by the seq of its acceptance, by (agent, key), or by its agent for the last one"


class Explaining(Reader):
    """The reading half of a session with its explanations."""

    def why(self, agent: object = None, *, value_of: object = None) -> Why:
        """Why an agent stands where it stands; or where a result came from.

        An agent's waits are followed to their roots, a sentence each, with the entries as evidence: what runs and for
        how long, behind whom it is queued, who holds the promise that it waits for and who could complete it, or that
        nobody alive can; timers, steps, classes that are not defined, agents that failed or are interrupted. Children
        that an invocation left behind are named.

        Args:
            agent: which, as a client, an `AgentId` or text.
            value_of: instead, an invocation: by the `seq` of its acceptance, as `(agent, key)`, as a row of
                `session.invocations()`, or an agent for its last one. Its causes are told, newest first, down to
                steps, arguments and cells.

        Returns:
            the answer: `.links` as data, `.sentences` as text, `.roots` where the chains end.

        Raises:
            UnknownAgentError: there is no such agent or invocation.
            AgentTypeError: give just one of the two.
            NotInAgentError: agent code is running; ask in a step.
        """
        if (agent is None) == (value_of is None):
            raise AgentTypeError(
                "why of nothing" if agent is None else "why of two things",
                "it takes an agent, or the invocation that a value is of",
                "write session.why(agent) or session.why(value_of=invocation)",
            )
        if agent is not None:
            return self._explainer().why(agent)
        return self._explainer().value_of(value_of)

    def critical_path(self, invocation: object) -> CriticalPath:
        """What decided when an invocation ended: the chain of waits without which it would have ended sooner.

        Args:
            invocation: by the `seq` of its acceptance, as `(agent, key)`, as a row of `session.invocations()`, or an
                agent for its present or else its last one.

        Returns:
            the path: `.segments` from acceptance to end (or to now) without gaps, `.total` seconds, and in `.parallel`
            who was at work when.

        Raises:
            UnknownAgentError: there is no such invocation.
            NotInAgentError: agent code is running; ask in a step.
        """
        return self._explainer().critical_path(invocation)

    def compare(self, *agents: object) -> ForkComparison:
        """What differs between forks: what they share, what each did and was given since, how each ended.

        The oplogs of forks are the same up to a cut. From there on their entries are laid side by side, and the first
        place where they are not the same is told: another outcome of a step, another result or payload, or another way
        that the code took.

        Args:
            agents: two or more of one fork family, each as a client, an `AgentId` or text: forks and their sources, of
                whatever generation, forks from outside (`client.fork(at=)`) too. One that was deleted is named by its
                id, or by `<id>#<uid>` if an agent has that id again.

        Returns:
            the answer: `.past`, `.forks`, `.sides` and `.differences` (`.first`, `.given`) as data, `.sentences` as
            text.

        Raises:
            UnknownAgentError: there is no such agent.
            AgentTypeError: they are fewer than two, or share no history.
            NotInAgentError: agent code is running; ask in a step.
        """
        return self._explainer().compare(agents)

    def _explainer(self) -> "_Explainer":
        return _Explainer(
            _Means(
                self.read,
                self._log,
                self.wall,
                self._defined,
                self._kept,
                self._missing,
                lambda state, asked: self._require(state, id_text(asked)),
            )
        )


class _Means(NamedTuple):
    """What an answer is made from.

    Attributes:
        read: asks the state at one moment.
        log: what is committed.
        wall: the present time.
        defined: whether an agent's class is there to run; `kept`, whether an earlier one of a name is; `missing`, what
            name its code lacks.
        find: the agent that a client, an id or a text names; raises `UnknownAgentError`.
    """

    read: Callable[[Callable[[State], Any]], Any]
    log: Log
    wall: Callable[[], int]
    defined: Callable[[Agent], bool]
    kept: Kept
    missing: Callable[[Agent], str]
    find: Callable[[State, object], Agent]


class _Look(NamedTuple):
    """What was seen at one moment: the chain, the first entry that made one of its promises, the oplogs of its fans."""

    trail: Trail
    made: int
    parts: dict[int, list[Segment]]


class _Named(NamedTuple):
    """An invocation that was asked about: who ran it, the `seq` of its acceptance; and wall time and `seq` of now."""

    uid: int
    seq: int
    now: tuple[int, int]


class _Explainer:
    """One question. To `questions.origins` and `questions.fork_difference` it is the `Reader`."""

    def __init__(self, means: _Means) -> None:
        self._means, self._log = means, means.log
        self._oplogs: dict[int, list[Entry]] = {}
        self._names: dict[int, str] = {}
        self._invocations: Invocations | None = None

    # ---- why -----------------------------------------------------------------------------------------------------

    def why(self, asked: object) -> Why:
        look, mentions, begin = self._look(asked, None), None, 0
        for turn in range(_ROUNDS):
            if not look.trail.promises:
                break
            if mentions is None or look.made <= begin:
                mentions, begin = Mentions(self._log.salt), look.made - 1
                mentions.upto = begin
                self._read(mentions, begin, look.trail.now[1])
            elif self._read(mentions, begin, look.trail.now[1]).isdisjoint(look.trail.promises):
                break
            mentions.capped |= turn == _ROUNDS - 1  # there is no end to it: whoever got the id last may be missing
            look = self._look(asked, mentions)
        trail = look.trail
        walls = {entry.seq: entry.wall for entry in self.entries(trail.wanted())}
        done = {number: self._done(fan, look.parts[fan.uid]) for number, fan in trail.fans.items()}
        return tell(trail, walls, done)

    def _look(self, asked: object, mentions: Mentions | None) -> _Look:
        """Follow the waits as of now."""
        means = self._means

        def look(state: State) -> _Look:
            view = View(means.wall(), means.defined, self._log.salt, mentions, means.kept, means.missing)
            text = id_text(asked)
            if state.find(text) is None and state.schedules.get(text):
                return _Look(follow_plans(state, text, view), 1, {})
            trail = follow(state, means.find(state, asked), view)
            made = [promise.created for key in trail.promises if (promise := state.promises.get(key)) is not None]
            parts = {fan.uid: segments(state, fan.uid) for fan in trail.fans.values()}
            return _Look(trail, min(made, default=1), parts)

        found: _Look = means.read(look)
        return found

    def _read(self, mentions: Mentions, begin: int, upto: int) -> set[PromiseKey]:
        """Read on for mentions; the promises of which more is known now."""
        if upto > begin + MAX_READ:
            mentions.capped, upto = True, begin + MAX_READ
        if upto <= mentions.upto:
            return set()
        changed = mentions.read_all(self._log.select(TELLING, mentions.mark, mentions.upto, upto))
        mentions.upto = upto
        for accepted in self.entries(mentions.unknown_callers()):
            mentions.accepted(accepted)
        return changed

    def _done(self, fan: Fan, parts: Sequence[Segment]) -> int:
        """How many calls of a fan-out have been answered; 0 if there are too many entries to count them.

        Those that were answered before any of its calls was open are of an earlier one.
        """
        since = takewhile(lambda entry: entry.seq > fan.started, self._backwards(parts))
        entries = list(islice(since, MAX_COUNTED + 1))
        if len(entries) > MAX_COUNTED:
            return 0
        done, open_ones = 0, set[int]()
        for entry in reversed(entries):
            match entry.body:
                case e.CallMade(awaited=True, target_id=target, method=method):
                    if f"{target.partition('(')[0]}.{method}" == fan.method:
                        done = done if open_ones else 0
                        open_ones.add(entry.index)
                case e.CallDelivered(op=op) if op in open_ones:
                    open_ones.remove(op)
                    done += 1
                case e.WaitDropped(op=op):
                    open_ones.discard(op)
                case _:
                    pass
        return done

    def _backwards(self, parts: Sequence[Segment]) -> Iterator[Entry]:
        for uid, first, last in reversed(parts):
            for end in range(last, first - 1, -_CHUNK):
                yield from reversed(self._log.read_parts([(uid, max(first, end - _CHUNK + 1), end)]))

    # ---- results and paths ---------------------------------------------------------------------------------------

    def value_of(self, asked: object) -> Why:
        uid, seq, now = self._invocation(asked, running=False)
        return origins(self, uid, seq, now)

    def critical_path(self, asked: object) -> CriticalPath:
        uid, seq, (wall, last) = self._invocation(asked, running=True)
        accepted = self.entry(seq)
        if accepted is None:
            raise _no_invocation(asked)
        ended = self._end_of(uid, seq)
        upto = last if ended is None else max(ended.seq - (not isinstance(ended.body, e.InvocationFinished)), seq)
        window = Window(list(self._log.read(max(seq, upto - MAX_READ + 1) - 1, upto)), self.name, self.entry)
        for entry in window.entries:
            if isinstance(entry.body, e.AgentCreated | e.AgentForked):
                self._names[entry.agent] = entry.body.agent_id
        return path_of(window, uid, accepted, wall, ended)

    def _end_of(self, uid: int, seq: int) -> Entry | None:
        """The entry that ended an invocation."""
        for entry in self._backwards(self._parts(uid)):
            if entry.seq <= seq:
                break
            if entry.invocation == seq and isinstance(entry.body, e.InvocationFinished):
                return entry
        return self.entry(self.fate(uid, seq).ended)

    def _invocation(self, asked: object, *, running: bool) -> _Named:
        """The invocation that was asked about, however it was named.

        Args:
            asked: a `seq`, something that has one, an agent and a key, or an agent.
            running: whether an agent's present invocation goes before its last.
        """
        means = self._means
        seq = asked if isinstance(asked, int) else getattr(asked, "seq", None)
        if isinstance(seq, bool) or not isinstance(seq, int):
            named: _Named = means.read(lambda state: _named(state, asked, means, running=running))
            return named
        accepted = self.entry(seq)
        body = None if accepted is None else accepted.body
        if accepted is None or not isinstance(body, e.CallMade | e.ScheduleFired):
            raise _no_invocation(asked)
        uid = body.target if isinstance(body, e.CallMade) else accepted.agent
        text = str(getattr(asked, "agent_id", ""))

        key = body.key if isinstance(body, e.CallMade) else None

        def look(state: State) -> _Named:
            forks = (agent.uid for agent in state.agents.values() if agent.source and agent.text == text)
            joined = (state.agents[uid].keys or {}).get(key) if key is not None else None
            first = seq if joined is None else min(seq, joined.seq)
            return _Named(next(forks, uid), first, (means.wall(), state.seq))

        found: _Named = means.read(look)
        return found

    # ---- forks ---------------------------------------------------------------------------------------------------

    def compare(self, asked: Sequence[object]) -> ForkComparison:
        means = self._means
        found = means.read(lambda state: family(state, asked, means.find, means.defined, means.wall()))
        return compare_forks(self, found, self._log.salt)

    def part(self, parts: Sequence[Segment]) -> list[Entry]:
        """The committed entries of some parts of oplogs."""
        return self._log.read_parts(parts)

    # ---- the log (see the `Reader`s in `questions`) --------------------------------------------------------------

    def entry(self, seq: int) -> Entry | None:
        """The committed entry of this `seq`."""
        return next(iter(self.entries((seq,))), None)

    def entries(self, seqs: Iterable[int]) -> list[Entry]:
        """Those of these entries that are committed; asked on the session's own thread, some may not be yet."""
        return self._log.read_seqs(sorted(seq for seq in seqs if 0 < seq <= self._log.last_seq))

    def oplog(self, uid: int) -> list[Entry]:
        """The committed entries of an agent along its lineage."""
        found = self._oplogs.get(uid)
        if found is None:
            found = self._oplogs[uid] = self._log.read_parts(self._parts(uid))
        return found

    def _parts(self, uid: int) -> list[Segment]:
        parts: list[Segment] = self._means.read(lambda state: segments(state, uid))
        return parts

    def fate(self, uid: int, seq: int) -> Fate:
        """How an invocation ended of which the agent's oplog does not hold the end: as `session.invocations()` has it.

        All of the log is read for that, once; of one that is under way it is known without.
        """

        def look(state: State) -> tuple[bool, int]:
            agent = state.agents[uid]
            open_ones = (agent.current, *(agent.queue or ()))
            return any(one is not None and one.seq == seq for one in open_ones), state.seq

        under_way, last = self._means.read(look)
        if under_way:
            return Fate(0, 0)
        if self._invocations is None:
            self._invocations = Invocations().fold(self._log.select(invocations.TELLING, upto=last))
        return self._invocations.fate(uid, seq)

    def name(self, uid: int) -> str:
        """The text of an agent's id: its uid is the `seq` of the entry that says it."""
        found = self._names.get(uid)
        if found is None:
            body: Any = getattr(self.entry(uid), "body", None)
            found = self._names[uid] = str(getattr(body, "agent_id", "?"))
        return found


def _named(state: State, asked: object, means: _Means, *, running: bool) -> _Named:
    """An invocation named by agent and key, or by its agent alone.

    Raises:
        UnknownAgentError: there is no such agent, key or invocation.
        AgentTypeError: it is no name of an invocation.
    """
    now = means.wall(), state.seq
    if type(asked) is tuple:
        if len(asked) != 2 or not isinstance(asked[1], str):  # noqa: PLR2004 - an agent and a key
            raise AgentTypeError(f"{asked!r:.80} names no invocation", "a pair is an agent and a key", _HOW)
        kept = invocations.kept_by(state, id_text(asked[0]), asked[1])
        if kept is None:
            agent = means.find(state, asked[0])
            raise UnknownAgentError(
                f"{agent.text} has no invocation with key {asked[1]!r:.80}",
                "no call had this key, or it was withdrawn or reverted",
                _HOW,
            )
        return _Named(kept.invocation.target, kept.invocation.seq, now)
    agent = means.find(state, asked)
    order = (agent.current, agent.last) if running else (agent.last, agent.current)
    invocation = next((one for one in (*order, *(agent.queue or ())) if one is not None), None)
    if invocation is None:
        raise UnknownAgentError(
            f"{agent.text} has no invocation",
            "it was never invoked, or was reverted to before that",
            f"name it by a row of session.invocations({agent.text!r:.80})",
        )
    return _Named(agent.uid, invocation.seq, now)


def _no_invocation(asked: object) -> UnknownAgentError:
    return UnknownAgentError(f"{asked!r:.80} is no invocation", "no entry of that seq accepted one", _HOW)
