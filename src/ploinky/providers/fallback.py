"""``fallback``: an ordered list of models; the next one is asked only when nothing was said yet.

Every turn begins with the first again. A model that has others behind it is tried again only briefly.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderError
from ploinky.providers.protocol import (
    FallingBack,
    Message,
    ModelInfo,
    Provider,
    Tool,
    TurnEvent,
    TurnOptions,
)
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.retries import SPEECH

NAME = "fallback"
BRIEF_RETRIES_S = 2.0


class FallbackProvider:
    """Passes turns on to other entries; owns none of their providers."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        if not config.fallback_models or context.require_model is None:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                f"The model {context.model_id!r} does not say which models it falls back to.",
                hint="Set fallbackModels to ids of other models, the preferred one first.",
            )
        self._members = config.fallback_models
        self._require: Callable[[str], Provider] = context.require_model

    async def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        options = replace(options, model=None)
        for member, after in zip(self._members, [*self._members[1:], None], strict=True):
            spoke = False
            try:
                turn = self._require(member).stream_turn(messages, tools, _brief(options, last=after is None))
                async with aclosing(turn):
                    async for event in turn:
                        spoke = spoke or isinstance(event, SPEECH)
                        yield event
            except PloinkyError as error:
                if spoke or after is None:
                    raise
                code = error.code
            else:
                return
            yield FallingBack(member, code, after)

    async def list_models(self) -> tuple[ModelInfo, ...]:
        return tuple([await self.model_info(member) for member in self._members])

    async def model_info(self, name: str | None = None) -> ModelInfo:
        """What is known of a member by its id; without a name, what holds for every one of them."""
        if name:
            return replace(await self._require(name).model_info(), name=name)
        members = [await self._info(member) for member in self._members]
        known = [member for member in members if member is not None]
        contexts = [member.context_tokens for member in known if member.context_tokens is not None]
        return ModelInfo(
            name=", ".join(self._members),
            context_tokens=min(contexts, default=None),
            tools=False if any(member.tools is False for member in known) else None,
            images=False if any(member.images is False for member in known) else None,
        )

    async def _info(self, member: str) -> ModelInfo | None:
        try:
            return await self._require(member).model_info()
        except ProviderError:
            return None  # it is away; it limits nothing then

    async def aclose(self) -> None:
        return


def _brief(options: TurnOptions, *, last: bool) -> TurnOptions:
    if last:
        return options
    budget_s = BRIEF_RETRIES_S if options.retry_budget_s is None else options.retry_budget_s
    return replace(options, retry_budget_s=min(budget_s, BRIEF_RETRIES_S))


KIND = ProviderKind(NAME, "an ordered list of other models", FallbackProvider)
