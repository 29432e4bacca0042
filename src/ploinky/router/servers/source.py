"""Where an agent's MCP server is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ploinky.base.errors import PloinkyError

if TYPE_CHECKING:
    import httpx2

UNREACHABLE = "SERVER_UNREACHABLE"
LOST = "SERVER_LOST"
PROTOCOL = "SERVER_PROTOCOL"


@dataclass(frozen=True)
class StdioSource:
    """A program of the sandbox that speaks MCP on its pipes; started once for every conversation."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None


@dataclass(frozen=True)
class PortSource:
    """A server that listens on a port inside the sandbox."""

    port: int
    path: str = "/mcp"


AuthSource = Callable[[str], Awaitable["httpx2.Auth | None"]]
HeaderSource = Callable[[str], Awaitable[Mapping[str, str]]]


async def no_headers(caller: str) -> Mapping[str, str]:
    return {}


async def no_auth(caller: str) -> httpx2.Auth | None:
    return None


@dataclass(frozen=True)
class UrlSource:
    """A server outside. ``headers`` gives those that a request of a caller needs, secrets among them;
    ``auth`` what signs it by a login, if there is one."""

    url: str
    headers: HeaderSource = field(default=no_headers, compare=False)
    auth: AuthSource = field(default=no_auth, compare=False)


ServerSource = StdioSource | PortSource | UrlSource


def lost(what: str) -> PloinkyError:
    return PloinkyError(LOST, f"The MCP server ended the connection: {what}.")


def violated(what: str) -> PloinkyError:
    return PloinkyError(PROTOCOL, f"The MCP server answered with {what}.")


class SessionGoneError(Exception):
    """The server does not know this session any more; nothing was executed."""
