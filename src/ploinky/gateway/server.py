"""Serving an ASGI application with bounds that the HTTP parser does not set itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.abc
import uvicorn

from ploinky.base.errors import PloinkyError
from ploinky.gateway.connection import HEADER_TIMEOUT_S, MAX_CONNECTIONS, STALL_S, BoundedProtocol
from ploinky.router.http import Receive, Scope, Send

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_BACKLOG = 512
_IP_FREEBIND = 15  # Linux; the socket module has no name for it


class ClosableApp(Protocol):
    """An ASGI application whose streams can be ended."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def close_streams(self) -> None: ...


@dataclass(frozen=True)
class Listen:
    """Where to listen: a TCP address (port 0 takes a free one) or, if ``uds`` is given, a UNIX socket.

    ``before_interface``: the address may belong to an interface that is not there yet. ``patience_s``
    bounds the wait for a request's head, and for the rest of a body whose answer was sent already;
    ``stall_s`` how long a client may take nothing of an answer.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: str | None = None
    before_interface: bool = False
    patience_s: float = HEADER_TIMEOUT_S
    stall_s: float = STALL_S

    def __str__(self) -> str:
        return self.uds or f"{self.host}:{self.port}"


async def serve(
    app: ClosableApp,
    listen: Listen,
    *,
    stop: anyio.Event,
    grace_s: float = 3.0,
    task_status: anyio.abc.TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set, then end streams, finish calls within ``grace_s`` and return.

    Reports the port (0 for a UNIX socket) by ``task_status`` once it listens; installs no signal handlers.

    Raises:
        PloinkyError: ``PORT_TAKEN`` or ``LISTEN_FAILED``, naming the address.
    """
    with _listening(listen) as bound:
        server = _Server(_config(app, grace_s, listen))
        async with anyio.create_task_group() as tasks:

            async def end() -> None:
                await stop.wait()
                app.close_streams()
                server.should_exit = True

            tasks.start_soon(end)
            task_status.started(0 if listen.uds else bound.getsockname()[1])
            await server.serve([bound])
            tasks.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _staticly(app: ClosableApp) -> object:
    """What the application takes quickly, as a class's attribute that does not bind."""
    express = getattr(app, "express", None)
    return None if express is None else staticmethod(express)


def _websocket(**parts: Any) -> asyncio.Protocol:
    """uvicorn's protocol of websockets, loaded when the first one comes."""
    from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

    return WSProtocol(**parts)


def _config(app: ClosableApp, grace_s: float, listen: Listen) -> uvicorn.Config:
    own = {"patience_s": listen.patience_s, "stall_s": listen.stall_s, "express": _staticly(app)}
    return uvicorn.Config(
        app,
        http=type("_Patient", (BoundedProtocol,), own),
        ws=_websocket,  # type: ignore[arg-type]  # uvicorn calls what it takes for a class
        ws_max_size=MAX_MESSAGE_BYTES,
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )


@contextlib.contextmanager
def _listening(listen: Listen) -> Iterator[socket.socket]:
    family = socket.AF_UNIX if listen.uds else socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if listen.uds:
            Path(listen.uds).unlink(missing_ok=True)
            bound.bind(listen.uds)
            Path(listen.uds).chmod(0o600)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listen.before_interface:
                bound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            bound.bind((listen.host, listen.port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _listen_error(listen, error) from error
    try:
        yield bound
    finally:
        bound.close()
        if listen.uds:
            Path(listen.uds).unlink(missing_ok=True)


def _listen_error(listen: Listen, error: OSError) -> PloinkyError:
    if error.errno == errno.EADDRINUSE:
        return PloinkyError(
            "PORT_TAKEN", f"{listen} is in use.", hint="Choose another port, or stop what listens there."
        )
    return PloinkyError("LISTEN_FAILED", f"Cannot listen on {listen}: {error.strerror}.")
