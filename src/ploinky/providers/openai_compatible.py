"""``openai-compatible``: every server with ``/chat/completions`` and ``/models``, by address or by preset.

To add a preset: a row in ``PRESETS``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.base.names import closest
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import DEFAULT_KEY, KeyReference
from ploinky.providers.embedding import Embedded, embed_openai
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.http import HttpChannel, Server, bearer
from ploinky.providers.openai_wire import OpenAiWire
from ploinky.providers.protocol import Message, ModelInfo, Tool, TurnEvent, TurnOptions
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.turns import HttpTurns
from ploinky.providers.wire import integer, request_of

NAME = "openai-compatible"


@dataclass(frozen=True)
class Preset:
    """A known server. ``one_model``: it serves what it was started with, whatever name is asked for."""

    who: str
    base_url: str
    needs_key: bool = False
    limit_field: str = "max_tokens"
    one_model: bool = False


PRESETS: dict[str, Preset] = {
    "lm-studio": Preset("LM Studio", "http://127.0.0.1:1234/v1"),
    "vllm": Preset("vLLM", "http://127.0.0.1:8000/v1"),
    "llama.cpp": Preset("llama.cpp's server", "http://127.0.0.1:8080/v1", one_model=True),
    "openrouter": Preset("OpenRouter", "https://openrouter.ai/api/v1", needs_key=True),
    "openai": Preset("OpenAI", "https://api.openai.com/v1", True, "max_completion_tokens"),
    "mistral": Preset("Mistral", "https://api.mistral.ai/v1", needs_key=True),
    "groq": Preset("Groq", "https://api.groq.com/openai/v1", needs_key=True),
    "deepseek": Preset("DeepSeek", "https://api.deepseek.com/v1", needs_key=True),
}


class OpenAiCompatibleProvider:
    """One model of one server."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        preset = _preset(config)
        self._config = config
        self._preset = preset
        self._model = _model(config, preset, context.model_id)
        key = config.key_reference
        if key is None and preset.needs_key:
            key = KeyReference("profile", DEFAULT_KEY, NAME)
        server = Server(preset.who, preset.base_url, bearer, context.keys, key)
        self._channel = HttpChannel(server)
        wire = OpenAiWire(preset.who, preset.limit_field)
        self._turns = HttpTurns(self._channel, wire, config, context.model_id)

    def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        offered = () if self._config.supports_tools is False else tools
        request = request_of(self._model, self._config, messages, offered, options)
        return self._turns.run(request, options)

    async def list_models(self) -> tuple[ModelInfo, ...]:
        return tuple(map(_info, await self._channel.listed("/models")))

    async def model_info(self, name: str | None = None) -> ModelInfo:
        name = name or self._model
        models = await self.list_models()
        for model in models:
            if model.name == name:
                return model
        if self._preset.one_model and len(models) == 1:
            return models[0]
        meant = closest(name, [model.name for model in models])
        raise ProviderError(
            ProviderCode.MODEL_NOT_FOUND,
            f"{self._preset.who} has no model {name!r}.",
            hint=f"Did you mean {meant!r}?" if meant else None,
            model=name,
        )

    async def embed(self, texts: Sequence[str]) -> Embedded:
        return await embed_openai(self._channel, self._model, texts)

    async def aclose(self) -> None:
        await self._channel.aclose()


def _preset(config: ModelConfig) -> Preset:
    """The preset that an entry names, with its own address over it; without one, a server by address."""
    if config.preset is None:
        if config.base_url is None:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                "An openai-compatible model needs baseURL or preset.",
                hint=f"Presets: {', '.join(PRESETS)}.",
            )
        return Preset(f"The server at {config.base_url}", config.base_url)
    if config.preset not in PRESETS:
        meant = closest(config.preset, PRESETS)
        raise UsageError(
            "MODEL_ENTRY_INVALID",
            f"There is no preset {config.preset!r}.",
            hint=f"Did you mean {meant!r}?" if meant else f"Presets: {', '.join(PRESETS)}.",
        )
    preset = PRESETS[config.preset]
    if config.base_url is None:
        return preset
    return Preset(
        preset.who, config.base_url, preset.needs_key, preset.limit_field, one_model=preset.one_model
    )


def _model(config: ModelConfig, preset: Preset, model_id: str) -> str:
    name = config.openai_model_id or config.model or ("default" if preset.one_model else None)
    if name is None:
        raise UsageError(
            "MODEL_ENTRY_INVALID",
            f"The model {model_id!r} does not say which model of {preset.who} it is.",
            hint=f"Set openaiModelId; `ploinky model list {model_id}` shows what the server offers.",
        )
    return name


def _info(told: JsonObject) -> ModelInfo:
    meta = find_object(told, "meta")
    context = (
        integer(told, "context_length") or integer(told, "max_model_len") or integer(told, "context_window")
    )
    context = context or integer(meta, "n_ctx") or integer(meta, "n_ctx_train")
    parameters = told.get("supported_parameters")
    architecture = find_object(told, "architecture") or {}
    inputs = architecture.get("input_modalities")
    return ModelInfo(
        name=find_text(told, "id") or "",
        context_tokens=context or None,
        max_output_tokens=integer(told, "top_provider", "max_completion_tokens") or None,
        tools="tools" in parameters if isinstance(parameters, list) else None,
        images="image" in inputs if isinstance(inputs, list) else None,
        size_bytes=integer(meta, "size") or None,
        description=(find_text(told, "name") or "")[:200],
    )


KIND = ProviderKind(
    NAME,
    "any server with /chat/completions: LM Studio, vLLM, llama.cpp, hosted APIs",
    OpenAiCompatibleProvider,
)
