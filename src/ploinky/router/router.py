"""The router: every ready agent's tools as MCP servers, one by one and all together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from ploinky.router.routes import RouteTable


class Naming(StrEnum):
    """How tools are named on ``/mcp``; see ``router.naming``."""

    AUTO = "auto"
    PREFIX = "prefix"
    PLAIN = "plain"


@dataclass(frozen=True)
class RouterSettings:
    """``agent_deadline_s`` bounds how long one agent may hold up a list; the rest bound memory."""

    naming: Naming = Naming.AUTO
    agent_deadline_s: float = 2.0
    config_poll_s: float = 1.0
    session_idle_s: float = 3600.0
    max_sessions: int = 10_000


class Router:
    """Made by ``open_router``; ``table`` may be replaced at any time."""

    def __init__(self, table: RouteTable, settings: RouterSettings) -> None:
        self.table = table
        self.settings = settings

    def close_streams(self) -> None:
        """End every open stream, so that the server can shut down; new ones end at once."""
        raise NotImplementedError


@contextlib.asynccontextmanager
async def open_router(table: RouteTable, settings: RouterSettings | None = None) -> AsyncIterator[Router]:
    """A running router; leaving the context ends its channels and streams."""
    yield Router(table, settings or RouterSettings())
