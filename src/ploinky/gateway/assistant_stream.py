"""``GET /events/<profileId>``: one assistant's journal as server-sent events, kept over restarts.

``sessionId`` and ``runId`` narrow it. Ids are the journal's own, so ``Last-Event-ID`` (or ``after``) goes on
exactly there, whatever happened to the gateway meanwhile; without one, from now on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from ploinky.assistants.household import Household
from ploinky.assistants.journal import EventJournal
from ploinky.base.errors import UsageError
from ploinky.gateway.event_stream import read_query, send_events
from ploinky.gateway.rows import Mount, Request
from ploinky.gateway.rpc.method import Scope as Right
from ploinky.gateway.rpc.scopes import allows, scopes_of
from ploinky.router.http import HttpError, Scope


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
    scope = request.scope
    if request.caller is None or not allows(scopes_of(request.caller), Right.ASSISTANTS_USE):
        raise HttpError(403, "These events need a scope that this caller has not.")
    journal = household.require(str(scope["path"]).removeprefix("/events/")).journal
    wanted = _wanted(scope, journal)
    await send_events(request, _told(journal, wanted))


async def _told(journal: EventJournal, wanted: _Wanted) -> AsyncGenerator[bytes, None]:
    events = journal.follow(wanted.after, session=wanted.session, run_id=wanted.run_id)
    async with aclosing(events):
        async for event in events:
            head = f"id: {event.id}\nevent: {event.kind.value}\ndata: ".encode()
            yield head + orjson.dumps(event.wire()) + b"\n\n"


def _wanted(scope: Scope, journal: EventJournal) -> _Wanted:
    query = read_query(scope)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    last = next((value.decode("latin-1") for name, value in headers if name == b"last-event-id"), None)
    text = last or query.get("after")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError("BAD_QUERY", "after (or Last-Event-ID) is the id of an event of this stream.")
    after = journal.last_id() if text is None else int(text)
    return _Wanted(after, query.get("sessionId"), query.get("runId"))
