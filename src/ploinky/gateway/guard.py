"""Who may come in: Host and Origin, the bearer token or the cookie, and how often one may be wrong.

A bearer token proves a program; a cookie proves a browser, which other pages may steer: what comes by cookie
must come from a page of this very origin, port included. A right token is never turned away because others
were wrong from the same address: on one machine all callers share it. Wrong ones are, after some.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from ploinky.base.errors import PloinkyError
from ploinky.gateway.challenge import challenge
from ploinky.gateway.sessions import SessionStore
from ploinky.router.callers import ACT_AS_HEADER, OWNER, Caller, CallerKind, TokenVerifier
from ploinky.router.http import HeaderPair, HttpError, Scope

FAILURES_PER_WINDOW = 20
WINDOW_S = 60.0
_MOST_ADDRESSES = 1024
_LONGEST_TOKEN = 4096
_LONGEST_COOKIES = 8192
_SAFE_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class Doors:
    """How people come in beside bearer tokens. ``open``: whoever reaches this address is the owner.
    ``tells_resource``: who comes without a token is told where to get one."""

    sessions: SessionStore | None = None
    open: bool = False
    tells_resource: bool = False


class Guard:
    """Checks the headers of every request before anything else looks at it."""

    def __init__(
        self, verifier: TokenVerifier, allowed_hosts: frozenset[str], doors: Doors | None = None
    ) -> None:
        self._verifier = verifier
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._doors = doors or Doors()
        self._failures: dict[str, tuple[float, int]] = {}
        self._good_hosts: set[bytes] = set()

    def check_names(self, scope: Scope) -> None:
        """Raises:
        HttpError: 421 for a Host that is not ours, 403 for an Origin that is not.
        """
        if self._is_plain(scope):
            return
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or _host_name(f"//{hosts[0]}") not in self._allowed_hosts:
            raise HttpError(421, "This server does not answer to that Host.")
        for origin in _values(scope, b"origin"):
            if (
                not origin.startswith(("http://", "https://"))
                or _host_name(origin) not in self._allowed_hosts
            ):
                raise HttpError(403, "Requests from that Origin are refused.")

    def _is_plain(self, scope: Scope) -> bool:
        """Whether there is one Host, a known one, and no Origin."""
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"origin":
                return False
            if name == b"host":
                hosts += 1
                if value not in self._good_hosts and not self._learn_host(value):
                    return False
        return hosts == 1

    def known_caller(self, scope: Scope) -> Caller | None:
        """The caller of a program's plain request: a right Host, no Origin, a good token; nothing is counted
        for any other, which ``check_names`` and ``require_caller`` answer."""
        given: list[bytes] = []
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"authorization":
                given.append(value)
            elif name in (b"origin", b"cookie", ACT_AS_HEADER):
                return None
            elif name == b"host":
                hosts += 1
                if value not in self._good_hosts and not self._learn_host(value):
                    return None
        token = _bearer(given[0].decode("latin-1")) if len(given) == 1 and hosts == 1 else None
        try:
            return self._verifier.verify(token) if token else None
        except PloinkyError:
            return None  # told where an answer can be given

    def _learn_host(self, value: bytes) -> bool:
        good = _host_name(f"//{value.decode('latin-1')}") in self._allowed_hosts
        if good and len(self._good_hosts) < _MOST_ADDRESSES:
            self._good_hosts.add(value)
        return good

    def require_caller(self, scope: Scope) -> Caller:
        """The caller by token or cookie.

        Raises:
            HttpError: 401, 403 for a cookie that comes from elsewhere, 429 after too many wrong tokens from
                one address.
        """
        given = _values(scope, b"authorization")
        token = _bearer(given[0]) if len(given) == 1 else None
        caller = self._verifier.verify(token) if token else None
        if caller is not None:
            return self._meant(scope, caller)
        if not given and self.session_cookie(scope) is not None:
            require_same_origin(scope, must_say=True)
            return OWNER
        if not given and self._doors.open:
            require_same_origin(scope, must_say=False)
            return OWNER
        self.count_failure(scope)
        wrong = b', error="invalid_token"' if given else b""
        raise HttpError(
            401,
            "Log in, or send a bearer token: ploinky token",
            [(b"www-authenticate", b'Bearer realm="ploinky"' + wrong + self._resource(scope))],
        )

    def _resource(self, scope: Scope) -> bytes:
        if not self._doors.tells_resource:
            return b""
        host = next(iter(_values(scope, b"host")), "")
        return challenge(host, scope.get("scheme", "http"), scope["path"])

    def _meant(self, scope: Scope, caller: Caller) -> Caller:
        """Whom the owner calls for, if it says so; anybody else is who they are."""
        named = _values(scope, ACT_AS_HEADER)
        if not named or caller.kind is not CallerKind.OWNER:
            return caller
        meant = self._verifier.act_as(named[0]) if len(named) == 1 else None
        if meant is None:
            raise HttpError(403, "There is nobody of that name to act for.")
        return meant

    def session_cookie(self, scope: Scope) -> str | None:
        """The value of the cookie of an open session, or None."""
        sessions = self._doors.sessions
        if sessions is None:
            return None
        for text in _values(scope, b"cookie"):
            if len(text) > _LONGEST_COOKIES:
                continue
            try:
                morsel = SimpleCookie(text).get(sessions.cookie_name)
            except CookieError:
                continue
            if morsel is not None and sessions.is_open(morsel.value):
                return morsel.value
        return None

    def count_failure(self, scope: Scope) -> None:
        """Count something wrong from this address.

        Raises:
            HttpError: 429 if there was too much of it.
        """
        address, now = _address(scope), time.monotonic()
        since, count = self._failures.pop(address, (now, 0))
        if now - since > WINDOW_S:
            since, count = now, 0
        self._failures[address] = (since, count + 1)
        if len(self._failures) > _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self.refuse_many(scope)

    def refuse_many(self, scope: Scope) -> None:
        """Raises:
        HttpError: 429 if too much was wrong from this address of late.
        """
        since, count = self._failures.get(_address(scope), (0.0, 0))
        left_s = WINDOW_S - (time.monotonic() - since)
        if count > FAILURES_PER_WINDOW and left_s > 0:
            wait = str(max(1, int(left_s))).encode()
            raise HttpError(429, "Too many wrong tokens; wait.", [(b"retry-after", wait)])


def require_same_origin(scope: Scope, *, must_say: bool) -> None:
    """Refuse what a page of another origin sends, also of another port of this host.

    ``must_say``: a request that changes something must name its origin, as browsers do and programs need not.

    Raises:
        HttpError: 403.
    """
    origins = _values(scope, b"origin")
    foreign = any(site not in ("same-origin", "none") for site in _values(scope, b"sec-fetch-site"))
    safe = scope["type"] == "http" and scope["method"] in _SAFE_METHODS
    silent = must_say and not origins and not safe
    host = _values(scope, b"host")[0]
    if foreign or silent or any(urlsplit(origin).netloc != host for origin in origins):
        raise HttpError(403, "Only pages of this server may do this.")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "local"


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
