"""Raw MCP over HTTP, for what an official client would never send."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.router.http_client import HttpAddress, HttpRequest, HttpResponse, open_response
from tests.router.stand import OWNER_TOKEN, Stand

VERSION = "2026-07-28"
SESSION_VERSION = "2025-11-25"
ENVELOPE: JsonObject = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class Answer:
    """Status, headers, and the body: JSON, or the messages of an event stream."""

    status: int
    headers: Mapping[str, str]
    body: JsonValue
    messages: tuple[JsonValue, ...] = ()

    @property
    def code(self) -> JsonValue:
        """The JSON-RPC error's code."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error.get("code") if isinstance(error, dict) else None

    @property
    def message(self) -> str:
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return str(error.get("message")) if isinstance(error, dict) else ""

    @property
    def result(self) -> JsonObject:
        result = self.body.get("result") if isinstance(self.body, dict) else None
        assert isinstance(result, dict), self.body
        return result

    @property
    def text(self) -> str:
        content = self.result["content"]
        assert isinstance(content, list)
        assert isinstance(content[0], dict)
        return str(content[0]["text"])


@contextlib.asynccontextmanager
async def opened(
    stand: Stand, method: str, headers: Mapping[str, str], body: bytes = b"", *, path: str = "/mcp"
) -> AsyncIterator[HttpResponse]:
    """One request as it is given; an empty value leaves a default header out."""
    defaults = {
        "authorization": f"Bearer {OWNER_TOKEN}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
    }
    merged = {name: value for name, value in {**defaults, **headers}.items() if value}
    request = HttpRequest(method, path, merged, body)
    async with open_response(HttpAddress("127.0.0.1", stand.port), request, head_timeout_s=20) as response:
        yield response


async def send(
    stand: Stand,
    body: object,
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/mcp",
    method: str = "POST",
) -> Answer:
    """Send one message and read the whole answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with opened(stand, method, headers or {}, raw, path=path) as response:
        if response.is_stream:
            messages = tuple([json.loads(event.data) async for event in response.events()])
            return Answer(response.status, response.headers, messages[-1], messages)
        text = await response.read()
        try:
            parsed = json.loads(text) if text else None
        except ValueError:
            parsed = text.decode()
        return Answer(response.status, response.headers, parsed)


def stateless(
    method: str, params: JsonObject | None = None, **headers: str
) -> tuple[JsonObject, dict[str, str]]:
    """A well-formed request of the stateless era; ``headers`` (with ``_`` for ``-``) override its own."""
    given = dict(params or {})
    body: JsonObject = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {**given, "_meta": {**ENVELOPE, **_meta(given)}},
    }
    wire = {"mcp-protocol-version": VERSION, "mcp-method": method}
    name = given.get("name")
    if isinstance(name, str):
        wire["mcp-name"] = name
    wire.update({key.replace("_", "-"): value for key, value in headers.items()})
    return body, wire


def _meta(params: JsonObject) -> JsonObject:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def call(
    name: str, arguments: JsonObject | None = None, *, request_id: int = 1, **meta: JsonValue
) -> JsonObject:
    """A ``tools/call`` of the session era."""
    params: JsonObject = {"name": name, "arguments": arguments or {}}
    if meta:
        params["_meta"] = dict(meta)
    return {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}


async def open_session(stand: Stand, *, path: str = "/mcp", token: str = OWNER_TOKEN) -> dict[str, str]:
    """Initialise; the headers of the session's requests."""
    params: JsonObject = {
        "protocolVersion": SESSION_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    own = {"authorization": f"Bearer {token}"}
    first: JsonObject = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    answer = await send(stand, first, own, path=path)
    assert answer.status == 200, answer.body
    headers = {
        **own,
        "mcp-session-id": answer.headers["mcp-session-id"],
        "mcp-protocol-version": SESSION_VERSION,
    }
    done = await send(stand, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers, path=path)
    assert done.status == 202
    return headers
