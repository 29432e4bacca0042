"""Logging in by OpenID Connect: the browser is sent to the provider and comes back with a code (PKCE).

``GET /login/oidc`` begins, ``GET /login/oidc/callback`` ends. An attempt lives ten minutes in memory and
belongs to the browser that began it, by a cookie. Whoever comes back must be one of ``allow``: a subject, or
an e-mail address that the provider has verified; without such a list nobody comes in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_text
from ploinky.gateway.audit import AuditLog, AuditRecord
from ploinky.gateway.event_stream import read_query
from ploinky.gateway.guard import Guard
from ploinky.gateway.issuer import Issuer
from ploinky.gateway.rows import Access, Request, Row
from ploinky.gateway.sessions import LIFETIME_S, SessionStore
from ploinky.router.http import HeaderPair, HttpError, send_empty
from ploinky.workspace.settings import OidcSettings

BEGIN, CALLBACK = "/login/oidc", "/login/oidc/callback"
ATTEMPT_S = 600.0
_MOST_ATTEMPTS = 100
_COOKIE = "ploinky_oidc"


@dataclass(frozen=True)
class _Attempt:
    browser: str
    nonce: str
    verifier: str
    redirect: str
    ends_at: float


@dataclass(frozen=True)
class OidcParts:
    """``secret`` gives the client's secret when it is needed, None for a public client."""

    settings: OidcSettings
    issuer: Issuer
    sessions: SessionStore
    guard: Guard
    audit: AuditLog
    cookie: Callable[[str, float], HeaderPair]
    secret: Callable[[], str | None]


class OidcLogin:
    """The two paths; ``rows`` gives them."""

    def __init__(self, parts: OidcParts) -> None:
        self._parts = parts
        self._attempts: dict[str, _Attempt] = {}

    def rows(self) -> dict[str, Row]:
        return {
            BEGIN: Row({"GET": self._begin}, Access.ANYONE),
            CALLBACK: Row({"GET": self._end}, Access.ANYONE),
        }

    async def _begin(self, request: Request) -> None:
        self._parts.guard.refuse_many(request.scope)
        endpoint = find_text(self._parts.issuer.metadata, "authorization_endpoint")
        if endpoint is None:
            raise HttpError(503, "The provider has not answered yet; try again.", [(b"retry-after", b"5")])
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        attempt = _Attempt(
            _digest(browser),
            secrets.token_urlsafe(32),
            secrets.token_urlsafe(48),
            f"{_own_url(request)}{CALLBACK}",
            time.monotonic() + ATTEMPT_S,
        )
        self._keep(state, attempt)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=")
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._parts.settings.client_id,
                "redirect_uri": attempt.redirect,
                "scope": "openid email",
                "state": state,
                "nonce": attempt.nonce,
                "code_challenge": challenge.decode(),
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if "?" in endpoint else "?"
        cookie = f"{_COOKIE}={browser}; Path={BEGIN}; HttpOnly; SameSite=Lax; Max-Age={ATTEMPT_S:.0f}"
        headers = [
            *_SILENT,
            (b"location", f"{endpoint}{joint}{query}".encode()),
            (b"set-cookie", cookie.encode()),
        ]
        await send_empty(request.send, 303, headers)

    async def _end(self, request: Request) -> None:
        parts = self._parts
        parts.guard.refuse_many(request.scope)
        who = await self._who(request)
        headers: list[HeaderPair] = [*_SILENT, (b"location", b"/")]
        if who is None:
            parts.audit.record(AuditRecord("login", "browser", "oidc", "REFUSED"))
            parts.guard.count_failure(request.scope)
            headers[-1] = (b"location", b"/?login=refused")
        else:
            parts.audit.record(AuditRecord("login", "browser", "oidc", "ok", target=who))
            headers.append(parts.cookie(parts.sessions.open(), LIFETIME_S))
        await send_empty(request.send, 303, headers)

    async def _who(self, request: Request) -> str | None:
        """The one of ``allow`` who came back, or None."""
        query = read_query(request.scope)
        attempt = self._attempts.pop(query.get("state", ""), None)
        browser = _cookie(request, _COOKIE)
        if attempt is None or attempt.ends_at < time.monotonic() or "code" not in query:
            return None
        if browser is None or not hmac.compare_digest(_digest(browser), attempt.browser):
            return None
        try:
            claims = await self._exchange(query["code"], attempt)
        except PloinkyError:
            return None
        names = [find_text(claims, "sub")]
        if claims.get("email_verified") is True:
            names.append((find_text(claims, "email") or "").lower() or None)
        allowed = {name if "@" not in name else name.lower() for name in self._parts.settings.allow}
        return next((name for name in names if name is not None and name in allowed), None)

    async def _exchange(self, code: str, attempt: _Attempt) -> JsonObject:
        """The claims of the ID token that the code is worth.

        Raises:
            PloinkyError: the provider refuses, or the token is not for this attempt.
        """
        settings, issuer, secret = self._parts.settings, self._parts.issuer, self._parts.secret()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect,
            "client_id": settings.client_id,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        if secret is not None:
            pair = base64.b64encode(f"{settings.client_id}:{secret}".encode()).decode()
            headers["authorization"] = f"Basic {pair}"
        endpoint = find_text(issuer.metadata, "token_endpoint") or ""
        answer = await issuer.post_form(endpoint, urlencode(form).encode(), headers)
        claims = issuer.claims(find_text(answer, "id_token") or "")
        audience = claims.get("aud") if claims else None
        ours = settings.client_id in (audience if isinstance(audience, list) else [audience])
        if claims is None or not ours or claims.get("nonce") != attempt.nonce:
            raise PloinkyError("ISSUER_REFUSED", "The provider's ID token is not for this login.")
        return claims

    def _keep(self, state: str, attempt: _Attempt) -> None:
        now = time.monotonic()
        self._attempts = {key: each for key, each in self._attempts.items() if each.ends_at > now}
        while len(self._attempts) >= _MOST_ATTEMPTS:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[state] = attempt


_SILENT: tuple[HeaderPair, ...] = ((b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer"))


def _own_url(request: Request) -> str:
    host = next((value.decode("latin-1") for name, value in request.scope["headers"] if name == b"host"), "")
    return f"{request.scope.get('scheme', 'http')}://{host}"


def _cookie(request: Request, wanted: str) -> str | None:
    pairs: list[HeaderPair] = request.scope["headers"]
    for name, value in pairs:
        if name == b"cookie" and len(value) < 8192:
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                if key == wanted:
                    return text
    return None


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
