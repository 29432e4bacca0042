"""How long a turn may take: one deadline for the whole, one limit for each silence.

Only single waits are bounded, never a ``yield``: an asynchronous generator that yields inside a cancel scope
would break the scopes of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import anyio

from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.protocol import TurnOptions

T = TypeVar("T")


class Pace:
    """The time of one turn; starts when it is made."""

    def __init__(self, deadline_s: float, idle_s: float) -> None:
        self._deadline_s = deadline_s
        self._idle_s = idle_s
        self._ends = anyio.current_time() + deadline_s

    @classmethod
    def of(cls, config: ModelConfig, options: TurnOptions) -> Pace:
        """The limits of a turn: its options first, then the configuration of the model."""
        return cls(
            config.deadline_s if options.deadline_s is None else options.deadline_s,
            config.idle_timeout_s if options.idle_timeout_s is None else options.idle_timeout_s,
        )

    @property
    def left_s(self) -> float:
        return max(0.0, self._ends - anyio.current_time())

    def allow(self, more_s: float) -> None:
        """Move the deadline: this long was waited for a person, not for the model."""
        self._ends += more_s

    async def wait(self, awaitable: Awaitable[T], *, what: str) -> T:
        """The value of ``awaitable``, waited for as long as both limits allow.

        Raises:
            ProviderError: ``PROVIDER_IDLE`` or ``PROVIDER_TIMEOUT``, saying what was waited for.
        """
        left_s = self.left_s
        try:
            with anyio.fail_after(min(left_s, self._idle_s)):
                return await awaitable
        except TimeoutError as error:
            if left_s <= self._idle_s:
                raise self.over(what) from error
            raise ProviderError(
                ProviderCode.IDLE, f"Gave up after {self._idle_s:g} s of silence, waiting for {what}."
            ) from error

    def over(self, what: str) -> ProviderError:
        """The error of a turn whose deadline has passed."""
        return ProviderError(
            ProviderCode.TIMEOUT, f"The turn took longer than {self._deadline_s:g} s, waiting for {what}."
        )
