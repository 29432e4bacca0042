"""One client's dealings with an agent of programs: its log level, its subscriptions, its requests.

A program keeps nothing for anybody, so conversations are cheap: any number, made for one request if need be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import INVALID_PARAMS, RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts
from ploinky.toolhost.answers import ProgramAnswers
from ploinky.toolhost.client_listener import ClientListener, level_in
from ploinky.toolhost.parked import ParkedRun, ParkedRuns
from ploinky.toolhost.said import LOG_LEVELS
from ploinky.toolhost.subscriptions import Subscriptions

_DEFAULT_LEVEL = "info"
_MOST_URIS = 256


class Programs(Protocol):
    """The agent. ``answers`` are those of its present configuration."""

    @property
    def answers(self) -> ProgramAnswers: ...

    @property
    def subscriptions(self) -> Subscriptions: ...

    @property
    def parked(self) -> ParkedRuns | None: ...


class ProgramConversation:
    """A ``Conversation``; ``back`` is for what belongs to no request."""

    def __init__(self, agent: Programs, client: ClientFacts, back: Back) -> None:
        self._agent = agent
        self._back = back
        self._level: str | None = None if client.stateless else _DEFAULT_LEVEL
        self._own: dict[str, Callable[[Ask], Awaitable[JsonObject]]] = {
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "subscriptions/listen": self._listen,
        }

    async def request(self, ask: Ask) -> JsonObject:
        """See ``Conversation``."""
        own = self._own.get(ask.method)
        if own is not None:
            return await own(ask)
        level = level_in(ask.params) if ask.client.stateless else self._level
        on_updated = self._agent.subscriptions.publish
        answers, parked = self._agent.answers, self._agent.parked
        if parked is None or not ask.client.stateless or not answers.asks(ask):
            return await answers.answer(ask, ClientListener(ask, level, on_updated))

        async def produce(run: ParkedRun) -> JsonObject:
            return await answers.answer(ask, ClientListener(ask, level, on_updated, run))

        return await parked.serve(ask, produce)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Programs hear nothing of a client's notifications."""

    async def aclose(self) -> None:
        """Forget what it subscribed to."""
        self._agent.subscriptions.remove_all(self)

    async def _set_level(self, ask: Ask) -> JsonObject:
        level = find_text(ask.params, "level")
        if level not in LOG_LEVELS:
            raise RpcError(INVALID_PARAMS, f"params.level must be one of {', '.join(LOG_LEVELS)}.")
        self._level = level
        return {}

    async def _subscribe(self, ask: Ask) -> JsonObject:
        self._agent.subscriptions.add(_uri(ask), self, self._tell(self._back))
        return {}

    async def _unsubscribe(self, ask: Ask) -> JsonObject:
        self._agent.subscriptions.remove(_uri(ask), self)
        return {}

    async def _listen(self, ask: Ask) -> JsonObject:
        uris = (find_object(ask.params, "notifications") or {}).get("resourceSubscriptions")
        who = object()
        try:
            for uri in uris[:_MOST_URIS] if isinstance(uris, list) else ():
                if isinstance(uri, str):
                    self._agent.subscriptions.add(uri, who, self._tell(ask.back))
            await anyio.sleep_forever()
        finally:
            self._agent.subscriptions.remove_all(who)
        return {}

    def _tell(self, back: Back) -> Callable[[str], None]:
        return lambda uri: back.notify("notifications/resources/updated", {"uri": uri})


def _uri(ask: Ask) -> str:
    uri = find_text(ask.params, "uri")
    if uri is None:
        raise RpcError(INVALID_PARAMS, "params.uri must be the URI of a resource.")
    return uri
