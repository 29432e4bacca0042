"""``model`` and ``provider.*``: which models there are, who uses which, whether one works, and their keys.

What asks a server is done by the running gateway, whose variables hold its keys; where none runs, here. The
configuration and the encrypted store are files, and changed as such.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio.to_thread

from ploinky.assistants import editing
from ploinky.assistants.configuration import AssistantConfig, Configuration, read_configuration
from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import closest, require_name
from ploinky.operations.gateway_link import find_address
from ploinky.operations.gateway_rpc import GatewayRpc, reload_gateway
from ploinky.operations.platform import Platform
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import DEFAULT_KEY, Keyring, provider_scope, require_credential_name
from ploinky.providers.diagnosis import Diagnosis, diagnose
from ploinky.providers.models import Models
from ploinky.providers.protocol import ModelInfo, Provider, Pulls
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from ploinky.wire.events import Event, Notice, Progress, Result
from ploinky.workspace.settings_change import change_settings

WORK_FOLDER = "workspace"
_LONG_S = 600.0


@dataclass(frozen=True)
class Chosen:
    """One model as one assistant would use it."""

    model_id: str
    entry: ModelConfig
    provider: Callable[[], Provider]
    keys: Keyring


def open_models(
    platform: Platform,
    assistant: str,
    root: Path,
    entries: Mapping[str, ModelConfig],
    *,
    registry: ProviderRegistry | None = None,
) -> Models:
    """The models of an assistant, with a keyring of its own; programs work in its root's ``workspace``."""
    context = ProviderContext("", keyring_of(platform, assistant), platform.environ, root / WORK_FOLDER)
    return Models(entries, registry or ProviderRegistry.installed(), context)


def keyring_of(platform: Platform, assistant: str) -> Keyring:
    return Keyring(platform.secrets.credentials, platform.environ, assistant)


@asynccontextmanager
async def choose_model(platform: Platform, assistant: str | None, model: str | None) -> AsyncIterator[Chosen]:
    """A model by id, or an assistant's own; for the first assistant unless one is named.

    Raises:
        NotFoundError: ``NO_ASSISTANT``, ``MODEL_UNKNOWN``. PloinkyError: ``CONFIG_INVALID``.
    """
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    config = _assistant(found, assistant)
    models = open_models(platform, config.id, config.root.path, found.models)
    model_id = model or config.model_id
    try:
        entry = models.require_entry(model_id)
        keys = keyring_of(platform, config.id)
        yield Chosen(model_id, entry, lambda: models.provider(model_id), keys)
    finally:
        await models.aclose()


async def examine(platform: Platform, assistant: str | None, model: str | None) -> JsonObject:
    """What is found when a model is tested; see ``diagnose``."""
    async with choose_model(platform, assistant, model) as chosen:
        found = await diagnose(chosen.model_id, chosen.entry, chosen.provider, chosen.keys)
    return _diagnosis(found)


async def offered(platform: Platform, assistant: str | None, model: str | None) -> JsonObject:
    """What the provider of a model offers."""
    async with choose_model(platform, assistant, model) as chosen:
        models = await chosen.provider().list_models()
    listed: list[JsonValue] = [_info(each) for each in models]
    return {"modelId": chosen.model_id, "provider": chosen.entry.provider, "models": listed}


async def list_models(platform: Platform) -> AsyncIterator[Event]:
    """Every configured model: its provider, and which assistants it serves."""
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    rows: list[JsonValue] = []
    for model_id, entry in found.models.items():
        users: list[JsonValue] = [each.id for each in found.assistants if each.model_id == model_id]
        name = entry.ollama_model_name or entry.openai_model_id or entry.model
        rows.append(
            {
                "id": model_id,
                "provider": entry.provider,
                "model": name or ", ".join(entry.fallback_models) or entry.command,
                "default": model_id == found.default_model,
                "enabled": entry.enabled,
                "assistants": users,
            }
        )
    yield Result(value=rows)


async def list_offered(platform: Platform, model: str, assistant: str | None) -> AsyncIterator[Event]:
    """What the provider of a model offers.

    Raises:
        PloinkyError: as the provider's.
    """
    params: JsonObject = {"profileId": assistant, "modelId": model}
    here = lambda: offered(platform, assistant, model)  # noqa: E731
    yield Result(value=await _by_gateway(platform, "provider.models.list", params, here))


async def use_model(platform: Platform, model: str, assistant: str | None) -> AsyncIterator[Event]:
    """Make a model the default, or that of one assistant; it counts from the next turn on.

    Raises:
        NotFoundError: ``MODEL_UNKNOWN``, ``NO_ASSISTANT``.
    """
    layout = platform.layout
    found = await anyio.to_thread.run_sync(read_configuration, layout)
    _require_known(found, model)
    if assistant is None:
        await anyio.to_thread.run_sync(change_settings, layout, {"defaultModel": model})
        others = [each.id for each in found.assistants if each.model_id not in (model, found.default_model)]
        if others:
            yield Notice(message=f"These keep a model of their own: {', '.join(others)}.")
    else:
        root = _assistant(found, assistant).root.path
        await anyio.to_thread.run_sync(editing.change_overlay, layout, root, {"modelId": model})
    async for event in reload_gateway(layout):
        yield event
    yield Result(value={"model": model, "assistant": assistant})


async def test_model(platform: Platform, model: str | None, assistant: str | None) -> AsyncIterator[Event]:
    """Look at a model with one small call of it; the findings are the result, also when it does not work."""
    params: JsonObject = {"profileId": assistant, "modelId": model}
    here = lambda: examine(platform, assistant, model)  # noqa: E731
    yield Result(value=await _by_gateway(platform, "provider.test", params, here))


async def pull_model(
    platform: Platform, model: str, name: str | None, assistant: str | None
) -> AsyncIterator[Event]:
    """Let a model's server fetch it (or another, by its name).

    Raises:
        PloinkyError: ``PROVIDER_NOT_SUPPORTED``, or as the provider's.
    """
    async with choose_model(platform, assistant, model) as chosen:
        provider = chosen.provider()
        if not isinstance(provider, Pulls):
            raise PloinkyError(
                "PROVIDER_NOT_SUPPORTED",
                f"{chosen.entry.provider} cannot fetch models.",
                hint="Only models of Ollama are fetched this way.",
            )
        wanted = name or chosen.entry.ollama_model_name or chosen.entry.model or ""
        async with aclosing(provider.pull(wanted)) as progress:
            async for each in progress:
                fraction = each.completed_bytes / each.total_bytes if each.total_bytes else None
                yield Progress(label=wanted, fraction=fraction, message=each.status)
    yield Result(value={"model": chosen.model_id, "fetched": wanted})


async def set_key(
    platform: Platform, assistant: str | None, provider: str, name: str, value: str
) -> AsyncIterator[Event]:
    """Keep a key of an assistant for a provider, encrypted.

    Raises:
        UsageError: ``NO_VALUE``, ``BAD_NAME``.
    """
    if not value.strip():
        raise UsageError("NO_VALUE", "The key is empty; nothing was stored.")
    owner, provider, name = await _place(platform, assistant, provider, name)
    store = platform.secrets.credentials
    await anyio.to_thread.run_sync(store.set, provider_scope(owner, provider), name, value.strip())
    yield Result(value={"profileId": owner, "providerId": provider, "keyName": name})


async def delete_key(
    platform: Platform, assistant: str | None, provider: str, name: str
) -> AsyncIterator[Event]:
    """Forget a key.

    Raises:
        NotFoundError: ``NO_CREDENTIAL``.
    """
    owner, provider, name = await _place(platform, assistant, provider, name)
    store = platform.secrets.credentials
    if not await anyio.to_thread.run_sync(store.delete, provider_scope(owner, provider), name):
        raise NotFoundError(
            "NO_CREDENTIAL",
            f"The assistant '{owner}' has no key {name} for {provider}.",
            hint="See: ploinky model key --list",
        )
    yield Result(value={"profileId": owner, "providerId": provider, "keyName": name, "deleted": True})


async def list_keys(platform: Platform, assistant: str | None) -> AsyncIterator[Event]:
    """The names of an assistant's keys by provider; never a value."""
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    owner = _assistant(found, assistant).id
    names = await anyio.to_thread.run_sync(_key_names, platform, owner)
    yield Result(value={"profileId": owner, "providers": names})


def _key_names(platform: Platform, owner: str) -> JsonObject:
    store = platform.secrets.credentials
    scopes = store.scopes(("assistant", owner, "provider"))
    return {scope[3]: list(store.names(scope)) for scope in scopes if len(scope) == 4}


async def _place(platform: Platform, assistant: str | None, provider: str, name: str) -> tuple[str, str, str]:
    """Whose key of which name: all three checked."""
    found = await anyio.to_thread.run_sync(read_configuration, platform.layout)
    owner = _assistant(found, assistant).id
    return owner, require_name(provider, what="a provider"), require_credential_name(name or DEFAULT_KEY)


async def _by_gateway(
    platform: Platform, method: str, params: JsonObject, here: Callable[[], Awaitable[JsonValue]]
) -> JsonValue:
    address = None if platform.in_gateway else find_address(platform.layout)
    if address is None:
        return await here()
    return await GatewayRpc(address).call(method, params, timeout_s=_LONG_S)


def _assistant(found: Configuration, assistant: str | None) -> AssistantConfig:
    for fault in found.faults:
        if fault.id == assistant:
            raise fault.error
    if assistant is None and found.assistants:
        return found.assistants[0]
    for each in found.assistants:
        if each.id == assistant:
            return each
    meant = closest(assistant or "", [each.id for each in found.assistants])
    raise NotFoundError(
        "NO_ASSISTANT",
        f"There is no assistant '{assistant}'.",
        hint=f"Did you mean '{meant}'?" if meant else "See: ploinky assistant list",
        details={"field": "profileId"},
    )


def _require_known(found: Configuration, model: str) -> None:
    if model not in found.models:
        meant = closest(model, found.models)
        raise NotFoundError(
            "MODEL_UNKNOWN",
            f"There is no model '{model}' in the configuration.",
            hint=f"Did you mean '{meant}'?" if meant else "Add it to models in .ploinky/config.json.",
        )


def _diagnosis(found: Diagnosis) -> JsonObject:
    findings: list[JsonValue] = [asdict(finding) for finding in found.findings]
    return {
        "modelId": found.model_id,
        "good": found.good,
        "findings": findings,
        "servedBy": found.served_by,
        "firstPieceMs": None if found.first_piece_s is None else round(found.first_piece_s * 1000, 1),
        "wholeMs": None if found.whole_s is None else round(found.whole_s * 1000, 1),
    }


def _info(model: ModelInfo) -> JsonObject:
    return {
        "name": model.name,
        "contextTokens": model.context_tokens,
        "maxOutputTokens": model.max_output_tokens,
        "tools": model.tools,
        "images": model.images,
        "thinking": model.thinking,
        "sizeBytes": model.size_bytes,
        "description": model.description,
    }
