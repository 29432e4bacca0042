"""What the router tells of every request that reached an agent's name: who, what, how it ended, how long.

Never an argument and never a result. To have another outcome: a row in ``_OUTCOMES``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType

from ploinky.mcp.messages import (
    AGENT_LOST,
    AGENT_NOT_READY,
    CANCELLED,
    FORBIDDEN,
    NOT_APPROVED,
    RATE_LIMITED,
    RpcError,
)
from ploinky.router.naming import Target

OK = "ok"
TOOL_FAILED = "tool_failed"
INTERRUPTED = "interrupted"
_ERROR = "error"
_OUTCOMES: Mapping[int, str] = MappingProxyType(
    {
        AGENT_LOST: "lost",
        AGENT_NOT_READY: "not_ready",
        CANCELLED: "cancelled",
        FORBIDDEN: "refused",
        NOT_APPROVED: "not_approved",
        RATE_LIMITED: "limited",
    }
)


@dataclass(frozen=True, slots=True)
class Served:
    """One request that ended. ``name`` is the thing's own name at its agent; ``ms`` is wall time."""

    caller: str
    method: str
    agent: str
    name: str
    outcome: str
    ms: float


Tell = Callable[[Served], None]


def outcome_of(error: BaseException | None, well: str = OK) -> str:
    """How a request ended that ``error`` ended, or ``well`` if nothing did."""
    if isinstance(error, RpcError):
        return _OUTCOMES.get(error.code, _ERROR)
    if error is not None:
        return _ERROR if isinstance(error, Exception) else INTERRUPTED
    return well


class Watched:
    """A context around one request that tells how it ended; set ``outcome`` when it ends well. ``end`` hears
    of it too."""

    __slots__ = ("_began", "_caller", "_end", "_method", "_target", "_tell", "outcome")

    def __init__(
        self, tell: Tell, caller: str, method: str, target: Target, end: Callable[[str], None] | None = None
    ) -> None:
        self._tell = tell
        self._end = end
        self._caller = caller
        self._method = method
        self._target = target
        self._began = time.perf_counter()
        self.outcome = OK

    def __enter__(self) -> Watched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = outcome_of(error, self.outcome)
        if self._end is not None:
            self._end(outcome)
        ms = (time.perf_counter() - self._began) * 1000
        self._tell(Served(self._caller, self._method, self._target.agent, self._target.name, outcome, ms))
