"""The configured models of one assistant: entries by id, each made into a provider when it is first used.

Owns the providers that it made and ends them together. Knows no file: the entries are passed in, and a
changed configuration is a new ``Models``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.names import closest
from ploinky.providers.config import ModelConfig
from ploinky.providers.protocol import Provider
from ploinky.providers.registry import ProviderContext, ProviderRegistry


class Models:
    """Entries of ``models``, and the providers made of them so far."""

    def __init__(
        self, entries: Mapping[str, ModelConfig], registry: ProviderRegistry, context: ProviderContext
    ) -> None:
        self._entries = dict(entries)
        self._registry = registry
        self._context = context
        self._made: dict[str, Provider] = {}

    def require_entry(self, model_id: str) -> ModelConfig:
        """The entry of an id.

        Raises:
            NotFoundError: ``MODEL_UNKNOWN``, with what was probably meant.
        """
        if model_id not in self._entries:
            meant = closest(model_id, self._entries)
            raise NotFoundError(
                "MODEL_UNKNOWN",
                f"There is no model {model_id!r} in the configuration.",
                hint=f"Did you mean {meant!r}?" if meant else "Add it to models in .ploinky/config.json.",
            )
        return self._entries[model_id]

    def provider(self, model_id: str) -> Provider:
        """The provider of an entry; the same one at every call.

        Raises:
            NotFoundError: ``MODEL_UNKNOWN``, ``PROVIDER_UNKNOWN``.
            PloinkyError: ``MODEL_DISABLED``, ``MODEL_LOOP`` (fallbacks that lead back), or a wrong entry.
        """
        if model_id in self._made:
            return self._made[model_id]
        entry = self.require_entry(model_id)
        if not entry.enabled:
            raise PloinkyError(
                "MODEL_DISABLED",
                f"The model {model_id!r} is switched off.",
                hint="Set its enabled to true, or choose another model.",
            )
        self._refuse_loops((model_id,))
        context = replace(self._context, model_id=model_id, require_model=self.provider)
        made = self._registry.make(entry, context)
        self._made[model_id] = made
        return made

    def _refuse_loops(self, path: tuple[str, ...]) -> None:
        entry = self._entries.get(path[-1])
        for member in () if entry is None else entry.fallback_models:
            if member in path:
                raise PloinkyError(
                    "MODEL_LOOP",
                    f"The fallbacks lead back to where they began: {' → '.join([*path, member])}.",
                    hint="Take one of them out of fallbackModels.",
                )
            self._refuse_loops((*path, member))

    async def aclose(self) -> None:
        """End every provider that was made."""
        made, self._made = self._made, {}
        for provider in made.values():
            await provider.aclose()
