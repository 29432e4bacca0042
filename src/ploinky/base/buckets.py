"""How often something may happen: a bucket of tokens per key, bounded in number."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_MOST_BUCKETS = 4096


class TokenBuckets:
    """``clock`` gives seconds that never go back. The bucket used longest ago is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, *, per_minute: float, burst: float) -> int | None:
        """Count one; None if it may happen now, else the whole seconds (at least 1) until the next may."""
        now = self._clock()
        left, since = self._buckets.pop(key, (burst, now))
        per_s = per_minute / 60
        left = min(burst, left + (now - since) * per_s)
        taken = left >= 1
        self._buckets[key] = (left - 1 if taken else left, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return None if taken else max(1, round((1 - left) / per_s))
