"""Try a turn again when the server was busy and nothing of the answer has come out yet.

The pause grows and is spread by chance; what the server asks for (``Retry-After``) is obeyed, or, if it is
longer than the budget, the failure is told at once instead.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import anyio

from ploinky.providers.errors import ProviderError
from ploinky.providers.pace import Pace
from ploinky.providers.protocol import (
    ProviderTool,
    Retrying,
    TextDelta,
    ThinkingDelta,
    ToolCallDone,
    TurnEvent,
)

MAX_ATTEMPTS = 6
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 16.0
SPEECH = (TextDelta, ThinkingDelta, ToolCallDone, ProviderTool)
"""Events after which a turn cannot be begun anew without saying things twice."""


async def with_retries(
    attempt: Callable[[], AsyncGenerator[TurnEvent, None]], *, budget_s: float, pace: Pace
) -> AsyncGenerator[TurnEvent, None]:
    """The events of the first attempt that is not turned away; all pauses together fit into ``budget_s``.

    Raises:
        ProviderError: of the last attempt.
    """
    paused_s = 0.0
    for number in range(1, MAX_ATTEMPTS + 1):
        spoke = False
        try:
            async with aclosing(attempt()) as turn:
                async for event in turn:
                    spoke = spoke or isinstance(event, SPEECH)
                    yield event
        except ProviderError as error:
            pause_s = _pause_s(number, error)
            affordable = paused_s + pause_s <= budget_s and pause_s < pace.left_s
            if spoke or not error.transient or number == MAX_ATTEMPTS or not affordable:
                raise
            code = error.code
        else:
            return
        yield Retrying(number, pause_s, code)
        paused_s += pause_s
        await anyio.sleep(pause_s)


def _pause_s(number: int, error: ProviderError) -> float:
    if error.retry_after_s is not None:
        return error.retry_after_s
    longest_s: float = min(FIRST_PAUSE_S * 2 ** (number - 1), LONGEST_PAUSE_S)
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311  spreads clients, guards nothing
