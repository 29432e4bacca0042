"""How often a caller may call a method: one bucket of tokens per caller and method, bounded in number."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ploinky.base.errors import PloinkyError
from ploinky.gateway.rpc.method import Rate

_MOST_BUCKETS = 4096


class Rates:
    """``take`` counts a call. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, caller: str, method: str, rate: Rate) -> None:
        """Raises:
        PloinkyError: ``RATE_LIMITED`` with ``details.retryAfterS``.
        """
        now = self._clock()
        key = (caller, method)
        left, since = self._buckets.pop(key, (float(rate.burst), now))
        per_s = rate.per_minute / 60
        left = min(float(rate.burst), left + (now - since) * per_s)
        taken = left >= 1
        self._buckets[key] = (left - 1 if taken else left, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not taken:
            wait_s = max(1, round((1 - left) / per_s))
            raise PloinkyError(
                "RATE_LIMITED",
                f"{method} was called too often.",
                hint=f"Wait {wait_s} s. It may be called {rate.per_minute:g} times a minute.",
                details={"retryAfterS": str(wait_s)},
            )
