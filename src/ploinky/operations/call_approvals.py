"""``mcp approvals`` and ``mcp approve``: calls that wait for a person because the policy says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.operations.gateway_link import require_client
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result


async def list_call_approvals(platform: Platform) -> AsyncIterator[Event]:
    """The calls that wait now, with their exact arguments."""
    yield Result(value=await require_client(platform.layout).rpc("tools.approvals", {}))


async def answer_call(platform: Platform, approval_id: str, allow: bool) -> AsyncIterator[Event]:
    """Let a call go on, or refuse it.

    Raises:
        PloinkyError: ``APPROVAL_NOT_FOUND``.
    """
    client = require_client(platform.layout)
    value = await client.rpc("tools.approve", {"id": approval_id, "allow": allow})
    yield Notice(message="The call goes on." if allow else "The call is refused.")
    yield Result(value=value)
