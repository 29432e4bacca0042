"""Connected sockets to launchers: over a UNIX path or TCP."""

from __future__ import annotations

import contextlib
import functools
import socket
from pathlib import Path

import anyio

from ploinky.channel import errors

MAX_SOCKET_PATH = 107
_PAUSE_S = 0.005


async def connect_unix_socket(path: Path) -> socket.socket:
    """A non-blocking socket connected to ``path``; waits only while the launcher's queue is full.

    Raises:
        PloinkyError: ``CHANNEL_UNREACHABLE``.
    """
    name = str(path)
    if len(name.encode()) > MAX_SOCKET_PATH:
        raise errors.unreachable(name, f"the path of a socket may have {MAX_SOCKET_PATH} bytes")
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.setblocking(False)
        while True:
            try:
                sock.connect(name)
            except BlockingIOError:
                await anyio.sleep(_PAUSE_S)
            except OSError as error:
                raise errors.unreachable(name, error.strerror or str(error)) from error
            else:
                stack.pop_all()
                return sock


async def connect_tcp_socket(host: str, port: int) -> socket.socket:
    """A connected TCP socket without Nagle's delay.

    Raises:
        PloinkyError: ``CHANNEL_UNREACHABLE``.
    """
    dial = functools.partial(socket.create_connection, (host, port), 30.0)
    try:
        sock = await anyio.to_thread.run_sync(dial, abandon_on_cancel=True)
    except OSError as error:
        raise errors.unreachable(f"{host}:{port}", error.strerror or str(error)) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
