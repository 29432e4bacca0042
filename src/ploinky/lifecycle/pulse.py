"""Whether an agent is well, from a row of answers: thresholds, and nothing else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import anyio

from ploinky.lifecycle.probes import Answer, Check


@dataclass
class Pulse:
    """The verdict of one check. ``well`` is None until enough answers came."""

    check: Check
    well: bool | None = None
    reason: str = ""
    _good: int = 0
    _bad: int = 0

    def take(self, answer: Answer, *, age_s: float) -> bool:
        """Count one answer given ``age_s`` seconds after the agent was launched; whether ``well`` changed."""
        before = self.well
        if answer.ok:
            self._good, self._bad = self._good + 1, 0
            if self._good >= self.check.success_threshold:
                self.well, self.reason = True, ""
        else:
            self._good = 0
            self.reason = answer.reason
            if age_s >= self.check.start_period_s:
                self._bad += 1
            if self.is_certain or (before is None and self._bad):
                self.well = False
        return self.well is not before

    @property
    def is_certain(self) -> bool:
        """Whether enough bad answers came in a row, or enough good ones."""
        return self._bad >= self.check.failure_threshold or self._good >= self.check.success_threshold

    def begin_again(self) -> None:
        """Forget everything: the agent was launched anew."""
        self.well, self._good, self._bad = None, 0, 0


class Attempts:
    """How often something was tried lately, and how long to wait before the next try."""

    def __init__(self, *, most: int, window_s: float, first_s: float, longest_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._first_s = first_s
        self._longest_s = longest_s
        self._times: deque[float] = deque()

    @property
    def count(self) -> int:
        """Tries inside the window."""
        while self._times and self._times[0] < anyio.current_time() - self._window_s:
            self._times.popleft()
        return len(self._times)

    @property
    def exhausted(self) -> bool:
        return self.count >= self._most

    def next_pause_s(self) -> float:
        """Note one more try; the pause before it. The first comes at once, then the pauses double."""
        earlier = self.count
        self._times.append(anyio.current_time())
        return 0.0 if earlier == 0 else float(min(self._longest_s, self._first_s * 2 ** (earlier - 1)))

    def forget(self) -> None:
        self._times.clear()
