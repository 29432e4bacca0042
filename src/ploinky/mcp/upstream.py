"""One agent as the router sees it, whatever it is made of: programs, or an MCP server.

Messages are MCP's own, parsed, under the agent's own names, and of no era: an implementation speaks to its
agent as it must, the router speaks to the client as it must. To add a kind of agent: fulfil ``Upstream`` and
``Conversation`` and pass ``tests/router/test_bridging.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import RequestId

NOTHING: Mapping[str, JsonObject] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Offer:
    """What an agent has at this moment: wire objects as it gives them, under its own names.

    ``capabilities`` are those of an MCP server. ``varies``: another conversation may see other lists, so
    the agent is asked when one client alone looks at it. ``keeps_state``: what one conversation does may
    show in it later, so that two clients never share one. ``problem`` says what is wrong, empty if nothing.
    """

    capabilities: JsonObject = field(default_factory=dict)
    tools: tuple[JsonObject, ...] = ()
    resources: tuple[JsonObject, ...] = ()
    templates: tuple[JsonObject, ...] = ()
    prompts: tuple[JsonObject, ...] = ()
    server_info: JsonObject | None = None
    instructions: str | None = None
    varies: bool = False
    keeps_state: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """Who asks, as far as an agent may know. ``session_id`` is None for a client of the stateless era."""

    caller: str
    version: str
    stateless: bool = False
    session_id: str | None = None
    capabilities: JsonObject = field(default_factory=dict)
    info: JsonObject = field(default_factory=dict)


class Back(Protocol):
    """The way back to the client that asked."""

    def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification as soon as the client takes it; never waits, may drop it."""
        ...

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        """Ask the client (elicitation, sampling, roots); its result.

        Raises:
            RpcError: the client cannot be asked that, refused, or went away.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a client. ``params`` name things as the agent does; ``back`` is this request's own."""

    id: RequestId
    method: str
    params: JsonObject
    client: ClientFacts
    back: Back


class Conversation(Protocol):
    """One client's dealings with one agent; state that the agent keeps for it is nobody else's."""

    async def request(self, ask: Ask) -> JsonObject:
        """The result. Cancelling ends the work at the agent. Of a ``subscriptions/listen`` there is no
        result until it is cancelled: what it asked for comes by ``ask.back``.

        A result of ``resultType`` ``input_required`` comes only if the client is of the stateless era.

        Raises:
            RpcError: the agent's own error, as it gave it.
            PloinkyError: ``CHANNEL_*``, ``SANDBOX_STOPPING``, ``DEADLINE``: the agent is or went away. A
                request that may have begun is never sent twice.
        """
        ...

    async def notify(self, method: str, params: JsonObject) -> None:
        """Hand on a notification of the client (``notifications/roots/list_changed``); errors are dropped."""
        ...

    async def aclose(self) -> None:
        """End it, and what the agent keeps for it. Idempotent; waits no longer than some seconds."""
        ...


class Upstream(Protocol):
    """One agent."""

    @property
    def offer(self) -> Offer:
        """What it offers, as last seen; costs nothing."""
        ...

    async def refresh(self) -> bool:
        """Look again; whether the offer changed. Never raises for what is wrong with the agent."""
        ...

    def converse(self, client: ClientFacts, back: Back) -> Conversation:
        """Begin a conversation, without waiting; ``back`` is for what belongs to no request of it."""
        ...

    def close(self) -> None:
        """End every conversation without waiting; what runs fails. The agent itself lives on."""
        ...
