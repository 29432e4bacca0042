"""``assistant``, ``memory``, ``cron``, ``approvals``, ``heartbeat``: what people do with assistants.

Which assistants there are is files, so making and removing one needs no gateway, and a running one is
told. Everything else is the running gateway's (``gateway_rpc.ask_gateway``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.assistants import editing
from ploinky.assistants.configuration import read_configuration
from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import closest
from ploinky.operations.gateway_rpc import reload_gateway
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result


async def list_assistants(platform: Platform) -> AsyncIterator[Event]:
    """Every assistant of the configuration, the default first, and those that were left out."""
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    for fault in found.faults:
        yield Notice(level="warning", message=fault.error.message, hint=fault.error.hint)
    rows: list[JsonValue] = [
        {
            "id": each.id,
            "name": each.settings.name or each.id,
            "model": each.model_id,
            "provider": found.models[each.model_id].provider,
            "root": str(each.root.path),
        }
        for each in found.assistants
    ]
    yield Result(value=rows)


async def show_assistant(platform: Platform, assistant: str | None) -> AsyncIterator[Event]:
    """One assistant with all its settings.

    Raises:
        NotFoundError: ``NO_ASSISTANT``.
    """
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    wanted = assistant or (found.assistants[0].id if found.assistants else "")
    each = next((each for each in found.assistants if each.id == wanted), None)
    if each is None:
        near = closest(wanted, [known.id for known in found.assistants])
        hint = f"Did you mean '{near}'?" if near else "See: ploinky assistant list"
        raise NotFoundError("NO_ASSISTANT", f"There is no assistant '{wanted}'.", hint=hint)
    shown: JsonObject = {
        "id": each.id,
        "model": each.model_id,
        "root": str(each.root.path),
        "settings": each.settings.model_dump(mode="json", by_alias=True),
    }
    yield Result(value=shown)


async def create_assistant(platform: Platform, wish: editing.AssistantWish) -> AsyncIterator[Event]:
    """Make an assistant."""
    root = await anyio.to_thread.run_sync(editing.create_assistant, platform.layout, wish)
    yield Notice(message=f"Made the assistant '{wish.id}' in {root}.")
    async for event in reload_gateway(platform.layout):
        yield event
    yield Result(value={"id": wish.id, "root": str(root)})


async def delete_assistant(platform: Platform, assistant: str, *, purge: bool) -> AsyncIterator[Event]:
    """Take an assistant out; ``purge`` deletes its folder and credentials too."""
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    root = next((each.root.path for each in found.assistants if each.id == assistant), None)
    await anyio.to_thread.run_sync(editing.remove_assistant, platform.layout, assistant)
    if purge and root is not None:
        await anyio.to_thread.run_sync(editing.purge_root, platform.layout, root)
        store = platform.secrets.credentials
        for scope in store.scopes(("assistant", assistant)):
            store.delete(scope)
    elif root is not None:
        yield Notice(message=f"Its folder stays: {root}")
    async for event in reload_gateway(platform.layout):
        yield event
    yield Result(value={"id": assistant, "deleted": True, "purged": purge})
