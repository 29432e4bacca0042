"""``logs`` and ``events``: what agents printed, and what happens to them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio.to_thread
from pydantic import TypeAdapter

from ploinky.base.errors import NotFoundError
from ploinky.base.redaction import StreamRedactor
from ploinky.lifecycle.environment import agent_redactor
from ploinky.lifecycle.planner import sandbox_name
from ploinky.manifest.values import AgentRef
from ploinky.operations.endpoint import gateway_log as gateway_log_file
from ploinky.operations.gateway_link import require_client
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.runtimes.log_files import read_log, since_offset
from ploinky.wire.events import Event, Output, Result
from ploinky.workspace.layout import Layout

_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


async def logs(
    platform: Platform, agent: AgentRef, *, follow: bool, tail: int | None, since: str | None
) -> AsyncIterator[Event]:
    """What the agent printed: the last ``tail`` lines, from ``since`` on, and with ``follow`` what comes.

    Its secrets are taken out, also where one comes in two pieces.

    Raises:
        NotFoundError: ``AGENT_NOT_ENABLED``; ``NO_LOGS`` if it never ran.
    """
    entry = require_enabled(platform.registry, agent)
    async with platform.open_lifecycle() as ctx:
        name = sandbox_name(ctx, entry)
        if await ctx.runtime.inspect(name) is None:
            raise NotFoundError(
                "NO_LOGS",
                f"Agent '{entry.key}' has no logs: it never ran, or its sandbox was removed.",
                hint=f"Start it: ploinky start {entry.key}",
            )
        redactor = StreamRedactor(await anyio.to_thread.run_sync(agent_redactor, ctx, entry.key))
        chunks = ctx.runtime.logs(name, follow=follow, tail=tail, since=since)
        async for text in _texts(chunks):
            if clean := redactor.feed(text):
                yield Output(text=clean)
        if clean := redactor.end():
            yield Output(text=clean)
    yield Result()


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
    async for text in _texts(read_log(file, start=start, tail=tail, follow=follow, running=lambda: True)):
        yield Output(text=text)
    yield Result()


async def events(layout: Layout) -> AsyncIterator[Event]:
    """What happens to agents from now on, until the gateway ends.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``.
    """
    client = require_client(layout)
    async for fields in client.events():
        yield _EVENTS.validate_python(fields)


async def _texts(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Chunks as text; a character that two chunks share stays whole."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        async for chunk in chunks:
            if text := decoder.decode(chunk):
                yield text
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            with contextlib.suppress(RuntimeError):
                await close()
    if text := decoder.decode(b"", final=True):
        yield text
