"""What a caller may see and do: asked when a list is made, and again at the moment of each request.

``EnabledOnly`` is the default: the owner may all, an agent what its manifest enables.
"""

from __future__ import annotations

from typing import Protocol

from ploinky.mcp.messages import FORBIDDEN, RpcError
from ploinky.router.callers import Caller, reachable
from ploinky.router.naming import Target
from ploinky.router.routes import RouteTable


class Policy(Protocol):
    """Decides for the router."""

    def reach(self, caller: Caller) -> frozenset[str] | None:
        """The agents that ``caller`` sees; None means all, also those to come."""
        ...

    def patterns(self, caller: Caller) -> tuple[str, ...]:
        """Globs over ``<agent>/<tool>`` of the tools that ``caller`` sees; empty means all of its agents'."""
        ...

    async def admit(self, caller: Caller, method: str, target: Target) -> None:
        """Let a request pass; may wait for a person.

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

    def patterns(self, caller: Caller) -> tuple[str, ...]:
        return ()

    async def admit(self, caller: Caller, method: str, target: Target) -> None:
        reach = self.reach(caller)
        if reach is not None and target.agent not in reach:
            raise RpcError(FORBIDDEN, f"This agent's manifest does not enable {target.agent!r}.")
