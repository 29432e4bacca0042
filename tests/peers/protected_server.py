"""The reference server behind OAuth 2.1: ``python protected_server.py PORT ISSUER``.

It answers only requests with an access token (JWT) of the issuer for itself, and says where to get one;
``/seen`` tells how many different tokens were good, ``/callers`` whose token (its client's id) let each call
of a tool through, in order.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anyio.to_thread
import jwt
import uvicorn

from tests.peers.reference_server import server

PORT, ISSUER = int(sys.argv[1]), sys.argv[2]
BASE = f"http://127.0.0.1:{PORT}"
RESOURCE = f"{BASE}/mcp"
SEEN: set[str] = set()
CALLERS: list[str] = []
KEYS = jwt.PyJWKClient(f"{ISSUER}/jwks")


class Protected:
    """Before the application: a good token, or where to get one."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith("/.well-known/oauth-protected-resource"):
            await answer(send, 200, {"resource": RESOURCE, "authorization_servers": [ISSUER]})
        elif scope["path"] == "/seen":
            await answer(send, 200, len(SEEN))
        elif scope["path"] == "/callers":
            await answer(send, 200, CALLERS)
        elif claims := await anyio.to_thread.run_sync(claims_of, scope):
            await self._app(scope, watching(receive, str(claims["client_id"])), send)
        else:
            where = f'Bearer resource_metadata="{BASE}/.well-known/oauth-protected-resource/mcp"'
            await answer(send, 401, {"error": "invalid_token"}, (b"www-authenticate", where.encode()))


def watching(receive: Any, client: str) -> Any:
    """``receive``, noting calls of tools as this client's."""

    async def watched() -> Any:
        message = await receive()
        if b'"tools/call"' in message.get("body", b""):
            CALLERS.append(client)
        return message

    return watched


def claims_of(scope: Any) -> dict[str, Any] | None:
    """What a good token says; None if there is none."""
    token = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
    try:
        key = KEYS.get_signing_key_from_jwt(token).key
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=RESOURCE, issuer=ISSUER
        )
    except jwt.PyJWTError:
        return None
    SEEN.add(token)
    return claims


async def answer(send: Any, status: int, value: Any, *headers: tuple[bytes, bytes]) -> None:
    pairs = [(b"content-type", b"application/json"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


if __name__ == "__main__":
    uvicorn.run(Protected(server.streamable_http_app()), host="127.0.0.1", port=PORT, log_level="error")
