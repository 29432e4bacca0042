"""The gateway as an OAuth 2.1 resource server: access tokens of one authorization server are accepted.

A client that comes without a token is told where to get one (RFC 9728). A token counts if that server
signed it, for this gateway (``aud``), and it has not ended; what it may do is what its scopes say, of the
agents that the settings name. Its holder is ``client:oauth:<subject>`` to the policy and the audit log.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.challenge import METADATA_PATH
from ploinky.gateway.issuer import Issuer
from ploinky.gateway.rows import Access, Mount, Request
from ploinky.gateway.rpc.method import Scope
from ploinky.router.callers import Caller, CallerKind, TokenVerifier
from ploinky.router.http import HttpError, send_json
from ploinky.workspace.settings import IssuerSettings

_MOST_KEPT = 1000
_LONGEST_SUBJECT = 128


class ResourceServer:
    """``audience`` gives this gateway's own URL, unless the settings name another."""

    def __init__(self, settings: IssuerSettings, issuer: Issuer, audience: Callable[[], str]) -> None:
        self._settings = settings
        self._issuer = issuer
        self._audience = audience
        self._kept: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def verify(self, token: str, now: float) -> Caller | None:
        """The caller whose token this is, at ``now`` (seconds since the epoch); None if it is not valid."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        kept = self._kept.get(digest)
        if kept is not None and kept[0] > now:
            return kept[1]
        claims = self._issuer.claims(token)
        if claims is None or not self._is_for_us(claims.get("aud")):
            return None
        caller, expires_at = self._caller(claims), claims.get("exp")
        if caller is not None and isinstance(expires_at, (int, float)):
            self._kept[digest] = (float(expires_at), caller)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return caller

    def mount(self) -> Mount:
        """The metadata of every resource: its path follows the well-known one."""
        return Mount(METADATA_PATH, self._metadata, Access.ANYONE)

    @property
    def audience(self) -> str:
        """The identifier that tokens must be for: this URL, or one below it."""
        return (self._settings.audience or self._audience()).rstrip("/")

    async def _metadata(self, request: Request) -> None:
        if request.scope["method"] != "GET":
            raise HttpError(405, "Method Not Allowed", [(b"allow", b"GET")])
        below = str(request.scope["path"])[len(METADATA_PATH) :]
        facts: JsonObject = {
            "resource": f"{self.audience}{below}",
            "authorization_servers": [self._settings.issuer],
            "scopes_supported": [scope.value for scope in Scope],
            "bearer_methods_supported": ["header"],
            "resource_name": "Ploinky",
        }
        headers = [(b"access-control-allow-origin", b"*"), (b"cache-control", b"max-age=60")]
        await send_json(request.send, 200, orjson.dumps(facts), headers)

    def _is_for_us(self, claimed: JsonValue) -> bool:
        listed = claimed if isinstance(claimed, list) else [claimed]
        names = [each.rstrip("/") for each in listed if isinstance(each, str)]
        return any(f"{name}/".startswith(f"{self.audience}/") for name in names)

    def _caller(self, claims: JsonObject) -> Caller | None:
        subject = claims.get("sub") or claims.get("client_id") or claims.get("azp")
        if not isinstance(subject, str) or not subject.isprintable() or len(subject) > _LONGEST_SUBJECT:
            return None
        known = {scope.value for scope in Scope}
        given = known & set(_words(claims))
        scopes = frozenset(given or self._settings.scopes)
        return Caller(CallerKind.CLIENT, f"oauth:{subject}", scopes, self._settings.agents)


def _words(claims: JsonObject) -> list[str]:
    text, listed = claims.get("scope"), claims.get("scp")
    if isinstance(text, str):
        return text.split()
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


class WithIssuer:
    """A verifier that knows the workspace's own tokens first, then those of the authorization server."""

    def __init__(self, own: TokenVerifier, server: ResourceServer, clock: Callable[[], float]) -> None:
        self._own = own
        self._server = server
        self._clock = clock

    def verify(self, token: str) -> Caller | None:
        known = self._own.verify(token)
        if known is not None or token.count(".") != 2:
            return known
        return self._server.verify(token, self._clock())

    def act_as(self, name: str) -> Caller | None:
        return self._own.act_as(name)
