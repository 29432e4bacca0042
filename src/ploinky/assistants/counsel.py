"""The models of an assistant asked beside its turns: one question, or vectors of texts.

Within the same budgets, and without the workspace's secrets, like everything that an assistant sends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ploinky.assistants.memory.vectors import Embedder
from ploinky.assistants.models import AssistantModel
from ploinky.assistants.scrubbing import Scrubber
from ploinky.assistants.settings import AssistantSettings
from ploinky.assistants.spending import Spending
from ploinky.providers.embedding import Vector


class Counsel:
    """``model`` and ``settings`` give those of this moment."""

    def __init__(
        self,
        model: Callable[[], AssistantModel],
        settings: Callable[[], AssistantSettings],
        spending: Spending,
        scrubber: Scrubber,
    ) -> None:
        self._model = model
        self._settings = settings
        self._spending = spending
        self._scrubber = scrubber

    async def answer(self, instructions: str, text: str) -> str:
        """What the model says to one question.

        Raises:
            PloinkyError: ``NO_MODEL``, ``BUDGET_SPENT``, or as its provider.
        """
        await self._prepare()
        fold = await self._model().answer(instructions, self._scrubber.scrub(text))
        if fold.usage is not None:
            tokens = fold.usage.input_tokens + fold.usage.output_tokens
            await self._spending.add_turn("consolidation", tokens, fold.usage.cost or 0.0)
        return self._scrubber.scrub(fold.message.text)

    def embedder(self) -> Embedder | None:
        """The model that makes vectors of memory; None if none is wanted.

        Raises:
            PloinkyError: the one that the settings name cannot be had.
        """
        model_id = self._settings().memory.embeddings
        if model_id is None:
            return None
        provider = self._model().embedder(model_id)

        async def embed(texts: Sequence[str]) -> Sequence[Vector]:
            await self._prepare()
            done = await provider.embed([self._scrubber.scrub(text) for text in texts])
            await self._spending.add_turn("embeddings", done.tokens, 0.0)
            return done.vectors

        return Embedder(self._model().name_of(model_id), embed)

    async def _prepare(self) -> None:
        self._spending.require_turn(self._settings().budgets)
        await self._scrubber.refresh()
