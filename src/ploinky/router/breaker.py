"""A circuit breaker per agent: one that fails again and again by silence is left alone for a while.

Closed, it lets all pass; after ``FAILURES`` in a row it is open for ``REST_S`` and refuses at once, so that
nobody waits for what does not answer; then one call may try, and its outcome decides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

FAILURES = 5
REST_S = 10.0


class Breaker:
    """``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._closes_at = 0.0
        self._trying = False

    def wait_s(self) -> int | None:
        """None if a call may pass (it must be followed by ``succeeded``, ``failed`` or ``ended``), else the
        seconds until one may."""
        if self._failures < FAILURES:
            return None
        left_s = self._closes_at - self._clock()
        if left_s > 0 or self._trying:
            return max(1, math.ceil(left_s))
        self._trying = True
        return None

    @property
    def is_closed(self) -> bool:
        """Whether nothing speaks against a call: none has failed since the last that did not."""
        return self._failures == 0

    def succeeded(self) -> None:
        self._failures = 0
        self._trying = False

    def failed(self) -> None:
        """By silence or absence; an agent's own error is an answer."""
        self._failures += 1
        self._trying = False
        if self._failures >= FAILURES:
            self._closes_at = self._clock() + REST_S

    def ended(self) -> None:
        """Without an outcome: the caller went away."""
        self._trying = False
