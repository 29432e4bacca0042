"""Connected sockets to launchers: over a UNIX path or TCP."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio

from ploinky.channel import errors

MAX_SOCKET_PATH = 107
_PAUSE_S = 0.005


async def connect_unix_socket(path: Path) -> socket.socket:
    """A non-blocking socket connected to ``path``; waits only while the launcher's queue is full.

    A symlink is refused: the folder is the agent's to write, and a link could lead to the launcher of
    another agent.

    Raises:
        PloinkyError: ``CHANNEL_UNREACHABLE``.
    """
    name = str(path)
    if len(name.encode()) > MAX_SOCKET_PATH:
        raise errors.unreachable(name, f"the path of a socket may have {MAX_SOCKET_PATH} bytes")
    with _held(path) as address, contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.setblocking(False)
        while True:
            try:
                sock.connect(address)
            except BlockingIOError:
                await anyio.sleep(_PAUSE_S)
            except OSError as error:
                raise errors.unreachable(name, error.strerror or str(error)) from error
            else:
                stack.pop_all()
                return sock


@contextlib.contextmanager
def _held(path: Path) -> Iterator[str]:
    """An address of the very socket that lies at ``path`` now, whatever the path leads to later."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise errors.unreachable(str(path), error.strerror or str(error)) from error
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise errors.unreachable(str(path), "it is no socket")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


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
