"""RPC rows of models and their providers: ``provider.*``. Keys go in and are named; none comes out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.methods.named_assistant import OfAssistant
from ploinky.gateway.methods.running import OperationAnswer, collect
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Rate, Scope, reading
from ploinky.operations import models as operations
from ploinky.providers.credentials import DEFAULT_KEY
from ploinky.providers.registry import ProviderRegistry

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_MODEL_RATE = Rate(60, 20)


class OfModel(OfAssistant):
    """``modelId``: an entry of ``models``; left out, the assistant's own."""

    model_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class PullParams(OfModel):
    """``name``: which model to fetch; left out, the entry's. Its progress comes as events of an operation."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    wait: bool = False


class KeyParams(OfAssistant):
    """``providerId``: as in ``apiKeyRef``; ``keyName``: ``apiKey`` if left out."""

    provider_id: _Name
    key_name: _Name = DEFAULT_KEY


class SetKeyParams(KeyParams):
    """``value``: the key; it is kept encrypted and never given out."""

    value: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]


class KindAnswer(Answer):
    """A provider that is installed."""

    provider: str
    summary: str
    needs_key: bool


class FindingAnswer(Answer):
    """One thing that was looked at: ``entry``, ``key``, ``model``, ``call``."""

    what: str
    good: bool
    detail: str
    code: str | None
    hint: str | None


class DiagnosisAnswer(Answer):
    """What was found; times are from the call to the first piece and to the end of its answer."""

    model_id: str
    good: bool
    findings: list[FindingAnswer]
    served_by: str | None
    first_piece_ms: float | None
    whole_ms: float | None


class OfferedAnswer(Answer):
    """What a provider offers."""

    model_id: str
    provider: str
    models: list[dict[str, PydanticJson]]


class KeyNamesAnswer(Answer):
    """Names of keys by provider."""

    profile_id: str
    providers: dict[str, list[str]]


async def list_kinds(call: Call, params: NoParams) -> list[KindAnswer]:
    """The providers that are installed, plug-ins too."""
    registry = ProviderRegistry.installed()
    return [_kind(registry, name) for name in registry.names]


def _kind(registry: ProviderRegistry, name: str) -> KindAnswer:
    try:
        kind = registry.kind(name)
    except PloinkyError as error:  # a plug-in that is broken is shown, and hides no other
        return KindAnswer(provider=name, summary=error.message, needs_key=False)
    return KindAnswer(provider=name, summary=kind.summary, needs_key=kind.needs_key)


async def list_offered(call: Call, params: OfModel) -> JsonObject:
    """The models that the provider of an entry offers."""
    return await operations.offered(call.services.platform(), params.profile_id, params.model_id)


async def test(call: Call, params: OfModel) -> JsonObject:
    """Look at a model: its entry, its key, its server, one tiny call; what is wrong, and what to do."""
    return await operations.examine(call.services.platform(), params.profile_id, params.model_id)


async def pull(call: Call, params: PullParams) -> OperationAnswer:
    """Let Ollama fetch a model."""
    platform = call.services.platform()
    async with operations.choose_model(platform, params.profile_id, params.model_id) as chosen:
        model = chosen.model_id
    events = operations.pull_model(platform, model, params.name, params.profile_id)
    runner = call.services.runner
    operation = runner.start(events, f"fetch {params.name or model}")
    if not params.wait:
        return OperationAnswer(operation_id=operation.id, done=False)
    return OperationAnswer(operation_id=operation.id, done=True, result=await runner.finish(operation))


async def set_key(call: Call, params: SetKeyParams) -> JsonValue:
    """Keep a key of an assistant for a provider."""
    platform = call.services.platform()
    events = operations.set_key(
        platform, params.profile_id, params.provider_id, params.key_name, params.value
    )
    return await collect(events)


async def delete_key(call: Call, params: KeyParams) -> JsonValue:
    """Forget a key."""
    platform = call.services.platform()
    return await collect(
        operations.delete_key(platform, params.profile_id, params.provider_id, params.key_name)
    )


async def list_keys(call: Call, params: OfAssistant) -> JsonValue:
    """The names of an assistant's keys, by provider; never a value."""
    return await collect(operations.list_keys(call.services.platform(), params.profile_id))


PROVIDER_METHODS: tuple[Method[Any], ...] = (
    reading("provider.list", NoParams, list[KindAnswer], Scope.ASSISTANTS_USE, list_kinds),
    Method(
        "provider.models.list", OfModel, OfferedAnswer, Scope.ASSISTANTS_MANAGE, list_offered, _MODEL_RATE
    ),
    Method("provider.models.pull", PullParams, OperationAnswer, Scope.ASSISTANTS_MANAGE, pull, _MODEL_RATE),
    Method("provider.test", OfModel, DiagnosisAnswer, Scope.ASSISTANTS_MANAGE, test, _MODEL_RATE),
    Method(
        "provider.credentials.set",
        SetKeyParams,
        dict[str, Any],
        Scope.ASSISTANTS_MANAGE,
        set_key,
        _MODEL_RATE,
    ),
    Method(
        "provider.credentials.delete",
        KeyParams,
        dict[str, Any],
        Scope.ASSISTANTS_MANAGE,
        delete_key,
        _MODEL_RATE,
    ),
    reading("provider.credentials.list", OfAssistant, KeyNamesAnswer, Scope.ASSISTANTS_MANAGE, list_keys),
)
