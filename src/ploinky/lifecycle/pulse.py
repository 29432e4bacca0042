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


@dataclass(frozen=True)
class Patience:
    """How often something is tried again inside ``window_s``, and the pauses, which double."""

    most: int
    first_s: float
    longest_s: float
    window_s: float = 300.0


RESTART_PATIENCE = Patience(most=5, first_s=1.0, longest_s=30.0)


class Attempts:
    """How often something was tried lately, and how long to wait before the next try."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._times: deque[float] = deque()

    @property
    def count(self) -> int:
        """Tries inside the window."""
        while self._times and self._times[0] < anyio.current_time() - self._patience.window_s:
            self._times.popleft()
        return len(self._times)

    @property
    def exhausted(self) -> bool:
        return self.count >= self._patience.most

    def next_pause_s(self) -> float:
        """Note one more try; the pause before it. The first comes at once, then the pauses double."""
        earlier = self.count
        self._times.append(anyio.current_time())
        if earlier == 0:
            return 0.0
        return float(min(self._patience.longest_s, self._patience.first_s * 2 ** (earlier - 1)))

    def forget(self) -> None:
        self._times.clear()
