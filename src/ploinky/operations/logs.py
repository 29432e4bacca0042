"""``logs``: what agents printed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.base.errors import NotFoundError
from ploinky.base.redaction import StreamRedactor
from ploinky.lifecycle.environment import agent_redactor
from ploinky.lifecycle.sandboxes import sandbox_name
from ploinky.manifest.refs import AgentRef
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.runtimes.log_files import decoded
from ploinky.wire.events import Event, Output, Result


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
        async for text in decoded(chunks):
            if clean := redactor.feed(text):
                yield Output(text=clean)
        if clean := redactor.end():
            yield Output(text=clean)
    yield Result()
