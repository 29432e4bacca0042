"""A client of the gateway for the command line: tools, calls with progress, control.

Speaks the stateless revision, one request per connection, without a general HTTP client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from ploinky.base.jsontypes import JsonObject, JsonValue


@dataclass(frozen=True)
class GatewayAddress:
    """Where the gateway listens, and the token to show it."""

    port: int
    token: str
    host: str = "127.0.0.1"

    def __repr__(self) -> str:
        return f"GatewayAddress({self.host}:{self.port})"


@dataclass(frozen=True)
class ToolInfo:
    """One tool as the gateway lists it; ``input_schema`` is JSON Schema."""

    name: str
    title: str
    description: str
    input_schema: JsonObject
    agent: str | None = None


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool answered: its text, its structured content if it has any, whether it failed."""

    text: str
    structured: JsonValue
    is_error: bool


@dataclass(frozen=True)
class ToolProgress:
    """One progress notification; ``total`` is None while unknown."""

    progress: float
    total: float | None
    message: str


OnProgress = Callable[[ToolProgress], Awaitable[None]]


class GatewayClient:
    """Requests to one gateway.

    Every method raises PloinkyError: ``GATEWAY_UNREACHABLE`` (nothing listens), ``GATEWAY_REFUSED`` (token
    or permission), ``GATEWAY_PROTOCOL`` (no sensible answer), ``TOOL_CALL_FAILED`` (the MCP error, whose
    code is in ``details``), DeadlineError.
    """

    def __init__(self, address: GatewayAddress, *, timeout_s: float = 10.0) -> None:
        self._address = address
        self._timeout_s = timeout_s

    async def list_tools(self, agent: str | None = None) -> list[ToolInfo]:
        """All tools, or those of one agent by their own names."""
        raise NotImplementedError

    async def call_tool(
        self,
        name: str,
        arguments: JsonObject,
        *,
        agent: str | None = None,
        on_progress: OnProgress | None = None,
        timeout_s: float = 600.0,
    ) -> ToolAnswer:
        """Call a tool by its name on ``/mcp``, or by its own name on one agent; cancelling ends it."""
        raise NotImplementedError

    async def status(self) -> JsonValue:
        """What ``/control/status`` tells."""
        raise NotImplementedError

    async def reconcile(self) -> JsonValue:
        """Ask the gateway to look at the registry now; returns when it has."""
        raise NotImplementedError

    async def shutdown(self) -> None:
        """Ask the gateway process to end; agents live on."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[JsonObject]:
        """Events of the gateway until it ends or the iterator is closed."""
        raise NotImplementedError

    async def healthy(self) -> bool:
        """Whether a gateway answers ``/healthz`` there; never raises for one that does not."""
        raise NotImplementedError
