"""Vectors of texts, where a provider's server makes them: ``/embeddings`` of the OpenAI kind, Ollama's
``/api/embed``.

Not a part of ``Provider``: whoever wants vectors asks whether a provider is an ``Embeds``. To let a provider
embed: an ``embed`` of this form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.http import HttpChannel
from ploinky.providers.wire import integer

MOST_DIMENSIONS = 16_384
Vector = tuple[float, ...]


@dataclass(frozen=True)
class Embedded:
    """One vector for each text, in their order, all of one length; ``tokens`` as far as the server tells."""

    vectors: tuple[Vector, ...]
    tokens: int = 0


@runtime_checkable
class Embeds(Protocol):
    """A provider whose server makes vectors."""

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """The vectors of ``texts`` by the configured model.

        Raises:
            ProviderError: as a turn; ``PROVIDER_MALFORMED`` if what came is no vector for each text.
        """
        ...


async def embed_openai(channel: HttpChannel, model: str, texts: Sequence[str]) -> Embedded:
    """By ``/embeddings``."""
    given: list[JsonValue] = list(texts)
    body: JsonObject = {"model": model, "input": given, "encoding_format": "float"}
    answer = await channel.ask("POST", "/embeddings", body)
    rows = answer.get("data")
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    listed.sort(key=lambda row: integer(row, "index"))
    vectors = _vectors([row.get("embedding") for row in listed], len(texts), channel.server.who)
    return Embedded(vectors, integer(answer, "usage", "prompt_tokens"))


async def embed_ollama(channel: HttpChannel, model: str, texts: Sequence[str]) -> Embedded:
    """By ``/api/embed``."""
    given: list[JsonValue] = list(texts)
    answer = await channel.ask("POST", "/api/embed", {"model": model, "input": given, "truncate": True})
    rows = answer.get("embeddings")
    vectors = _vectors(rows if isinstance(rows, list) else [], len(texts), channel.server.who)
    return Embedded(vectors, integer(answer, "prompt_eval_count"))


def _vectors(rows: list[JsonValue], wanted: int, who: str) -> tuple[Vector, ...]:
    found = [_vector(row) for row in rows]
    vectors = tuple(each for each in found if each is not None)
    if len(vectors) != wanted or len(rows) != wanted or len({len(each) for each in vectors}) > 1:
        raise ProviderError(ProviderCode.MALFORMED, f"{who} did not send one vector for each text.")
    return vectors


def _vector(row: JsonValue) -> Vector | None:
    if not isinstance(row, list) or not 0 < len(row) <= MOST_DIMENSIONS:
        return None
    numbers = [float(each) for each in row if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if len(numbers) != len(row) or not all(math.isfinite(each) for each in numbers):
        return None
    return tuple(numbers)
