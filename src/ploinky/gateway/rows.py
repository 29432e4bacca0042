"""Rows of the gateway's table of paths: who may come, and what answers to which method.

Files of their own make rows and mounts (``control``, ``web_face``, ``mounts``); the application finds them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import anyio

from ploinky.router.callers import Caller, CallerKind
from ploinky.router.http import HttpError, Receive, Scope, Send


class Access(Enum):
    """Who may come to a path."""

    ANYONE = 0
    CALLER = 1
    OWNER = 2


@dataclass(frozen=True)
class Request:
    """One HTTP request or websocket; ``found_caller`` is None where anyone may come. ``closing`` is set when
    the server ends, and streams should."""

    scope: Scope
    receive: Receive
    send: Send
    closing: anyio.Event
    found_caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """The caller, at a path where one is needed."""
        assert self.found_caller is not None
        return self.found_caller


Handler = Callable[[Request], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """One path: a handler per HTTP method."""

    handlers: Mapping[str, Handler]
    access: Access = Access.OWNER

    def handler(self, method: str) -> Handler:
        """Raises:
        HttpError: 405.
        """
        found = self.handlers.get(method)
        if found is None:
            allowed = ", ".join(self.handlers).encode()
            raise HttpError(405, "Method Not Allowed", [(b"allow", allowed)])
        return found


@dataclass(frozen=True)
class Mount:
    """A path and everything below it, answered by ``handler``, which looks at the method itself."""

    prefix: str
    handler: Handler
    access: Access = Access.CALLER

    def covers(self, path: str) -> bool:
        return path == self.prefix or path.startswith(f"{self.prefix}/")


def require_access(access: Access, caller: Caller | None) -> None:
    """Raises:
    HttpError: 403 if the path is the owner's alone.
    """
    if access is Access.OWNER and (caller is None or caller.kind is not CallerKind.OWNER):
        raise HttpError(403, "Only the owner's token may do this.")
