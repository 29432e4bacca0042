"""Fold the events of a turn into what is kept of it: the message, the usage, who served.

``TurnFold`` takes events while they are passed on to whoever watches; ``read_turn`` reads a whole turn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.protocol import (
    AssistantMessage,
    Done,
    TextDelta,
    Thinking,
    ThinkingDone,
    ToolCall,
    ToolCallDone,
    TurnEvent,
    Usage,
)


class TurnFold:
    """What a turn has said so far. After a failure or a cancellation it holds what had come out."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._calls: list[ToolCall] = []
        self._thinking: list[Thinking] = []
        self.usage: Usage | None = None
        self.done: Done | None = None

    def add(self, event: TurnEvent) -> None:
        match event:
            case TextDelta(text):
                self._pieces.append(text)
            case ToolCallDone(call):
                self._calls.append(call)
            case ThinkingDone(thinking):
                self._thinking.append(thinking)
            case Usage():
                self.usage = event
            case Done():
                self.done = event
            case _:
                pass

    @property
    def message(self) -> AssistantMessage:
        """The answer; its text is the streamed pieces joined."""
        return AssistantMessage("".join(self._pieces), tuple(self._calls), tuple(self._thinking))

    def require_done(self) -> Done:
        """How the turn ended.

        Raises:
            ProviderError: ``PROVIDER_STREAM_CUT``, the provider ended without ``Done``.
        """
        if self.done is None:
            raise ProviderError(ProviderCode.STREAM_CUT, "The model's answer ended before it was complete.")
        return self.done


async def read_turn(turn: AsyncGenerator[TurnEvent, None]) -> TurnFold:
    """A whole turn.

    Raises:
        ProviderError: as the turn, or because it ended without ``Done``.
    """
    fold = TurnFold()
    async with aclosing(turn):
        async for event in turn:
            fold.add(event)
    fold.require_done()
    return fold
