"""``anthropic``: ``/v1/messages`` of Anthropic, or of a server that speaks the same (``baseURL``)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from urllib.parse import quote

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, find_text
from ploinky.providers.anthropic_wire import AnthropicWire
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import DEFAULT_KEY, KeyReference
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.http import HttpChannel, Server
from ploinky.providers.protocol import Message, ModelInfo, Tool, TurnEvent, TurnOptions
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.turns import HttpTurns
from ploinky.providers.wire import integer, request_of

NAME = "anthropic"
HOSTED = "https://api.anthropic.com"
VERSION = "2023-06-01"


class AnthropicProvider:
    """One model of one server."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        if config.model is None:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                f"The model {context.model_id!r} does not say which model of Anthropic it is.",
                hint=f"Set model; `ploinky model list {context.model_id}` shows what there is.",
            )
        self._config = config
        self._model = config.model
        key = config.key_reference
        if key is None and config.base_url is None:
            key = KeyReference("profile", DEFAULT_KEY, NAME)
        who = "Anthropic" if config.base_url is None else f"The server at {config.base_url}"
        base_url = (config.base_url or HOSTED).removesuffix("/v1")
        self._channel = HttpChannel(Server(who, base_url, _headers, context.keys, key))
        self._turns = HttpTurns(self._channel, AnthropicWire(who), config, context.model_id)

    def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        offered = () if self._config.supports_tools is False else tools
        request = request_of(self._model, self._config, messages, offered, options)
        return self._turns.run(request, options)

    async def list_models(self) -> tuple[ModelInfo, ...]:
        return tuple(map(_info, await self._channel.listed("/v1/models?limit=1000")))

    async def model_info(self, name: str | None = None) -> ModelInfo:
        name = name or self._model
        if self._config.base_url is None:
            return _info(await self._channel.ask("GET", f"/v1/models/{quote(name, safe='')}"))
        for model in await self.list_models():
            if model.name == name:
                return model
        raise ProviderError(
            ProviderCode.MODEL_NOT_FOUND, f"{self._channel.server.who} has no model {name!r}.", model=name
        )

    async def aclose(self) -> None:
        await self._channel.aclose()


def _headers(key: str | None) -> dict[str, str]:
    headers = {"anthropic-version": VERSION}
    if key is not None:
        headers["x-api-key"] = key
    return headers


def _info(entry: JsonObject) -> ModelInfo:
    return ModelInfo(
        name=find_text(entry, "id") or "",
        context_tokens=integer(entry, "max_input_tokens") or integer(entry, "meta", "n_ctx") or None,
        max_output_tokens=integer(entry, "max_tokens") or None,
        description=find_text(entry, "display_name") or "",
    )


KIND = ProviderKind(
    NAME, "Anthropic's /v1/messages, or a server that speaks it", AnthropicProvider, needs_key=True
)
