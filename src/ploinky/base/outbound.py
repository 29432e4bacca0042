"""Fetching an address that somebody else chose, without being led into the own network (SSRF).

A name is resolved once, every address it has is checked, and the connection goes to a checked address: a
second answer of the name server changes nothing. Redirects are followed by hand and checked alike. Size,
time, type and decompression are bounded. ``allow`` names hosts that a person trusts by name ("host" or
"host:port"): they may be private and may speak plain HTTP. Proxies of the environment are not used.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

import anyio

from ploinky.base.addresses import find_ip, why_not_public
from ploinky.base.errors import DeadlineError, PloinkyError, UsageError

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""Every address of a name, in the order to try; raises ``OSError`` if it has none."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRAVELLING = frozenset({"accept", "accept-language", "user-agent"})
_CHUNK = 64 * 1024


async def system_resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses that this machine's resolver knows."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class OutboundPolicy:
    """What a fetch may reach and how much it may take.

    ``content_types`` are accepted types ("text/*" counts for all of text); None accepts any.
    """

    allow: frozenset[str] = frozenset()
    schemes: frozenset[str] = frozenset({"https"})
    max_bytes: int = 8 * 1024 * 1024
    timeout_s: float = 30.0
    max_redirects: int = 5
    content_types: tuple[str, ...] | None = None
    resolve: Resolve = field(default=system_resolve, repr=False)

    def trusts(self, host: str, port: int) -> bool:
        """Whether a person named this host."""
        return host in self.allow or f"{host}:{port}" in self.allow


@dataclass(frozen=True)
class OutboundRequest:
    """What to send. ``headers`` beyond the plainest do not follow a redirect to another origin."""

    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Fetched:
    """An answer, whole. ``url`` is where it came from in the end; ``content_type`` has no parameters."""

    url: str
    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


async def fetch(
    url: str, *, policy: OutboundPolicy | None = None, request: OutboundRequest | None = None
) -> Fetched:
    """Fetch ``url``; any status that is no redirect is an answer.

    Raises:
        UsageError: ``URL_REFUSED`` if it is no address that may be fetched (scheme, password, syntax).
        PloinkyError: ``ADDRESS_REFUSED`` if it leads to an address that is not public, ``FETCH_FAILED``,
            ``FETCH_TOO_LARGE``, ``FETCH_TYPE``, ``FETCH_ENCODING``, ``FETCH_REDIRECTS``.
        DeadlineError: ``FETCH_TIMEOUT``.
    """
    rules = policy or OutboundPolicy()
    try:
        with anyio.fail_after(rules.timeout_s):
            return await _follow(url, rules, request or OutboundRequest())
    except TimeoutError as error:
        raise DeadlineError(f"{_shown(url)} to answer", rules.timeout_s, code="FETCH_TIMEOUT") from error


async def checked_addresses(host: str, port: int, policy: OutboundPolicy) -> tuple[str, ...]:
    """The addresses of ``host``; all of them may be reached.

    Raises:
        PloinkyError: ``ADDRESS_REFUSED`` if one of them may not, ``FETCH_FAILED`` if there is none.
    """
    literal = find_ip(host)
    if literal is not None:
        addresses: tuple[str, ...] = (str(literal),)
    else:
        try:
            addresses = await policy.resolve(host, port)
        except OSError as error:
            raise PloinkyError("FETCH_FAILED", f"The name {host!r} has no address.") from error
    if policy.trusts(host, port):
        return addresses
    for address in addresses:
        parsed = find_ip(address)
        reason = "no address" if parsed is None else why_not_public(parsed)
        if reason is not None:
            raise PloinkyError(
                "ADDRESS_REFUSED",
                f"{host} leads to {address}, which is {reason}.",
                hint="Only public addresses are fetched; name the host as allowed if you trust it.",
                details={"host": host},
            )
    return addresses


async def _follow(url: str, policy: OutboundPolicy, request: OutboundRequest) -> Fetched:
    current, sent = url, request
    for _ in range(policy.max_redirects + 1):
        parts = _checked_url(current, policy)
        answer, location = await _once(parts, policy, sent)
        if answer is not None:
            return answer
        target = urljoin(current, location)
        sent = _redirected(sent, parts, target)
        current = target
    raise PloinkyError("FETCH_REDIRECTS", f"{_shown(url)} redirects more than {policy.max_redirects} times.")


def _redirected(sent: OutboundRequest, origin: SplitResult, target: str) -> OutboundRequest:
    there = urlsplit(target)
    headers = sent.headers
    if (there.scheme, there.netloc) != (origin.scheme, origin.netloc):
        headers = {name: value for name, value in headers.items() if name.lower() in _TRAVELLING}
    return OutboundRequest("HEAD" if sent.method == "HEAD" else "GET", headers)


def _checked_url(url: str, policy: OutboundPolicy) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(url, "is no address") from None
    port = port if port is not None else _DEFAULT_PORTS.get(parts.scheme, 0)
    if parts.username is not None or parts.password is not None:
        raise _refused(url, "carries a user name or password")
    if not host or any(char.isspace() or ord(char) < 0x20 for char in url):
        raise _refused(url, "names no host")
    plain_but_trusted = parts.scheme == "http" and policy.trusts(host, port)
    if parts.scheme not in _DEFAULT_PORTS or not (parts.scheme in policy.schemes or plain_but_trusted):
        raise _refused(url, f"has a scheme other than {' or '.join(sorted(policy.schemes))}")
    return parts


async def _once(
    parts: SplitResult, policy: OutboundPolicy, request: OutboundRequest
) -> tuple[Fetched | None, str]:
    import aiohttp

    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    addresses = await checked_addresses(host, port, policy)
    url = parts._replace(fragment="").geturl()
    headers = {"accept-encoding": "gzip, deflate", **request.headers}
    connector = aiohttp.TCPConnector(resolver=_pinned(host, addresses), use_dns_cache=False, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.request(
                request.method, url, headers=headers, data=request.body or None, allow_redirects=False
            ) as response,
        ):
            location = response.headers.get("location")
            if response.status in _REDIRECTS and location is not None:
                return None, location
            return await _read(response, policy), ""
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise PloinkyError(
            "FETCH_FAILED", f"Cannot fetch {_shown(url)}: {type(error).__name__}.", details={"host": host}
        ) from error


def _pinned(host: str, addresses: tuple[str, ...]) -> AbstractResolver:
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Pinned(AbstractResolver):
        """Answers with the addresses that were checked, whatever the name server says by now."""

        async def resolve(
            self, name: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for address in addresses
            ]

        async def close(self) -> None:
            return None

    return Pinned()


async def _read(response: aiohttp.ClientResponse, policy: OutboundPolicy) -> Fetched:
    shown = _shown(str(response.url))
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if policy.content_types is not None and not _accepted(content_type, policy.content_types):
        raise PloinkyError(
            "FETCH_TYPE",
            f"{shown} is {content_type or 'of no type'}, not {' or '.join(policy.content_types)}.",
        )
    unpack = _Unpacking(response.headers.get("content-encoding", ""), shown)
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += unpack.feed(chunk, policy.max_bytes + 1 - len(body))
        if len(body) > policy.max_bytes:
            raise PloinkyError("FETCH_TOO_LARGE", f"{shown} has more than {policy.max_bytes} bytes.")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(str(response.url), response.status, content_type, headers, bytes(body))


class _Unpacking:
    """Undoes one content encoding, never past a limit, so that a bomb costs what it weighs packed."""

    def __init__(self, encoding: str, shown: str) -> None:
        self._shown = shown
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise PloinkyError("FETCH_ENCODING", f"{shown} came in an encoding that was not asked for.")
        self._plain = name in ("", "identity")
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, chunk: bytes, limit: int) -> bytes:
        if self._plain:
            return chunk[:limit]
        try:
            return self._inflate.decompress(chunk, max(1, limit))
        except zlib.error as error:
            raise PloinkyError("FETCH_ENCODING", f"{self._shown} is not encoded as it says.") from error


def _accepted(content_type: str, accepted: tuple[str, ...]) -> bool:
    family = content_type.partition("/")[0]
    return content_type in accepted or f"{family}/*" in accepted


def _refused(url: str, why: str) -> UsageError:
    return UsageError(
        "URL_REFUSED", f"{_shown(url)} {why}.", hint="Give an https:// address without a password."
    )


def _shown(url: str) -> str:
    """An address as it may be shown: without user, password, query and fragment."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    bare = f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}" if mark else url
    return repr(bare.partition("?")[0].partition("#")[0][:200])
