"""An authorization server that the owner trusts: its metadata and its keys, kept fresh in the background.

Found by discovery (OAuth 2.0 metadata, RFC 8414, or OpenID Connect's). Until it has answered once nobody is
known by its tokens. A token signed by a key that is not known yet is refused and makes the keys be fetched
anew, at most once in ``SOONEST_S``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import orjson

from ploinky.base.addresses import find_ip
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_text
from ploinky.base.outbound import OutboundPolicy, OutboundRequest, fetch

if TYPE_CHECKING:
    import jwt  # it brings cryptography, which only a gateway that trusts such a server needs

_log = logging.getLogger(__name__)
REFRESH_S = 600.0
SOONEST_S = 10.0
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key pair only: nobody who can check a token can make one."""

_MOST_BYTES = 1024 * 1024
_TIMEOUT_S = 15.0
_LEEWAY_S = 30


class Issuer:
    """The server at the URL ``issuer``, which may be on this very machine; else it must be HTTPS."""

    def __init__(self, issuer: str) -> None:
        self.url = issuer
        parts = urlsplit(issuer)
        local = parts.scheme == "http" and _is_loopback(parts.hostname or "")
        port = f":{parts.port}" if parts.port else ""
        self._outbound = OutboundPolicy(
            allow=frozenset({f"{parts.hostname}{port}", parts.hostname or ""}),
            schemes=frozenset({"https", "http"} if local else {"https"}),
            max_bytes=_MOST_BYTES,
            timeout_s=_TIMEOUT_S,
        )
        self.metadata: JsonObject = {}
        self._keys: jwt.PyJWKSet | None = None
        self._wanted = anyio.Event()

    async def run(self) -> None:
        """Keep metadata and keys fresh until cancelled."""
        wait_s = 1.0
        while True:
            try:
                await self.refresh()
                wait_s = REFRESH_S
            except PloinkyError as error:
                _log.warning("the authorization server %s: %s", self.url, error.message)
                wait_s = min(wait_s * 2, 60.0) if self._keys is None else SOONEST_S
            await anyio.sleep(min(wait_s, SOONEST_S))
            with anyio.move_on_after(max(0.0, wait_s - SOONEST_S)):
                await self._wanted.wait()
            self._wanted = anyio.Event()

    async def refresh(self) -> None:
        """Fetch metadata and keys now.

        Raises:
            PloinkyError: ``ISSUER_UNUSABLE``, or whatever ``fetch`` raises.
        """
        import jwt

        metadata = await self._discover()
        keys = await self._get(find_text(metadata, "jwks_uri") or "")
        try:
            self._keys = jwt.PyJWKSet.from_dict(keys)
        except jwt.PyJWTError as error:
            raise _unusable("its keys cannot be used") from error
        self.metadata = metadata

    def claims(self, token: str) -> JsonObject | None:
        """What a signed token of this server says, its signature, issuer and times checked; None if it is
        not valid. The audience is the caller's to check."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header.get("kid"))
            if key is None:
                self._wanted.set()
                return None
            options: Any = {"require": ["iss", "exp"], "verify_aud": False}
            claims: JsonObject = jwt.decode(
                token, key, algorithms=list(ALGORITHMS), issuer=self.url, leeway=_LEEWAY_S, options=options
            )
        except jwt.PyJWTError:
            return None
        return claims

    async def post_form(self, url: str, form: bytes, headers: dict[str, str]) -> JsonObject:
        """The JSON answer of one of its endpoints to a form.

        Raises:
            PloinkyError: ``ISSUER_REFUSED`` with the OAuth error, or whatever ``fetch`` raises.
        """
        kind = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        request = OutboundRequest("POST", {**headers, **kind}, form)
        answer = await fetch(url, policy=self._outbound, request=request)
        value = _object(answer.body)
        if answer.status != 200:
            what = find_text(value, "error") or f"HTTP {answer.status}"
            raise PloinkyError("ISSUER_REFUSED", f"The authorization server refused: {what[:100]}.")
        return value

    def _key(self, kid: object) -> jwt.PyJWK | None:
        if self._keys is None:
            return None
        usable = [key for key in self._keys.keys if key.public_key_use in (None, "sig")]
        if kid is None:
            return usable[0] if len(usable) == 1 else None
        return next((key for key in usable if key.key_id == kid), None)

    async def _discover(self) -> JsonObject:
        parts = urlsplit(self.url)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        places = (
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}/.well-known/openid-configuration{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        )
        for place in dict.fromkeys(places):
            answer = await fetch(place, policy=self._outbound)
            if answer.status != 200:
                continue
            metadata = _object(answer.body)
            if metadata.get("issuer") != self.url:
                raise _unusable(f"{place} is the metadata of another issuer")
            return metadata
        raise _unusable("it has no metadata at any well-known place")

    async def _get(self, url: str) -> JsonObject:
        answer = await fetch(url, policy=self._outbound)
        if answer.status != 200:
            raise _unusable(f"{url} answers with HTTP {answer.status}")
        return _object(answer.body)


def _object(body: bytes) -> JsonObject:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unusable("its answer is not JSON") from error
    if not isinstance(value, dict):
        raise _unusable("its answer is no JSON object")
    return value


def _is_loopback(host: str) -> bool:
    found = find_ip(host)
    return host == "localhost" if found is None else found.is_loopback


def _unusable(reason: str) -> PloinkyError:
    return PloinkyError(
        "ISSUER_UNUSABLE",
        f"It cannot be used: {reason}.",
        hint="See gateway.auth in .ploinky/config.json: issuer must be exactly the server's own identifier.",
    )
