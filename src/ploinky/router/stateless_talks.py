"""Conversations of clients that have no session: shared by nobody, kept while the same client goes on.

An agent that keeps state must not show one client's to another. A client without a session is told from
others by who calls, by its connection, and by what it says of itself; its conversations are kept for a while.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import anyio
import orjson

from ploinky.mcp.upstream import ClientFacts, Upstream
from ploinky.router.talks import BackFor, Talks

IDLE_S = 60.0
MOST = 256


@dataclass(slots=True, eq=False)
class _Kept:
    talks: Talks
    users: int = 0
    last_used: float = 0.0


class StatelessTalks:
    """To use the conversations of a client: ``async with lease(...)``."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = upstreams
        self._kept: dict[bytes, _Kept] = {}

    def fresh(self, client: ClientFacts, back_for: BackFor) -> Talks:
        """Conversations for one request, with agents that keep nothing."""
        return Talks(self._upstreams, client, back_for)

    @contextlib.asynccontextmanager
    async def lease(self, client: ClientFacts, place: str, back_for: BackFor) -> AsyncIterator[Talks]:
        """The conversations of this client; ``place`` is its endpoint and connection."""
        key = orjson.dumps([client.caller, place, client.capabilities, client.info])
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(self.fresh(client, back_for))
        kept.users += 1
        try:
            yield kept.talks
        finally:
            kept.users -= 1
            kept.last_used = anyio.current_time()
            self._kept[key] = self._kept.pop(key, kept)
            await self.sweep()

    async def sweep(self) -> None:
        """End what was idle for too long, and the longest idle of too many."""
        oldest_kept = anyio.current_time() - IDLE_S
        for key, kept in tuple(self._kept.items()):
            if kept.users == 0 and (kept.last_used < oldest_kept or len(self._kept) > MOST):
                del self._kept[key]
                await kept.talks.aclose()

    async def aclose(self) -> None:
        """End all of them."""
        ending, self._kept = self._kept, {}
        for kept in ending.values():
            await kept.talks.aclose()
