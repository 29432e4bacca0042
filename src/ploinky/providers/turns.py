"""Run a turn over HTTP: ask by a ``Wire``, read by its decoder, try again while nothing was said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.http import HttpChannel, drain
from ploinky.providers.pace import Pace
from ploinky.providers.protocol import (
    Done,
    Served,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDone,
    TurnEvent,
    TurnOptions,
    Usage,
)
from ploinky.providers.retries import with_retries
from ploinky.providers.surrogates import Halves, mended
from ploinky.providers.wire import Request, Wire


class _WholeCharacters:
    """Passes events on, with no piece of text that ends within a character."""

    def __init__(self) -> None:
        self._text = Halves()
        self._thought = Halves()

    def of(self, event: TurnEvent) -> Iterator[TurnEvent]:
        match event:
            case TextDelta(text):
                if whole := self._text.join(text):
                    yield TextDelta(whole)
            case ThinkingDelta(text):
                if whole := self._thought.join(text):
                    yield ThinkingDelta(whole)
            case ThinkingDone(Thinking(text, signature)):
                if rest := self._thought.rest():
                    yield ThinkingDelta(rest)
                yield ThinkingDone(Thinking(mended(text), signature))
            case ToolCallDone() | Usage():
                if rest := self._text.rest():
                    yield TextDelta(rest)
                yield event
            case _:
                yield event

    def rest(self) -> str:
        return self._text.rest()


class HttpTurns:
    """Turns of one configured model."""

    def __init__(self, channel: HttpChannel, wire: Wire, config: ModelConfig, model_id: str) -> None:
        self._channel = channel
        self._wire = wire
        self._config = config
        self._model_id = model_id

    def run(self, request: Request, options: TurnOptions) -> AsyncGenerator[TurnEvent, None]:
        """The events of one turn, as ``Provider.stream_turn`` promises them."""
        budget_s = self._config.retry_budget_s if options.retry_budget_s is None else options.retry_budget_s
        pace = Pace.of(self._config, options)
        return with_retries(lambda: self._attempt(request, pace), budget_s=budget_s, pace=pace)

    async def _attempt(self, request: Request, pace: Pace) -> AsyncGenerator[TurnEvent, None]:
        decoder = self._wire.decoder(request)
        whole = _WholeCharacters()
        body = self._wire.body(request)
        async with aclosing(
            self._channel.records(self._wire.path, body, self._wire.framing(), pace)
        ) as records:
            async for record in records:
                for event in decoder.read(record):
                    for each in whole.of(event):
                        yield each
                if decoder.complete:
                    await drain(records)
                    break
        for event in decoder.finish():
            for each in whole.of(event):
                yield self._priced(each) if isinstance(each, Usage) else each
        if rest := whole.rest():
            yield TextDelta(rest)
        ending = decoder.ending
        if ending is None:
            raise ProviderError(
                ProviderCode.STREAM_CUT, f"{self._channel.server.who} ended before its answer was complete."
            )
        yield Done(ending.reason, Served(self._model_id, self._config.provider, ending.model))

    def _priced(self, usage: Usage) -> Usage:
        """``usage`` with its cost, if the server did not say it and the configuration has a price."""
        price = self._config.price
        if usage.cost is not None or price is None:
            return usage
        cost = price.cost(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
        return Usage(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, cost, price.currency)
