"""Streams of ``subscriptions/listen``: what each asked for, and telling it so.

Changes of lists are seen by the router itself. What changes inside an agent (a resource or a task that was
asked for) is heard by listening there, in a conversation of the listener's own, while the stream is open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.mcp.messages import (
    INVALID_PARAMS,
    META_SERVER,
    META_SUBSCRIPTION,
    METHOD_NOT_FOUND,
    Request,
    RequestId,
    RpcError,
    knows_tasks,
    needs_tasks,
    notification,
    result_body,
)
from ploinky.mcp.upstream import Ask, Back, ClientFacts
from ploinky.router.directory import Origin, server_info
from ploinky.router.exchange import Exchange, changed_lists
from ploinky.router.http import HttpError, event
from ploinky.router.service import Service
from ploinky.router.stateless_talks import StatelessTalks
from ploinky.router.streams import Feed

MAX_LISTENERS = 1024
MAX_URIS = 256
_FLAGS = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}
_URIS = "resourceSubscriptions"
_TASKS = "taskIds"
_NEWS = {_URIS: "notifications/resources/updated", _TASKS: "notifications/tasks"}
_RELISTEN_S = 1.0
_Wanted = dict[str, dict[str, dict[str, str]]]
"""By agent and kind: the agent's own names of what to listen to, and their public ones."""


@dataclass(slots=True, eq=False)
class _Listener:
    """One open stream: the notifications it asked for, the lists that its client knows of."""

    id: RequestId
    origin: Origin
    methods: frozenset[str]
    shown: tuple[bytes, ...]
    feed: Feed = field(default_factory=Feed)

    def notify(self, method: str, params: JsonObject) -> None:
        """See ``Back``; what it did not ask for is left out."""
        if method in self.methods:
            meta = {**(find_object(params, "_meta") or {}), META_SUBSCRIPTION: self.id}
            self.feed.publish(notification(method, {**params, "_meta": meta}))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        raise RpcError(METHOD_NOT_FOUND, f"The client cannot be asked {method} now.")


class Listeners:
    """All open streams."""

    def __init__(self, service: Service, talks: StatelessTalks) -> None:
        self._service = service
        self._directory = service.directory
        self._talks = talks
        self._open: dict[Feed, _Listener] = {}
        self._closed = False

    def close(self) -> None:
        """End all streams; those asked for later end at once."""
        self._closed = True
        for feed in self._open:
            feed.close()

    def publish_changes(self) -> None:
        """Tell every listener whose lists are no longer what they were."""
        for listener in self._open.values():
            shown = self._shown(listener.origin)
            for method in changed_lists(listener.shown, shown):
                listener.notify(method, {})
            listener.shown = shown

    async def serve(self, exchange: Exchange, request: Request, client: ClientFacts) -> None:
        """Keep one stream open.

        Raises:
            RpcError: it does not say what to listen to.
            HttpError: too many are open.
        """
        if len(self._open) >= MAX_LISTENERS:
            raise HttpError(503, "Too many streams are open.", [(b"retry-after", b"5")])
        asked = find_object(request.params, "notifications")
        if asked is None:
            raise RpcError(INVALID_PARAMS, "params.notifications must say what to listen to.")
        assert request.id is not None
        origin = exchange.origin
        honoured: JsonObject = {flag: True for flag in _FLAGS if asked.get(flag) is True}
        if _TASKS in asked and not knows_tasks(client.capabilities):
            raise needs_tasks()
        wanted = self._wanted(origin, asked)
        for kind in _NEWS:
            public = [each for parts in wanted.values() for each in parts.get(kind, {}).values()]
            if public:
                honoured[kind] = [*public]
        methods = {{**_FLAGS, **_NEWS}[flag] for flag in honoured}
        listener = _Listener(request.id, origin, frozenset(methods), self._shown(origin))
        if self._closed:
            listener.feed.close()
        self._open[listener.feed] = listener
        try:
            async with anyio.create_task_group() as tasks:
                for agent, parts in wanted.items():
                    tasks.start_soon(self._listen_at, listener, client, agent, parts)
                await self._stream(exchange, listener, honoured)
                tasks.cancel_scope.cancel()
        finally:
            del self._open[listener.feed]

    async def _stream(self, exchange: Exchange, listener: _Listener, honoured: JsonObject) -> None:
        meta: JsonObject = {META_SUBSCRIPTION: listener.id}
        ack = notification(
            "notifications/subscriptions/acknowledged", {"notifications": honoured, "_meta": meta}
        )
        closing: JsonObject = {
            "resultType": "complete",
            "_meta": {**meta, META_SERVER: server_info(listener.origin.agent)},
        }
        await listener.feed.stream(
            exchange.send,
            exchange.receive,
            first=event(ack),
            last=event(result_body(listener.id, orjson.dumps(closing))),
        )

    def _wanted(self, origin: Origin, asked: JsonObject) -> _Wanted:
        """What to listen to; what is not there is not honoured, and the acknowledgement says so."""
        wanted: _Wanted = {}
        view = self._directory.view(origin)
        finders = {
            _URIS: ("uri", "resources", self._directory.resource),
            _TASKS: ("taskId", "tasks", self._directory.task),
        }
        for kind, (key, capability, find) in finders.items():
            listed = asked.get(kind)
            for name in listed[:MAX_URIS] if isinstance(listed, list) else ():
                try:
                    agent, own = (origin.agent, name) if origin.agent is not None else find(view, {key: name})
                except RpcError:
                    continue
                if isinstance(name, str) and capability in self._service.upstreams[agent].offer.capabilities:
                    wanted.setdefault(agent, {}).setdefault(kind, {})[str(own)] = name
        return wanted

    async def _listen_at(
        self, listener: _Listener, client: ClientFacts, agent: str, parts: dict[str, dict[str, str]]
    ) -> None:
        """Listen at one agent for as long as this runs, again after it was away."""
        aggregate = listener.origin.agent is None

        def back_for(agent: str) -> Back:
            return self._service.outward(listener, agent, aggregate)

        talks = self._talks.fresh(client, back_for)
        params: JsonObject = {"notifications": {kind: [*own] for kind, own in parts.items()}}
        try:
            while agent in self._service.upstreams:
                ask = Ask(f"listen-{listener.id}", "subscriptions/listen", params, client, back_for(agent))
                try:
                    await talks.request(agent, ask)
                except RpcError:
                    return  # it does not have that
                except PloinkyError:
                    pass  # it is away; perhaps it comes back
                await anyio.sleep(_RELISTEN_S)
        finally:
            await talks.aclose()

    def _shown(self, origin: Origin) -> tuple[bytes, ...]:
        return self._directory.snapshot(self._directory.view(origin))
