"""Who may come in: Host and Origin, the bearer token, and how often one may be wrong.

A right token is never turned away because others were wrong from the same address: on one machine all
callers share it. Wrong ones are, after some.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from ploinky.router.callers import Caller, TokenVerifier
from ploinky.router.http import HeaderPair, HttpError, Scope

FAILURES_PER_WINDOW = 20
WINDOW_S = 60.0
_MOST_ADDRESSES = 1024
_LONGEST_TOKEN = 4096


class Guard:
    """Checks the headers of every request before anything else looks at it."""

    def __init__(self, verifier: TokenVerifier, allowed_hosts: frozenset[str]) -> None:
        self._verifier = verifier
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._failures: dict[str, tuple[float, int]] = {}

    def check_names(self, scope: Scope) -> None:
        """Raises:
        HttpError: 421 for a Host that is not ours, 403 for an Origin that is not.
        """
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or _host_name(f"//{hosts[0]}") not in self._allowed_hosts:
            raise HttpError(421, "This server does not answer to that Host.")
        for origin in _values(scope, b"origin"):
            if (
                not origin.startswith(("http://", "https://"))
                or _host_name(origin) not in self._allowed_hosts
            ):
                raise HttpError(403, "Requests from that Origin are refused.")

    def require_caller(self, scope: Scope) -> Caller:
        """The caller by its token.

        Raises:
            HttpError: 401, or 429 after too many wrong tokens from one address.
        """
        given = _values(scope, b"authorization")
        token = _bearer(given[0]) if len(given) == 1 else None
        caller = self._verifier.verify(token) if token else None
        if caller is not None:
            return caller
        self._count_failure(scope)
        wrong = b', error="invalid_token"' if given else b""
        raise HttpError(
            401,
            "A bearer token is needed: ploinky token",
            [(b"www-authenticate", b'Bearer realm="ploinky"' + wrong)],
        )

    def _count_failure(self, scope: Scope) -> None:
        client = scope.get("client")
        address = str(client[0]) if client else "local"
        now = time.monotonic()
        since, count = self._failures.pop(address, (now, 0))
        if now - since > WINDOW_S:
            since, count = now, 0
        self._failures[address] = (since, count + 1)
        if len(self._failures) > _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        if count >= FAILURES_PER_WINDOW:
            left_s = max(1, int(WINDOW_S - (now - since)))
            raise HttpError(429, "Too many wrong tokens; wait.", [(b"retry-after", str(left_s).encode())])


def _values(scope: Scope, name: bytes) -> list[str]:
    pairs: list[HeaderPair] = scope["headers"]
    return [value.decode("latin-1") for key, value in pairs if key == name]


def _host_name(url: str) -> str | None:
    """The host of an authority, without port; None if it is no plain ``host[:port]``."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.path not in ("", "/") or parts.query or parts.username is not None:
        return None
    return parts.hostname


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN else None
