"""The gateway's HTTP face: a table of paths over parts that are passed in.

Knows HTTP, who may come in and how much they may send; MCP itself is the router's. A control path is the
owner's alone. To add a path: a row in ``_table``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc

from ploinky.base.jsontypes import JsonValue
from ploinky.router.callers import TokenVerifier
from ploinky.router.router import Router
from ploinky.wire.events import Event

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True)
class GatewayParts:
    """What the application stands on.

    ``allowed_hosts`` are host names without port that a Host or Origin header may carry. ``events`` gives a
    new iterator per listener.
    """

    router: Router
    verifier: TokenVerifier
    status: Callable[[], Awaitable[JsonValue]]
    reconcile: Callable[[], Awaitable[JsonValue]]
    shutdown: Callable[[], Awaitable[None]]
    events: Callable[[], AsyncIterator[Event]]
    is_ready: Callable[[], bool] = lambda: True
    allowed_hosts: frozenset[str] = field(default=frozenset({"127.0.0.1", "localhost", "::1"}))


class GatewayApp:
    """An ASGI application; made by ``create_app``."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    def close_streams(self) -> None:
        """End every open stream; called by ``serve`` before it waits for connections to end."""
        raise NotImplementedError


def create_app(parts: GatewayParts) -> GatewayApp:
    """The application over ``parts``."""
    return GatewayApp(parts)


@dataclass(frozen=True)
class Listen:
    """Where to listen: a TCP address (port 0 takes a free one) or, if ``uds`` is given, a UNIX socket."""

    host: str = "127.0.0.1"
    port: int = 8080
    uds: str | None = None


async def serve(
    app: GatewayApp,
    listen: Listen,
    *,
    stop: anyio.Event,
    grace_s: float = 3.0,
    task_status: anyio.abc.TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set, then end streams, finish calls within ``grace_s`` and return.

    Reports the port by ``task_status`` once it listens; installs no signal handlers.

    Raises:
        PloinkyError: ``PORT_TAKEN`` or ``LISTEN_FAILED``, naming the address.
    """
    raise NotImplementedError
