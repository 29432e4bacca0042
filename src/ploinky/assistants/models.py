"""The model of one assistant: which provider serves it, and how much it can read."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from ploinky.assistants.settings import ContextSettings
from ploinky.base.errors import PloinkyError
from ploinky.providers.config import OFFLINE, ModelConfig
from ploinky.providers.embedding import Embeds
from ploinky.providers.errors import ProviderCode
from ploinky.providers.folding import TurnFold, read_turn
from ploinky.providers.models import Models
from ploinky.providers.protocol import (
    ModelInfo,
    Provider,
    SystemMessage,
    ToolChoice,
    TurnOptions,
    UserMessage,
)

_INFO_TIMEOUT_S = 10.0
_UNKNOWN_S = 60.0
_PASSING = frozenset(
    {
        ProviderCode.UNREACHABLE,
        ProviderCode.NO_KEY,
        ProviderCode.KEY_REFUSED,
        ProviderCode.RATE_LIMITED,
        ProviderCode.OVERLOADED,
        ProviderCode.CLOSED,
    }
)
"""Why a model cannot be asked now, though it may tell of itself in a moment."""

_ANSWER_TIMEOUT_S = 180.0
_ANSWER_TOKENS = 1500
_ROOM_TOKENS = 1_000_000  # so that no tool has to be left out
MakeModels = Callable[[str], Models]
"""The configured models for the assistant of an id, with its own keyring."""


class AssistantModel:
    """The model ``model_id`` of ``models``. What its provider says of it is asked once; a provider that
    does not know is asked again after a minute, not in every turn."""

    def __init__(self, models: Models, model_id: str) -> None:
        self._models = models
        self.model_id = model_id
        self._info: ModelInfo | None = None
        self._ask_again_at = float("-inf")

    @property
    def entry(self) -> ModelConfig:
        return self._models.require_entry(self.model_id)

    def provider(self) -> Provider:
        """Raises PloinkyError, as ``Models.provider``."""
        return self._models.provider(self.model_id)

    def embedder(self, model_id: str) -> Embeds:
        """The provider of another entry, which makes vectors.

        Raises:
            PloinkyError: as ``Models.provider``, or ``NO_EMBEDDINGS``.
        """
        found = self._models.provider(model_id)
        if not isinstance(found, Embeds):
            raise PloinkyError(
                "NO_EMBEDDINGS",
                f"The provider of the model {model_id!r} makes no vectors.",
                hint="Give memory.embeddings a model of Ollama or of an OpenAI-compatible server.",
            )
        return found

    async def context_tokens(self, settings: ContextSettings) -> tuple[int, str]:
        """How many tokens a request may have, and who says so."""
        if settings.max_context_tokens is not None:
            return settings.max_context_tokens, "context.maxContextTokens"
        if self.entry.max_context_tokens is not None:
            return self.entry.max_context_tokens, f"models.{self.model_id}.maxContextTokens"
        if self.entry.provider == OFFLINE.provider:
            return _ROOM_TOKENS, "nothing is sent to a model"
        info = await self.info()
        if info.context_tokens is not None:
            return info.context_tokens, "the provider"
        return settings.assumed_tokens, "context.assumedTokens (the provider does not say)"

    async def offers_tools(self) -> bool:
        """Whether tools may be offered; unless somebody says no, they may."""
        if self.entry.supports_tools is not None:
            return self.entry.supports_tools
        return (await self.info()).tools is not False

    async def answer(self, instructions: str, text: str) -> TurnFold:
        """What the model answers to one question, without tools.

        Raises:
            PloinkyError: as its provider; ``NO_MODEL`` if there is none.
        """
        if self.entry.provider == OFFLINE.provider:
            raise PloinkyError(
                "NO_MODEL", "No model is configured, and this needs one.", hint="See: ploinky model use"
            )
        options = TurnOptions(
            max_output_tokens=_ANSWER_TOKENS, deadline_s=_ANSWER_TIMEOUT_S, tool_choice=ToolChoice.NONE
        )
        messages = (SystemMessage(instructions), UserMessage(text))
        return await read_turn(self.provider().stream_turn(messages, (), options))

    def name_of(self, model_id: str) -> str:
        """What its provider calls the model of an entry."""
        entry = self._models.require_entry(model_id)
        return entry.ollama_model_name or entry.openai_model_id or entry.model or ""

    async def info(self) -> ModelInfo:
        """What the provider knows of the model; an empty answer if it does not say."""
        if self._info is not None:
            return self._info
        name = self.name_of(self.model_id)
        if time.monotonic() < self._ask_again_at:
            return ModelInfo(name)
        try:
            with anyio.fail_after(_INFO_TIMEOUT_S):
                self._info = await self.provider().model_info(name)
        except (PloinkyError, TimeoutError) as error:
            if not isinstance(error, PloinkyError) or error.code not in _PASSING:
                self._ask_again_at = time.monotonic() + _UNKNOWN_S
            return ModelInfo(name)
        return self._info

    async def aclose(self) -> None:
        await self._models.aclose()
