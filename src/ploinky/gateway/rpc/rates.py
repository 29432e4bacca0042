"""How often a caller may call a method."""

from __future__ import annotations

import time
from collections.abc import Callable

from ploinky.base.buckets import TokenBuckets
from ploinky.base.errors import PloinkyError
from ploinky.gateway.rpc.method import Rate


class Rates:
    """``take`` counts a call. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = TokenBuckets(clock)

    def take(self, caller: str, method: str, rate: Rate) -> None:
        """Raises:
        PloinkyError: ``RATE_LIMITED`` with ``details.retryAfterS``.
        """
        wait_s = self._buckets.take((caller, method), per_minute=rate.per_minute, burst=rate.burst)
        if wait_s is not None:
            raise PloinkyError(
                "RATE_LIMITED",
                f"{method} was called too often.",
                hint=f"Wait {wait_s} s. It may be called {rate.per_minute:g} times a minute.",
                details={"retryAfterS": str(wait_s)},
            )
