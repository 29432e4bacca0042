"""``GET /events``: the hub as server-sent events, resumed by ``Last-Event-ID``, alive by comments.

The query says what to send: ``topics`` (with commas), ``agent``, ``profileId``, ``sessionId``; ``after`` is
the last event's id where a header cannot be sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from urllib.parse import parse_qs

import anyio

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.gateway.hub import TOPICS, EventHub, HubEvent, Watch, make_watch
from ploinky.gateway.rows import Request
from ploinky.gateway.rpc.scopes import allows, scopes_of
from ploinky.router.callers import Caller
from ploinky.router.http import (
    PING,
    PING_EVERY_S,
    HttpError,
    Scope,
    end_event_stream,
    send_chunk,
    start_event_stream,
    wait_for_disconnect,
)

_MOST_QUERY = 4096
_RETRY = b"retry: 1000\n\n"


async def serve_events(hub: EventHub, request: Request) -> None:
    """Send events until the client or the gateway goes.

    Raises:
        UsageError: ``UNKNOWN_TOPIC``. HttpError: 403 for a topic that the caller may not watch.
    """
    query = read_query(request.scope)
    watch = permitted(request.caller, watch_of(query))
    after = _header(request.scope, b"last-event-id") or query.get("after")
    await send_events(request, (as_sse(hub, event) async for event in hub.listen(watch, after=after)))


async def send_events(request: Request, events: AsyncGenerator[bytes, None]) -> None:
    """Answer with ``events`` as they come, alive by comments, until the client or the gateway goes."""
    send = request.send
    await start_event_stream(send)
    await send_chunk(send, _RETRY)
    async with anyio.create_task_group() as tasks:

        async def end_with(wait: Awaitable[None]) -> None:
            await wait
            tasks.cancel_scope.cancel()

        async def keep_alive() -> None:
            while True:
                await anyio.sleep(PING_EVERY_S)
                await send_chunk(send, PING)

        tasks.start_soon(end_with, wait_for_disconnect(request.receive))
        tasks.start_soon(end_with, request.closing.wait())
        tasks.start_soon(keep_alive)
        async with aclosing(events):
            async for event in events:
                await send_chunk(send, event)
        tasks.cancel_scope.cancel()
    await end_event_stream(send)


def as_sse(hub: EventHub, event: HubEvent) -> bytes:
    """One event as it goes over the wire; its SSE type is the topic."""
    event_id = hub.id_of(event)
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event.topic}\ndata: ".encode() + event.data + b"\n\n"


def read_query(scope: Scope) -> dict[str, str]:
    """The first value of each parameter.

    Raises:
        UsageError: ``BAD_QUERY`` if it is too long.
    """
    raw: bytes = scope.get("query_string", b"")
    if len(raw) > _MOST_QUERY:
        raise UsageError("BAD_QUERY", "The query is too long.")
    return {name: values[0] for name, values in parse_qs(raw.decode("latin-1")).items()}


def watch_of(query: dict[str, str]) -> Watch:
    """Raises:
    UsageError: ``UNKNOWN_TOPIC``.
    """
    return make_watch(
        query.get("topics", ""),
        agent=query.get("agent"),
        assistant=query.get("profileId"),
        session=query.get("sessionId"),
    )


def permitted(caller: Caller, watch: Watch) -> Watch:
    """The watch if the caller may have it.

    Raises:
        HttpError: 403.
    """
    held = scopes_of(caller)
    if any(not allows(held, TOPICS[topic]) for topic in watch.topics):
        raise HttpError(403, "These events need a scope that this caller has not.")
    return watch


def require_permitted(caller: Caller, watch: Watch) -> Watch:
    """Like ``permitted``, for callers of RPC.

    Raises:
        PloinkyError: ``FORBIDDEN``.
    """
    try:
        return permitted(caller, watch)
    except HttpError as error:
        raise PloinkyError("FORBIDDEN", error.message) from error


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
