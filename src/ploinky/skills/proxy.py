"""The only way out of a skill's sandbox: a CONNECT proxy on a UNIX socket that knows a list of hosts.

A name that is not on the list is not even resolved. A name that is must lead to public addresses, and the
connection goes to the address that was checked. Plain HTTP goes only to hosts that a person named. Where this
machine reaches the world through a proxy of its own, that one is asked to connect.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.base.outbound import OutboundPolicy, checked_addresses

_MOST_HEAD = 16 * 1024
_HEAD_TIMEOUT_S = 15.0
_CONNECT_TIMEOUT_S = 20.0
_CHUNK = 64 * 1024
_CONNECT = re.compile(rb"CONNECT ([A-Za-z0-9.-]{1,253}):(\d{1,5}) HTTP/1\.[01]\Z")
_PLAIN = re.compile(
    rb"(GET|HEAD|POST|PUT) http://([A-Za-z0-9.-]{1,253})(?::(\d{1,5}))?(/\S*) (HTTP/1\.[01])\Z"
)


@dataclass
class ProxyRules:
    """``hosts``: "name" (port 443) or "name:port"; ``policy.allow`` are those that a person named.

    ``refused`` collects what was asked for and not on the list; ``most_bytes`` bounds one connection.
    """

    hosts: frozenset[str]
    policy: OutboundPolicy = field(default_factory=OutboundPolicy)
    upstream: str | None = None
    most_bytes: int = 2 * 1024**3
    refused: list[str] = field(default_factory=list)

    def admits(self, host: str, port: int) -> bool:
        return f"{host}:{port}" in self.hosts or (port == 443 and host in self.hosts)


def upstream_of(environ: Mapping[str, str]) -> str | None:
    """The proxy that this machine itself must use, if any."""
    return environ.get("HTTPS_PROXY") or environ.get("https_proxy") or None


@asynccontextmanager
async def serving_proxy(path: Path, rules: ProxyRules) -> AsyncIterator[None]:
    """Serve the proxy at ``path`` while the context is open; its connections end with it.

    Whoever reaches ``path`` may use it (a sandbox's user is another than this one): its folder is private.
    """
    listener = await anyio.create_unix_listener(path, mode=0o666)

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await _serve(stream, rules)
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError, TimeoutError):
                return  # the other side went away; nobody is left to be told
            except OSError:
                await _answer(stream, 502, "unreachable")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            await listener.aclose()


async def _serve(stream: anyio.abc.SocketStream, rules: ProxyRules) -> None:
    head, rest = await _read_head(stream)
    first = head.split(b"\r\n", 1)[0]
    tunnel, plain = _CONNECT.match(first), _PLAIN.match(first)
    if tunnel is not None:
        host, port = tunnel.group(1).decode().lower(), int(tunnel.group(2))
    elif plain is not None:
        host, port = plain.group(2).decode().lower(), int(plain.group(3) or 80)
    else:
        await _answer(stream, 400, "only CONNECT")
        return
    if not rules.admits(host, port) or (plain is not None and not rules.policy.trusts(host, port)):
        if len(rules.refused) < 100:
            rules.refused.append(f"{host}:{port}")
        await _answer(stream, 403, "this host is not on the plan")
        return
    try:
        far = await _connect(host, port, rules)
    except PloinkyError:
        await _answer(stream, 403, "this host leads to an address that is refused")
        return
    async with far:
        if plain is not None:
            line = b"%s %s %s" % (plain.group(1), plain.group(4), plain.group(5))
            headers = [each for each in head.split(b"\r\n")[1:] if not _hop_by_hop(each)]
            await far.send(b"\r\n".join([line, *headers, b"Connection: close", b"", b""]) + rest)
        else:
            await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if rest:
                await far.send(rest)
        await _join(stream, far, rules.most_bytes)


def _hop_by_hop(header: bytes) -> bool:
    return not header or header.lower().startswith((b"connection:", b"proxy-", b"keep-alive:"))


async def _connect(host: str, port: int, rules: ProxyRules) -> anyio.abc.SocketStream:
    if rules.upstream is not None and not rules.policy.trusts(host, port):
        return await _through(rules.upstream, host, port)
    addresses = await checked_addresses(host, port, rules.policy)
    last: OSError | None = None
    for address in addresses:
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_S):
                return await anyio.connect_tcp(address, port)
        except (OSError, TimeoutError) as error:
            last = error if isinstance(error, OSError) else OSError("no answer")
    raise last or OSError("no address")


async def _through(upstream: str, host: str, port: int) -> anyio.abc.SocketStream:
    parts = urlsplit(upstream if "://" in upstream else f"http://{upstream}")
    with anyio.fail_after(_CONNECT_TIMEOUT_S):
        far = await anyio.connect_tcp(parts.hostname or "127.0.0.1", parts.port or 3128)
        await far.send(
            f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{_password(parts)}\r\n".encode()
        )
        head, _ = await _read_head(far)
    if b" 200" not in head.split(b"\r\n", 1)[0]:
        await far.aclose()
        raise OSError("the proxy of this machine refused")
    return far


def _password(upstream: SplitResult) -> str:
    """The header that this machine's proxy wants of its users, if its address holds one."""
    if upstream.username is None:
        return ""
    pair = f"{unquote(upstream.username)}:{unquote(upstream.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


async def _read_head(stream: anyio.abc.SocketStream) -> tuple[bytes, bytes]:
    data = b""
    with anyio.fail_after(_HEAD_TIMEOUT_S):
        while b"\r\n\r\n" not in data:
            if len(data) > _MOST_HEAD:
                raise anyio.EndOfStream
            data += await stream.receive(_CHUNK)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


async def _answer(stream: anyio.abc.SocketStream, status: int, why: str) -> None:
    body = f"{why}\n".encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        await stream.send(head.encode() + body)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


async def _join(near: anyio.abc.SocketStream, far: anyio.abc.SocketStream, most: int) -> None:
    left = [most]

    async def pump(source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
        try:
            async for chunk in source:
                left[0] -= len(chunk)
                if left[0] < 0:
                    tasks.cancel_scope.cancel()
                    return
                await target.send(chunk)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pump, near, far)
        tasks.start_soon(pump, far, near)
