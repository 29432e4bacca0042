"""Messages to and from one MCP server, for one conversation. To add a transport: fulfil ``Wire``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import anyio

from ploinky.base.jsontypes import JsonObject

Take = Callable[[JsonObject], None]


@dataclass(slots=True)
class WireState:
    """What a conversation tells its wire: who asks, the server's session, the version agreed on."""

    caller: str = ""
    session: str | None = None
    version: str | None = None


class Wire(Protocol):
    """One way to a server; ``take`` gets every message that is no response, in order.

    ``hears_at_once``: nothing arrives at all unless ``listen`` runs, and its end is that of the wire. Other
    wires may listen once the session is open, if they have one.
    """

    hears_at_once: bool

    async def request(self, message: JsonObject, headers: Mapping[str, str], take: Take) -> JsonObject:
        """Send a request and wait for its response, which is returned whole.

        Raises:
            SessionGoneError: the server has forgotten the session; the request was not begun.
            PloinkyError: ``SERVER_UNREACHABLE`` (nothing was begun), ``SERVER_LOST``, ``SERVER_PROTOCOL``,
                or what the launcher says.
        """
        ...

    async def send(self, message: JsonObject) -> None:
        """Send a notification or a response.

        Raises:
            PloinkyError: as ``request``.
        """
        ...

    async def listen(self, take: Take, listening: anyio.Event) -> None:
        """Take what the server says unasked, until it will say no more or the wire is lost; ``listening`` is
        set when the server knows that somebody listens."""
        ...

    async def aclose(self) -> None:
        """End it, and the session if there is one. Idempotent."""
        ...


OpenWire = Callable[[WireState], Awaitable[Wire]]
