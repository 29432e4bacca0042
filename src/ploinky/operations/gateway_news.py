"""``logs router`` and ``events``: what the gateway wrote, and what it tells of the agents. Imports little."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.operations.endpoint import gateway_log as gateway_log_file
from ploinky.operations.gateway_link import require_client
from ploinky.runtimes.log_files import decoded, read_log, since_offset
from ploinky.wire.events import Event, Output, Result, parse_event
from ploinky.workspace.layout import Layout


async def gateway_log(
    layout: Layout, *, follow: bool, tail: int | None, since: str | None
) -> AsyncIterator[Event]:
    """The last ``tail`` lines that the gateway and its supervisor wrote and, with ``follow``, all that come,
    those of the next gateway too.

    Raises:
        NotFoundError: ``NO_LOGS``.
    """
    file = gateway_log_file(layout)
    if not file.exists():
        raise NotFoundError("NO_LOGS", "The router never ran here.", hint="Start it: ploinky start")
    start = since_offset(file, since, None, 0)
    async for text in decoded(read_log(file, start=start, tail=tail, follow=follow, running=lambda: True)):
        yield Output(text=text)
    yield Result()


async def events(layout: Layout) -> AsyncIterator[Event]:
    """What happens to agents from now on, until the gateway ends.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``; ``GATEWAY_PROTOCOL`` for an event of a kind that is not known here.
    """
    client = require_client(layout)
    async for fields in client.events():
        try:
            event = parse_event(fields)
        except ValueError as error:
            raise PloinkyError(
                "GATEWAY_PROTOCOL",
                f"The gateway sent what is no event here ({error}).",
                hint="It may be of another version; start it again: ploinky restart router",
            ) from error
        yield event
