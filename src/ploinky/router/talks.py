"""The conversations of one client: one per agent, begun when it is first needed, ended with the client.

What an agent keeps for one client is thereby nobody else's. A log level that the client set is told to each
agent before its first request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import METHOD_NOT_FOUND, RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts, Conversation, Upstream

BackFor = Callable[[str], Back]
SET_LEVEL = "logging/setLevel"
_CLOSE_S = 5.0


class Silent:
    """The way back for what belongs to no client, or to one that has no ear now."""

    def notify(self, method: str, params: JsonObject) -> None:
        return

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        raise RpcError(METHOD_NOT_FOUND, f"The client cannot be asked {method} now.")


SILENT = Silent()


class Talks:
    """``upstreams`` are those of now; ``back_for`` makes the way back for what an agent says unasked."""

    def __init__(self, upstreams: Mapping[str, Upstream], client: ClientFacts, back_for: BackFor) -> None:
        self.client = client
        self._upstreams = upstreams
        self._back_for = back_for
        self._open: dict[str, tuple[Upstream, Conversation]] = {}
        self._level: JsonObject | None = None
        self._levelled: set[str] = set()

    async def request(self, agent: str, ask: Ask) -> JsonObject:
        """See ``Conversation.request``; the agent must have a route."""
        conversation = self._conversation(agent)
        if self._level is not None and agent not in self._levelled:
            await self._tell_level(agent, conversation, ask)
        return await conversation.request(ask)

    async def set_level(self, params: JsonObject, agents: list[str], ask: Ask) -> None:
        """Remember the level, and tell the agents that are talked to already."""
        self._level = params
        self._levelled.clear()
        for agent in agents:
            if agent in self._open:
                await self._tell_level(agent, self._conversation(agent), ask)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Hand a notification of the client to every agent that it talks to."""
        for _, conversation in tuple(self._open.values()):
            await conversation.notify(method, params)

    async def aclose(self) -> None:
        """End all of them, together."""
        ending, self._open = self._open, {}
        if not ending:
            return
        with anyio.move_on_after(_CLOSE_S, shield=True):
            async with anyio.create_task_group() as tasks:
                for _, conversation in ending.values():
                    tasks.start_soon(conversation.aclose)

    def _conversation(self, agent: str) -> Conversation:
        upstream = self._upstreams[agent]
        known = self._open.get(agent)
        if known is None or known[0] is not upstream:
            known = self._open[agent] = (upstream, upstream.converse(self.client, self._back_for(agent)))
            self._levelled.discard(agent)
        return known[1]

    async def _tell_level(self, agent: str, conversation: Conversation, ask: Ask) -> None:
        self._levelled.add(agent)
        if "logging" not in self._upstreams[agent].offer.capabilities or self._level is None:
            return
        try:
            await conversation.request(Ask(ask.id, SET_LEVEL, self._level, self.client, ask.back))
        except (RpcError, PloinkyError):
            return  # an agent that takes no level is still of use
