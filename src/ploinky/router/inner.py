"""An upstream that lives in this process, as one of the router's agents."""

from __future__ import annotations

from ploinky.mcp.upstream import Back, ClientFacts, Conversation, Offer, Upstream
from ploinky.router.routes import AgentRoute


class InnerAgent:
    """The upstream of a route with ``inner``, as long as there is that route."""

    problem = ""

    def __init__(self, route: AgentRoute, upstream: Upstream) -> None:
        self.route = route
        self._upstream = upstream

    @property
    def offer(self) -> Offer:
        return self._upstream.offer

    def converse(self, client: ClientFacts, back: Back) -> Conversation:
        """See ``Upstream``."""
        return self._upstream.converse(client, back)

    def adopt(self, route: AgentRoute) -> bool:
        """Take a new version of the route; says whether what clients see may differ."""
        before, self.route = self.route, route
        return before != route

    async def refresh(self) -> bool:
        """See ``Upstream``."""
        return await self._upstream.refresh()

    def close(self) -> None:
        """See ``Upstream``."""
        self._upstream.close()
