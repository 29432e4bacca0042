"""What a caller may see and do: asked when a list is made, and again at the moment of each request.

``EnabledOnly`` is the default: the owner may all, an agent what its manifest enables.
"""

from __future__ import annotations

from typing import Protocol

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import FORBIDDEN, RpcError
from ploinky.router.callers import Caller, reachable
from ploinky.router.catalogue import Pattern
from ploinky.router.naming import Target
from ploinky.router.routes import RouteTable


class Policy(Protocol):
    """Decides for the router."""

    def reach(self, caller: Caller) -> frozenset[str] | None:
        """The agents that ``caller`` sees; None means all, also those to come."""
        ...

    def patterns(self, caller: Caller) -> tuple[Pattern, ...]:
        """Which tools of these agents ``caller`` sees, as ``View`` has it; empty means all."""
        ...

    def admits_at_once(self, caller: Caller, target: Target) -> bool:
        """Whether a call of this tool passes without counting, waiting or asking; else ``admit`` says."""
        ...

    async def admit(self, caller: Caller, method: str, target: Target, params: JsonObject) -> None:
        """Let a request pass; may wait for a person, who is shown ``params``.

        Raises:
            RpcError: it may not, or not now.
        """
        ...


class EnabledOnly:
    """The default."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table

    def reach(self, caller: Caller) -> frozenset[str] | None:
        return reachable(caller, self._table.routes)

    def patterns(self, caller: Caller) -> tuple[Pattern, ...]:
        return ()

    def admits_at_once(self, caller: Caller, target: Target) -> bool:
        reach = self.reach(caller)
        return reach is None or target.agent in reach

    async def admit(self, caller: Caller, method: str, target: Target, params: JsonObject) -> None:
        reach = self.reach(caller)
        if reach is not None and target.agent not in reach:
            raise RpcError(FORBIDDEN, f"This agent's manifest does not enable {target.agent!r}.")
