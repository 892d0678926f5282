"""What a page may have done, after its reader confirmed it: complete a promise, fork an agent, take one back."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from workbench.errors import RefusedError
from workbench.ids import AgentId
from workbench.model.agent_type import registry
from workbench.runtime.client import Client
from workbench.runtime.requests import Requests
from workbench.runtime.session import Session
from workbench.views.graph_nodes import Status
from workbench.views.tape import Tape

_SECONDS: Final = 10.0
"""How long a page waits for the session to do something."""


def client_of(text: str) -> Client:
    """The client of an agent, by its id.

    Raises:
        UnknownAgentError: its class is not defined here.
    """
    agent_id = AgentId.parse(text)
    return Client(registry.get(agent_id.type_name), agent_id)


class Acts:
    """What may be done from the views of one tape.

    Args:
        session: where; one that only reads refuses everything.
        tape: slots and numbers of promises are its.
    """

    def __init__(self, session: Session, tape: Tape) -> None:
        self._session, self._tape = session, tape

    def __contains__(self, kind: str) -> bool:
        return kind in self._KINDS

    def act(self, kind: str, args: dict[str, Any]) -> dict[str, Any]:
        """Do it; what came of it, as JSON.

        Raises:
            WorkbenchError: it was not done; says why.
        """
        return self._KINDS[kind](self, args)

    @property
    def _requests(self) -> Requests:
        return self._session.thread.requests

    def _agent(self, args: dict[str, Any]) -> str:
        slot, nodes = args.get("slot"), self._tape.view.nodes
        if not isinstance(slot, int) or not 0 <= slot < len(nodes):
            raise RefusedError(f"agent {slot!r:.20}", "the view has no such place", "reload the page")
        node = nodes[slot]
        if node.halted == Status.EXITED and not node.ephemeral:
            raise RefusedError(f"{node.agent_id} was deleted", "its id may be another agent's now", "pick that one")
        return node.agent_id

    def _complete(self, args: dict[str, Any]) -> dict[str, Any]:
        """Complete a promise by hand, with JSON."""
        number, text, promises = args.get("number"), str(args.get("text")), self._tape.promises
        if not isinstance(number, int) or not 0 <= number < len(promises):
            raise RefusedError(f"promise {number!r:.20}", "the view has no such promise", "reload the page")
        try:
            data = text.encode()
            msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise RefusedError("the completion", f"this is no JSON ({error})", 'write JSON, as {"ok": true}') from error
        promise = self._session.promise(*promises[number]).promise_id
        return {"first": self._requests.complete_promise(promise, data, "")}

    def _plan(self, args: dict[str, Any]) -> dict[str, Any]:
        """What a fork or a revert at an index will do, or why it is refused."""
        agent, index = self._agent(args), _index(args)
        self._requests  # noqa: B018 - refused at once where it could not be done
        refusal, after, newest = self._session.cut(agent, index)
        if refusal:
            return {"ok": False, "text": f"{agent} cannot go back to index {index}: {refusal}."}
        if args.get("verb") == "fork":
            return {
                "ok": True,
                "text": f"Makes a new agent, a fork of {agent}. It shares the oplog up to index {index} and goes on "
                f"from there by itself; {agent} is left as it is.",
            }
        taken = (
            f"What came after it, {after:,} {'entry' if after == 1 else 'entries'} up to index {newest}, will count no "
            "longer, and who waits for that gets an error."
            if after
            else "Nothing came after that."
        )
        return {"ok": True, "text": f"Takes {agent} back to index {index}. {taken} What its steps did stays done."}

    def _fork(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"agent": self._control("fork", args)}

    def _revert(self, args: dict[str, Any]) -> dict[str, Any]:
        self._control("revert_to", args)
        return {"done": True}

    def _control(self, verb: str, args: dict[str, Any]) -> Any:
        return self._requests.control(verb, self._agent(args), _index(args), "").result(_SECONDS)

    _KINDS: ClassVar[dict[str, Callable[..., dict[str, Any]]]] = {
        "complete": _complete,
        "plan": _plan,
        "fork": _fork,
        "revert": _revert,
    }


def _index(args: dict[str, Any]) -> int:
    index = args.get("index")
    if isinstance(index, bool) or not isinstance(index, int):
        raise RefusedError(f"index {index!r:.20}", "an index is a number", "click an entry")
    return index
