"""Calls that wait for a person: each with its exact arguments, until somebody answers or time is up.

Kept in memory: a caller whose connection or gateway ended has gone, and its request with it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import orjson

from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject

PATIENCE_S = 300.0
MOST_WAITING = 100


@dataclass(frozen=True)
class Wanted:
    """One call: who wants it, of which tool, with which arguments."""

    caller: str
    agent: str
    tool: str
    arguments: JsonObject

    @property
    def digest(self) -> str:
        """Names exactly this call: SHA-256 over agent, tool and arguments in one order."""
        call = [self.agent, self.tool, self.arguments]
        return hashlib.sha256(orjson.dumps(call, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True)
class Waiting:
    """One call that waits, since ``asked_at`` (seconds since the epoch)."""

    id: str
    wanted: Wanted
    asked_at: float


@dataclass(frozen=True)
class Verdict:
    """``reason`` says why not."""

    allowed: bool
    reason: str = ""


@dataclass(eq=False)
class _Open:
    waiting: Waiting
    answered: anyio.Event = field(default_factory=anyio.Event)
    verdict: Verdict = Verdict(False, "nobody answered in time")


class CallApprovals:
    """``tell`` hears of every call that begins (``"asked"``) and ends (``"answered"``) to wait."""

    def __init__(
        self, *, patience_s: float = PATIENCE_S, tell: Callable[[str, Waiting], None] | None = None
    ) -> None:
        self._patience_s = patience_s
        self._tell = tell
        self._open: dict[str, _Open] = {}

    async def ask(self, wanted: Wanted) -> Verdict:
        """Wait for an answer, ``patience_s`` at the most; being cancelled withdraws the question."""
        if len(self._open) >= MOST_WAITING:
            return Verdict(False, f"{MOST_WAITING} calls wait for approval already")
        entry = _Open(Waiting(secrets.token_hex(8), wanted, time.time()))
        self._open[entry.waiting.id] = entry
        self._say("asked", entry.waiting)
        try:
            with anyio.move_on_after(self._patience_s):
                await entry.answered.wait()
        finally:
            self._open.pop(entry.waiting.id, None)
            self._say("answered", entry.waiting)
        return entry.verdict

    def waiting(self) -> tuple[Waiting, ...]:
        """What waits now, the oldest first."""
        return tuple(entry.waiting for entry in self._open.values())

    def resolve(self, approval_id: str, verdict: Verdict, *, digest: str | None = None) -> Waiting:
        """Answer one; the call goes on, or is refused, at once.

        Raises:
            NotFoundError: ``APPROVAL_NOT_FOUND``: there is none, it waits no more, or its digest differs.
        """
        entry = self._open.get(approval_id)
        if entry is None or digest not in (None, entry.waiting.wanted.digest):
            raise NotFoundError(
                "APPROVAL_NOT_FOUND", f"No call waits as {approval_id!r}.", hint="See: ploinky mcp approvals"
            )
        del self._open[approval_id]
        entry.verdict = verdict
        entry.answered.set()
        return entry.waiting

    def _say(self, kind: str, waiting: Waiting) -> None:
        if self._tell is not None:
            self._tell(kind, waiting)
