"""Sessions of the session era: who opened each, its calls under way, its stream of notifications.

A session belongs to the caller and the endpoint that opened it; for anybody else it does not exist. An
idle one is forgotten, and the number is bounded: the client initialises again when it gets a 404. No
agent can take so many that others lose theirs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio

from ploinky.router.callers import Caller, CallerKind
from ploinky.router.protocol import RequestId
from ploinky.router.streams import Feed

_SHARES = 4


@dataclass(slots=True, eq=False)
class Session:
    """One client; ``agent`` is its endpoint, None for all agents; ``shown`` the tools it knows of."""

    id: str
    caller: Caller
    agent: str | None
    version: str
    last_used: float
    calls: dict[RequestId, anyio.CancelScope] = field(default_factory=dict)
    feed: Feed = field(default_factory=Feed)
    shown: bytes = b""

    @property
    def busy(self) -> bool:
        return self.feed.listening or bool(self.calls)


class SessionStore:
    """All sessions, least recently used first."""

    def __init__(self, *, most: int, idle_s: float) -> None:
        self._most = most
        self._idle_s = idle_s
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def open(self, caller: Caller, agent: str | None, version: str) -> Session | None:
        """A new session, in place of the longest idle one if there are too many; None if all are busy.

        An agent has a quarter of them at most, and beyond that takes its own.
        """
        self.sweep()
        rivals = self._rivals(caller)
        if rivals is not None:
            idle = next((session for session in rivals if not session.busy), None)
            if idle is None:
                return None
            self.close(idle)
        session = Session(secrets.token_urlsafe(24), caller, agent, version, time.monotonic())
        self._sessions[session.id] = session
        return session

    def _rivals(self, caller: Caller) -> list[Session] | None:
        """The sessions of which one must go for a new one of ``caller``; None if there is room."""
        if caller.kind is CallerKind.AGENT:
            own = [session for session in self if session.caller == caller]
            if len(own) >= max(1, self._most // _SHARES):
                return own
        return list(self) if len(self) >= self._most else None

    def find(self, session_id: str, caller: Caller, agent: str | None) -> Session | None:
        """The session, if this caller opened it at this endpoint; it counts as used now."""
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller or session.agent != agent:
            return None
        session.last_used = time.monotonic()
        self._sessions[session_id] = self._sessions.pop(session_id)
        return session

    def close(self, session: Session) -> None:
        """Forget it, end its stream and cancel its calls."""
        self._sessions.pop(session.id, None)
        session.feed.close()
        for scope in tuple(session.calls.values()):
            scope.cancel()

    def sweep(self) -> None:
        """Forget what has been idle for too long."""
        oldest_kept = time.monotonic() - self._idle_s
        for session in self:
            if session.last_used >= oldest_kept:
                break
            if not session.busy:
                self.close(session)
