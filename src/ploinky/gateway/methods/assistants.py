"""RPC rows of which assistants there are: ``profile.*``; their folders: ``workspace.*``; ``trace.*``."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.assistants import editing
from ploinky.assistants.assistant import Assistant
from ploinky.assistants.traces import TraceEntry
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.methods.named_assistant import OfAssistant, ProfileId, assistant_of
from ploinky.gateway.rpc.method import Call, Method, NoParams, Params, Scope, reading
from ploinky.secrets.sealed import SealedStore

_Path = Annotated[str, Field(min_length=1, max_length=400)]


class CreateParams(Params):
    """``id``: 1 to 64 of a-z, 0-9, ``_``, ``-``. ``root``: a folder, ``assistants/<id>`` if left out."""

    id: ProfileId
    root: _Path | None = None
    name: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    model_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class UpdateParams(Params):
    """``settings`` is laid over the ``config.json`` in the root (null removes a key)."""

    profile_id: ProfileId
    settings: dict[str, PydanticJson]


class DeleteParams(Params):
    """``purge``: delete the root's folder too, with everything in it."""

    profile_id: ProfileId
    purge: bool = False


class SearchParams(OfAssistant):
    """``query``: words; any of them may occur."""

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class TraceParams(OfAssistant):
    """``after``: the id of the last row that was seen."""

    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class IngestParams(OfAssistant):
    """One row of a client's own: ``kind`` and what it says."""

    kind: Annotated[str, Field(min_length=1, max_length=64)]
    session_id: str | None = None
    data: dict[str, PydanticJson] = Field(default_factory=dict)


async def list_profiles(call: Call, params: NoParams) -> JsonObject:
    """All assistants in the order of the configuration (the first is the default), those that were left out
    with the reason, and why the configuration on disk is not in force, if it is not."""
    household = call.services.household
    problem = household.problem
    return {
        "profiles": [_shown(each) for each in household.assistants()],
        "leftOut": [
            {"profileId": fault.id, "code": fault.error.code, "message": fault.error.message}
            for fault in household.faults
        ],
        "problem": None if problem is None else {"code": problem.code, "message": problem.message},
        "single": household.configuration.is_single,
    }


async def create_profile(call: Call, params: CreateParams) -> JsonObject:
    """Make an assistant: its root with templates, and its entry in the configuration."""
    layout = call.services.platform().layout
    wish = editing.AssistantWish(params.id, params.root, params.name, params.model_id)
    await anyio.to_thread.run_sync(editing.create_assistant, layout, wish)
    await call.services.household.reload()
    return _shown(call.services.household.require(params.id))


async def update_profile(call: Call, params: UpdateParams) -> JsonObject:
    """Change an assistant's own settings; they are checked whole first and count from the next turn on."""
    assistant = call.services.household.require(params.profile_id)
    layout = call.services.platform().layout
    await anyio.to_thread.run_sync(editing.change_overlay, layout, assistant.root, params.settings)
    await call.services.household.reload()
    return _shown(call.services.household.require(params.profile_id))


async def delete_profile(call: Call, params: DeleteParams) -> JsonObject:
    """Take an assistant out of the configuration; its folder and credentials stay unless ``purge``."""
    household = call.services.household
    root = household.require(params.profile_id).root
    platform = call.services.platform()
    await anyio.to_thread.run_sync(editing.remove_assistant, platform.layout, params.profile_id)
    await household.reload()
    if params.purge:
        await anyio.to_thread.run_sync(editing.purge_root, platform.layout, root)
        await anyio.to_thread.run_sync(_forget_credentials, platform.secrets.credentials, params.profile_id)
    return {"profileId": params.profile_id, "deleted": True, "purged": params.purge}


async def workspace_status(call: Call, params: OfAssistant) -> JsonObject:
    """The folders that an assistant may read or write, and how much of them is indexed."""
    return await assistant_of(call, params).folders.status()


async def workspace_search(call: Call, params: SearchParams) -> list[JsonObject]:
    """The places in an assistant's folders that fit best."""
    hits = await assistant_of(call, params).folders.search(params.query, params.limit)
    return [hit.wire() for hit in hits]


async def list_trace(call: Call, params: TraceParams) -> list[JsonObject]:
    """Rows of the trace: what clients have told, in order."""
    return assistant_of(call, params).traces.page(params.after, params.limit)


async def ingest_trace(call: Call, params: IngestParams) -> JsonObject:
    """Add a row to the trace; secrets that are known here are taken out of it."""
    entry = TraceEntry(params.kind, params.session_id, dict(params.data))
    return {"id": await assistant_of(call, params).traces.add(entry)}


def _forget_credentials(store: SealedStore, assistant: str) -> None:
    for scope in store.scopes(("assistant", assistant)):
        store.delete(scope)


def _shown(assistant: Assistant) -> JsonObject:
    settings = assistant.settings
    return {
        "profileId": assistant.id,
        "name": settings.name or assistant.id,
        "root": str(assistant.root),
        "modelId": assistant.model.model_id,
        "settings": settings.model_dump(mode="json", by_alias=True),
        "spending": assistant.spending.wire(settings.budgets),
        "incident": None if (found := assistant.incidents.current) is None else found.wire(),
        "heartbeat": assistant.heartbeat.poll(),
        "activeRuns": [run.id for run in assistant.active_runs()],
    }


_USE, _MANAGE = Scope.ASSISTANTS_USE, Scope.ASSISTANTS_MANAGE
ASSISTANT_METHODS: tuple[Method[Any], ...] = (
    reading("profile.list", NoParams, dict[str, Any], _USE, list_profiles),
    Method("profile.create", CreateParams, dict[str, Any], _MANAGE, create_profile),
    Method("profile.update", UpdateParams, dict[str, Any], _MANAGE, update_profile),
    Method("profile.delete", DeleteParams, dict[str, Any], Scope.ADMIN, delete_profile),
    reading("workspace.status", OfAssistant, dict[str, Any], _USE, workspace_status),
    reading("workspace.semantic_search", SearchParams, list[dict[str, Any]], _USE, workspace_search),
    reading("trace.list", TraceParams, list[dict[str, Any]], _USE, list_trace),
    Method("trace.ingest", IngestParams, dict[str, Any], _USE, ingest_trace),
)
