"""RPC rows of what an assistant is and knows: ``substrate.*``, ``memory.*``, ``workspace.*``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.methods.named_assistant import OfAssistant, assistant_of
from ploinky.gateway.rpc.method import Call, Method, Scope, reading

_MOST_CHARS = 1024 * 1024


class FileParams(OfAssistant):
    """``name``: the file, as ``substrate.list`` or ``memory.listLogs`` gives it."""

    name: Annotated[str, Field(min_length=1, max_length=64)]


class WriteParams(FileParams):
    """``text``: the whole new content."""

    text: Annotated[str, Field(max_length=_MOST_CHARS)]


class SearchParams(OfAssistant):
    """``query``: words; any of them may occur."""

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    limit: Annotated[int, Field(ge=1, le=100)] | None = None


class SettleParams(OfAssistant):
    """``accept`` false rejects it."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    accept: bool


class ConsolidateParams(OfAssistant):
    """``again``: look at all notes, also those of earlier times."""

    again: bool = False


async def list_substrate(call: Call, params: OfAssistant) -> list[JsonObject]:
    """The files that make an assistant who it is, and when each is part of the context."""
    return assistant_of(call, params).substrate.files()


async def get_substrate(call: Call, params: FileParams) -> JsonObject:
    """The text of a substrate file; null if there is none."""
    return {"name": params.name, "text": assistant_of(call, params).substrate.read(params.name)}


async def update_substrate(call: Call, params: WriteParams) -> JsonObject:
    """Replace a substrate file; it counts from the next turn on."""
    assistant = assistant_of(call, params)
    assistant.substrate.write(params.name, params.text)
    call.services.hub.publish("assistants", "substrate", {"name": params.name}, assistant=assistant.id)
    return {"name": params.name, "bytes": len(params.text.encode())}


async def reload_substrate(call: Call, params: OfAssistant) -> list[JsonObject]:
    """The files as they are on disk now. They are read anew for every turn; nothing needs to be reloaded."""
    return assistant_of(call, params).substrate.files()


async def list_memory(call: Call, params: OfAssistant) -> list[JsonObject]:
    """The memory files: MEMORY.md, then the days, the newest first."""
    return assistant_of(call, params).memory.files.names()


async def get_memory(call: Call, params: FileParams) -> JsonObject:
    """The text of a memory file."""
    return {"name": params.name, "text": assistant_of(call, params).memory.files.require(params.name)}


async def write_memory(call: Call, params: WriteParams) -> JsonObject:
    """Replace a memory file."""
    assistant = assistant_of(call, params)
    assistant.memory.files.write(params.name, params.text)
    call.services.hub.publish("assistants", "memory", {"name": params.name}, assistant=assistant.id)
    return {"name": params.name, "bytes": len(params.text.encode())}


async def search_memory(call: Call, params: SearchParams) -> list[JsonObject]:
    """The entries of memory that fit best."""
    hits = await assistant_of(call, params).memory.search(params.query, params.limit)
    return [hit.wire() for hit in hits]


async def memory_status(call: Call, params: OfAssistant) -> JsonObject:
    """What is indexed, by which model vectors are made, and what kept the last search from being better."""
    return assistant_of(call, params).memory.facts()


async def reindex_memory(call: Call, params: OfAssistant) -> JsonObject:
    """Make the index over the memory files anew."""
    memory = assistant_of(call, params).memory
    await memory.refresh(rebuild=True)
    return memory.facts()


async def consolidate_memory(call: Call, params: ConsolidateParams) -> JsonObject:
    """Let the model say which facts of the daily notes belong into MEMORY.md; the notes stay as they are.

    ``proposal`` waits for a word, or was accepted if the settings say so; null if there was nothing to add.
    """
    return (await assistant_of(call, params).consolidate(again=params.again)).wire()


async def list_proposals(call: Call, params: OfAssistant) -> list[JsonObject]:
    """Edits of memory that wait for a person."""
    return [each.wire() for each in assistant_of(call, params).memory.proposals()]


async def settle_proposal(call: Call, params: SettleParams) -> JsonObject:
    """Accept or reject an edit of memory."""
    return (await assistant_of(call, params).memory.settle(params.id, accept=params.accept)).wire()


KNOWLEDGE_METHODS: tuple[Method[Any], ...] = (
    reading("substrate.list", OfAssistant, list[dict[str, Any]], Scope.ASSISTANTS_USE, list_substrate),
    reading("substrate.get", FileParams, dict[str, Any], Scope.ASSISTANTS_USE, get_substrate),
    Method("substrate.update", WriteParams, dict[str, Any], Scope.ASSISTANTS_MANAGE, update_substrate),
    reading("substrate.reload", OfAssistant, list[dict[str, Any]], Scope.ASSISTANTS_USE, reload_substrate),
    reading("memory.listLogs", OfAssistant, list[dict[str, Any]], Scope.ASSISTANTS_USE, list_memory),
    reading("memory.getFile", FileParams, dict[str, Any], Scope.ASSISTANTS_USE, get_memory),
    Method("memory.writeFile", WriteParams, dict[str, Any], Scope.ASSISTANTS_MANAGE, write_memory),
    reading("memory.search", SearchParams, list[dict[str, Any]], Scope.ASSISTANTS_USE, search_memory),
    reading("memory.status", OfAssistant, dict[str, Any], Scope.ASSISTANTS_USE, memory_status),
    Method("memory.reindex", OfAssistant, dict[str, Any], Scope.ASSISTANTS_MANAGE, reindex_memory),
    Method(
        "memory.consolidate", ConsolidateParams, dict[str, Any], Scope.ASSISTANTS_MANAGE, consolidate_memory
    ),
    reading("memory.proposals", OfAssistant, list[dict[str, Any]], Scope.ASSISTANTS_USE, list_proposals),
    Method("memory.settle", SettleParams, dict[str, Any], Scope.ASSISTANTS_USE, settle_proposal),
)
