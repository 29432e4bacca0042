"""Logging in from a browser: a token or a password for a cookie, the one-time link, logging out.

``GET /session`` says how to log in and whether one is; ``POST /login`` takes ``{"token"}`` or
``{"password"}``; ``GET /login?code=...`` is the link of ``ploinky open``; ``POST /logout`` ends the session.
Wrong ones are counted per address and refused before they are looked at. To add a mode: a row in ``_PROOFS``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio.to_thread
import orjson

from ploinky.base.jsontypes import JsonObject, find_text
from ploinky.gateway.audit import AuditLog, AuditRecord
from ploinky.gateway.auth_mode import AuthMode
from ploinky.gateway.event_stream import read_query
from ploinky.gateway.guard import Guard, require_same_origin
from ploinky.gateway.sessions import LIFETIME_S, SessionStore
from ploinky.router.callers import CallerKind, TokenVerifier
from ploinky.router.http import HeaderPair, HttpError, Receive, Scope, Send, read_body, send_empty, send_json
from ploinky.secrets.passwords import fits_hash

_MOST_BYTES = 16 * 1024
_TIMEOUT_S = 10.0


class LoginDesk:
    """The four paths of logging in and out."""

    def __init__(
        self, mode: AuthMode, sessions: SessionStore, guard: Guard, verifier: TokenVerifier, audit: AuditLog
    ) -> None:
        self._mode = mode
        self._sessions = sessions
        self._guard = guard
        self._verifier = verifier
        self._audit = audit

    async def session(self, scope: Scope, send: Send) -> None:
        """How to log in, and whether this browser is."""
        logged_in = self._mode.name == "none" or self._guard.session_cookie(scope) is not None
        await _say(send, {"mode": self._mode.name, "loggedIn": logged_in})

    async def login(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises:
        HttpError: 401 if the proof is wrong, 403, 415, 429.
        """
        require_same_origin(scope, must_say=False)
        self._guard.refuse_many(scope)
        if not await self._proved(await _read_object(scope, receive)):
            self._audit.record(AuditRecord("login", "browser", self._mode.name, "REFUSED"))
            self._guard.count_failure(scope)
            raise HttpError(401, f"That {self._mode.name} is not right.")
        self._audit.record(AuditRecord("login", "browser", self._mode.name, "ok"))
        await _say(send, {"loggedIn": True}, [self.cookie(self._sessions.open(), LIFETIME_S)])

    async def follow_link(self, scope: Scope, send: Send) -> None:
        """The link of ``ploinky open``: logs in and goes to the start page; one that was used goes there too,
        where the login form says the rest."""
        self._guard.refuse_many(scope)
        headers: list[HeaderPair] = [(b"location", b"/"), (b"cache-control", b"no-store")]
        headers.append((b"referrer-policy", b"no-referrer"))
        good = self._sessions.redeem(read_query(scope).get("code", ""))
        self._audit.record(AuditRecord("login", "browser", "link", "ok" if good else "REFUSED"))
        if good:
            headers.append(self.cookie(self._sessions.open(), LIFETIME_S))
        else:
            headers[0] = (b"location", b"/?link=used")
            self._guard.count_failure(scope)
        await send_empty(send, 303, headers)

    async def logout(self, scope: Scope, send: Send) -> None:
        """End this browser's session; its cookie and what it kept go."""
        require_same_origin(scope, must_say=True)
        cookie = self._guard.session_cookie(scope)
        if cookie is not None:
            self._sessions.close(cookie)
        await _say(send, {"loggedIn": False}, [self.cookie("", 0), (b"clear-site-data", b'"storage"')])

    async def _proved(self, given: JsonObject) -> bool:
        proof = _PROOFS.get(self._mode.name)
        return proof is not None and await proof(self, given)

    async def _by_token(self, given: JsonObject) -> bool:
        caller = self._verifier.verify(find_text(given, "token") or "")
        return caller is not None and caller.kind is CallerKind.OWNER

    async def _by_password(self, given: JsonObject) -> bool:
        password, known = find_text(given, "password"), self._mode.password_hash
        if not password or not known:
            return False
        return await anyio.to_thread.run_sync(fits_hash, password, known)

    def cookie(self, value: str, seconds: float) -> HeaderPair:
        """The cookie of a session; empty, it ends the browser's."""
        secure = "; Secure" if self._mode.secure else ""
        name = self._sessions.cookie_name
        text = f"{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds:.0f}{secure}"
        return (b"set-cookie", text.encode())


_PROOFS: dict[str, Callable[[LoginDesk, JsonObject], Awaitable[bool]]] = {
    "token": LoginDesk._by_token,
    "password": LoginDesk._by_password,
}


async def _read_object(scope: Scope, receive: Receive) -> JsonObject:
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if kind.split(b";")[0].strip().lower() != b"application/json":
        raise HttpError(415, "A POST carries application/json.")
    body = await read_body(scope, receive, limit=_MOST_BYTES, timeout_s=_TIMEOUT_S)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HttpError(400, "The body is not JSON.") from error
    return value if isinstance(value, dict) else {}


async def _say(send: Send, value: JsonObject, headers: list[HeaderPair] | None = None) -> None:
    await send_json(send, 200, orjson.dumps(value), [(b"cache-control", b"no-store"), *(headers or [])])
