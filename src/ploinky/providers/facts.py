"""What is known of a configured model: what its entry says, over what its server says, or nothing."""

from __future__ import annotations

from dataclasses import replace

from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderError
from ploinky.providers.protocol import ModelInfo, Provider


async def model_facts(provider: Provider, config: ModelConfig) -> ModelInfo:
    """The model of an entry; a server that is away or does not say leaves its facts unknown (None).

    Tells how large a conversation may be made and whether tools may be offered, before a turn is begun.
    """
    try:
        told = await provider.model_info()
    except ProviderError:
        name = config.ollama_model_name or config.openai_model_id or config.model or config.provider
        told = ModelInfo(name)
    windows = [size for size in (config.max_context_tokens, told.context_tokens) if size is not None]
    return replace(
        told,
        context_tokens=min(windows, default=None),
        max_output_tokens=config.max_output_tokens or told.max_output_tokens,
        tools=told.tools if config.supports_tools is None else config.supports_tools,
    )
