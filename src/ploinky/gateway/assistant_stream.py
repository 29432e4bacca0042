"""``GET /events/<profileId>``: one assistant's journal as server-sent events, kept over restarts.

``sessionId`` and ``runId`` narrow it. Ids are the journal's own, so ``Last-Event-ID`` (or ``after``) goes on
exactly there, whatever happened to the gateway meanwhile; without one, from now on.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import orjson

from ploinky.assistants.household import Household
from ploinky.assistants.journal import EventJournal
from ploinky.base.errors import UsageError
from ploinky.gateway.event_stream import read_query
from ploinky.gateway.rows import Mount, Request
from ploinky.gateway.rpc.method import Scope as Right
from ploinky.gateway.rpc.scopes import allows, scopes_of
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

_RETRY = b"retry: 1000\n\n"


@dataclass(frozen=True)
class _Wanted:
    after: int
    session: str | None
    run_id: str | None


def assistant_mount(household: Household) -> Mount:
    """The streams of all assistants."""

    async def serve(request: Request) -> None:
        await _serve(household, request)

    return Mount("/events", serve)


async def _serve(household: Household, request: Request) -> None:
    """Send events until the client or the gateway goes.

    Raises:
        HttpError: 403. NotFoundError: ``NO_ASSISTANT``. UsageError: ``BAD_QUERY``.
    """
    scope, send = request.scope, request.send
    if request.caller is None or not allows(scopes_of(request.caller), Right.ASSISTANTS_USE):
        raise HttpError(403, "These events need a scope that this caller has not.")
    journal = household.require(str(scope["path"]).removeprefix("/events/")).journal
    wanted = _wanted(scope, journal)
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
        events = journal.follow(wanted.after, session=wanted.session, run_id=wanted.run_id)
        async with aclosing(events):
            async for event in events:
                head = f"id: {event.id}\nevent: {event.kind.value}\ndata: ".encode()
                await send_chunk(send, head + orjson.dumps(event.wire()) + b"\n\n")
        tasks.cancel_scope.cancel()
    await end_event_stream(send)


def _wanted(scope: Scope, journal: EventJournal) -> _Wanted:
    query = read_query(scope)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    last = next((value.decode("latin-1") for name, value in headers if name == b"last-event-id"), None)
    text = last or query.get("after")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError("BAD_QUERY", "after (or Last-Event-ID) is the id of an event of this stream.")
    after = journal.last_id() if text is None else int(text)
    return _Wanted(after, query.get("sessionId"), query.get("runId"))
