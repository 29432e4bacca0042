"""``token create``, ``list``, ``revoke``: tokens for other programs and people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.secrets.client_tokens import ClientToken, ClientTokens
from ploinky.wire.events import Event, Notice, Result

SCOPES = (
    "tools:call",
    "agents:read",
    "agents:manage",
    "assistants:use",
    "assistants:manage",
    "admin",
)
DEFAULT_SCOPES = ("tools:call",)


@dataclass(frozen=True)
class TokenRequest:
    """``agents`` are globs of the agents whose tools may be called; ``ttl_s`` None: until revoked."""

    name: str
    scopes: tuple[str, ...]
    agents: tuple[str, ...]
    ttl_s: float | None


async def create_token(platform: Platform, request: TokenRequest) -> AsyncIterator[Event]:
    """Make a token; the result is the only place where it is ever shown.

    Raises:
        UsageError: ``TOKEN_EXISTS``; ``BAD_NAME``.
    """
    tokens = ClientTokens(platform.layout)
    token = tokens.create(request.name, scopes=request.scopes, agents=request.agents, ttl_s=request.ttl_s)
    yield Notice(message="Keep it now; it is not shown again.")
    made = next(each for each in tokens.list() if each.name == request.name)
    yield Result(value={"token": token, **_facts(made)})


async def list_tokens(platform: Platform) -> AsyncIterator[Event]:
    """What is known of every token; never the token."""
    rows: list[JsonValue] = [_facts(each) for each in ClientTokens(platform.layout).list()]
    yield Result(value=rows)


async def revoke_token(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Refuse a token from now on.

    Raises:
        NotFoundError: ``TOKEN_NOT_FOUND``.
    """
    ClientTokens(platform.layout).revoke(name)
    yield Notice(message=f"The token {name} is refused from now on.")
    yield Result(value={"name": name, "revoked": True})


def _facts(token: ClientToken) -> dict[str, JsonValue]:
    now = datetime.now(UTC).timestamp()
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "agents": list(token.agents),
        "createdAt": _iso(token.created_at),
        "expiresAt": None if token.expires_at is None else _iso(token.expires_at),
        "ended": token.expires_at is not None and now > token.expires_at,
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
