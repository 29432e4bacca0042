"""``ollama``: a local Ollama server. What its models can do is asked once and remembered."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.providers.config import ModelConfig
from ploinky.providers.embedding import Embedded, embed_ollama
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.faults import fault_in_stream
from ploinky.providers.framing import JsonLines
from ploinky.providers.http import HttpChannel, Server, bearer, read_object
from ploinky.providers.ollama_wire import OllamaWire
from ploinky.providers.pace import Pace
from ploinky.providers.protocol import (
    Message,
    ModelInfo,
    PullProgress,
    Tool,
    ToolChoice,
    TurnEvent,
    TurnOptions,
)
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.turns import HttpTurns
from ploinky.providers.wire import integer, request_of

NAME = "ollama"
LOCAL = "http://127.0.0.1:11434"
PULL_S = 24 * 3600.0
PULL_IDLE_S = 300.0


class OllamaProvider:
    """One model of one Ollama server."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        model = config.ollama_model_name or config.model
        if model is None:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                f"The model {context.model_id!r} does not say which model of Ollama it is.",
                hint=f"Set ollamaModelName; `ploinky model list {context.model_id}` shows what is installed.",
            )
        self._model = model
        self._config = config
        base_url = (config.base_url or LOCAL).removesuffix("/v1")
        self._channel = HttpChannel(Server("Ollama", base_url, bearer, context.keys, config.key_reference))
        self._turns = HttpTurns(self._channel, OllamaWire("Ollama"), config, context.model_id)
        self._known: dict[str, ModelInfo] = {}

    async def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        model = options.model or self._model
        known = await self._require_known(model)
        able = known.tools if self._config.supports_tools is None else self._config.supports_tools
        if able is False and tools and options.tool_choice is ToolChoice.REQUIRED:
            raise ProviderError(ProviderCode.NO_TOOLS, f"{model} cannot call tools.", model=model)
        offered = () if able is False else tools
        request = request_of(model, self._config, messages, offered, options)
        if request.context_tokens is not None and known.context_tokens is not None:
            request = replace(request, context_tokens=min(request.context_tokens, known.context_tokens))
        async with aclosing(self._turns.run(request, options)) as turn:
            async for event in turn:
                yield event

    async def list_models(self) -> tuple[ModelInfo, ...]:
        answer = await self._channel.ask("GET", "/api/tags")
        listed = answer.get("models")
        if not isinstance(listed, list):
            raise ProviderError(ProviderCode.MALFORMED, "Ollama sent no list of models.")
        return tuple(_listed(each) for each in listed if find_text(each, "name"))

    async def model_info(self, name: str | None = None) -> ModelInfo:
        name = name or self._model
        try:
            shown = await self._channel.ask("POST", "/api/show", {"model": name})
        except ProviderError as error:
            if error.provider_code is not ProviderCode.MODEL_NOT_FOUND:
                raise
            raise ProviderError(
                ProviderCode.MODEL_NOT_FOUND,
                f"Ollama has no model {name!r}.",
                hint=f"Fetch it with `ollama pull {name}`, or choose one of `ollama list`.",
                model=name,
            ) from error
        return _shown(name, shown)

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        pace = Pace(PULL_S, PULL_IDLE_S)
        body: JsonObject = {"model": name, "stream": True}
        done = False
        async with aclosing(self._channel.records("/api/pull", body, JsonLines(), pace)) as records:
            async for record in records:
                line = read_object(record.data, "Ollama")
                if "error" in line:
                    raise fault_in_stream(line["error"], who="Ollama")
                status = find_text(line, "status") or ""
                done = done or status == "success"
                yield PullProgress(status, integer(line, "completed"), integer(line, "total"))
        if not done:
            raise ProviderError(ProviderCode.STREAM_CUT, f"Ollama broke off while it fetched {name!r}.")
        self._known.pop(name, None)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return await embed_ollama(self._channel, self._model, texts)

    async def aclose(self) -> None:
        await self._channel.aclose()

    async def _require_known(self, model: str) -> ModelInfo:
        if model not in self._known:
            self._known[model] = await self.model_info(model)
        return self._known[model]


def _listed(entry: JsonValue) -> ModelInfo:
    details = find_object(entry, "details")
    parts = [find_text(details, key) for key in ("family", "parameter_size", "quantization_level")]
    return ModelInfo(
        name=find_text(entry, "name") or "",
        size_bytes=integer(entry, "size") or None,
        description=" ".join(part for part in parts if part),
    )


def _shown(name: str, shown: JsonObject) -> ModelInfo:
    capabilities = shown.get("capabilities")
    able = capabilities if isinstance(capabilities, list) else None
    facts = find_object(shown, "model_info") or {}
    family = find_text(facts, "general.architecture") or ""
    details = find_object(shown, "details")
    parts = [find_text(details, key) for key in ("family", "parameter_size", "quantization_level")]
    return ModelInfo(
        name=name,
        context_tokens=integer(facts, f"{family}.context_length") or None,
        tools=None if able is None else "tools" in able,
        images=None if able is None else "vision" in able,
        thinking=None if able is None else "thinking" in able,
        description=" ".join(part for part in parts if part),
    )


KIND = ProviderKind(NAME, "a local Ollama server", OllamaProvider)
