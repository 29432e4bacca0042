"""Signing in to MCP servers outside, as an OAuth 2.1 client of theirs; tokens lie in the encrypted store.

The official SDK does discovery, registration, PKCE and refresh; here is where its tokens are kept, and how a
person's browser comes back: to a port of the loopback that is open for this one login. The gateway uses what
is stored and never asks anybody: a server that wants a new login says so in its error.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc

from ploinky.base.errors import DeadlineError, NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.operations.gateway_poke import poke_gateway
from ploinky.operations.platform import Platform
from ploinky.secrets.sealed import SealedStore
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.settings import McpServer

if TYPE_CHECKING:
    import httpx2
    from mcp.client.auth import OAuthClientProvider
    from mcp.client.auth.oauth2 import OAuthContext
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

OWNER = "owner"
LOGIN_S = 300.0
_EARLY_S = 2.0  # a token counts as ended before it ends: clocks differ, and a request takes a moment
_TOKENS, _CLIENT, _FACTS = "tokens", "client", "facts"
_PAGE = b"<!doctype html><title>Ploinky</title><p>Signed in. You may close this page.</p>"


class SealedTokens:
    """The SDK's ``TokenStorage``: tokens and registration of one user at one server, encrypted."""

    def __init__(self, store: SealedStore, server: str, user: str) -> None:
        self.server = server
        self._store = store
        self._scope = ("oauth", server, user)

    @property
    def stamp(self) -> object:
        """Differs when anything in the store has changed."""
        return self._store.stamp

    @property
    def exist(self) -> bool:
        return _TOKENS in self._store.names(self._scope)

    async def get_tokens(self) -> OAuthToken | None:
        from mcp.shared.auth import OAuthToken

        text = await anyio.to_thread.run_sync(self._store.get, self._scope, _TOKENS)
        return None if text is None else OAuthToken.model_validate_json(text)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        ends_at = None if tokens.expires_in is None else time.time() + tokens.expires_in - _EARLY_S
        facts = {**(await self.facts()), "endsAt": ends_at}
        await self._set(_TOKENS, tokens.model_dump_json(exclude_none=True))
        await self._set(_FACTS, json.dumps(facts))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        from mcp.shared.auth import OAuthClientInformationFull

        text = await anyio.to_thread.run_sync(self._store.get, self._scope, _CLIENT)
        return None if text is None else OAuthClientInformationFull.model_validate_json(text)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        await self._set(_CLIENT, client_info.model_dump_json(exclude_none=True))

    async def facts(self) -> JsonObject:
        """When the tokens end (``endsAt``), the authorization server's ``metadata``, what the server
        says of itself (``resource``)."""
        text = await anyio.to_thread.run_sync(self._store.get, self._scope, _FACTS)
        facts: JsonObject = {} if text is None else json.loads(text)
        return facts

    async def keep_metadata(self, context: OAuthContext) -> None:
        """Keep where tokens are renewed and for what, which is asked only once."""
        found = {"metadata": context.oauth_metadata, "resource": context.protected_resource_metadata}
        facts = {
            name: each.model_dump(mode="json", exclude_none=True)
            for name, each in found.items()
            if each is not None
        }
        await self._set(_FACTS, json.dumps({**(await self.facts()), **facts}))

    def forget(self) -> bool:
        """Delete all of it; whether there was anything."""
        return self._store.delete(self._scope)

    async def _set(self, name: str, value: str) -> None:
        await anyio.to_thread.run_sync(self._store.set, self._scope, name, value)


class Login:
    """A login that was made before, as the gateway uses it. One object per user and server: a token that
    renews others is good once, so two must never use it."""

    def __init__(self, tokens: SealedTokens, url: str) -> None:
        self._tokens = tokens
        self._url = url
        self._provider: OAuthClientProvider | None = None
        self._seen: object = None

    async def auth(self) -> httpx2.Auth | None:
        """What signs requests, renewing tokens when they end; None while nobody is signed in."""
        stamp = self._tokens.stamp
        if stamp != self._seen:
            self._seen = stamp
            if not await anyio.to_thread.run_sync(lambda: self._tokens.exist):
                self._provider = None
            else:
                self._provider = self._provider or await self._open()
                ends_at = (await self._tokens.facts()).get("endsAt")
                self._provider.context.token_expiry_time = ends_at if isinstance(ends_at, float) else None
        return self._provider

    async def _open(self) -> OAuthClientProvider:
        from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata

        provider = _provider(self._url, self._tokens, "http://127.0.0.1/callback", self._refuse, self._refuse)
        facts = await self._tokens.facts()
        metadata, resource = facts.get("metadata"), facts.get("resource")
        if metadata is not None:
            provider.context.oauth_metadata = OAuthMetadata.model_validate(metadata)
        if resource is not None:  # without it, a token may be renewed for no server at all
            found = ProtectedResourceMetadata.model_validate(resource)
            provider.context.protected_resource_metadata = found
        return provider

    async def _refuse(self, _: str = "") -> None:
        """The tokens are good no longer; the next login is looked for, nobody is asked here."""
        self._provider, self._seen = None, None
        server = self._tokens.server
        raise PloinkyError(
            "SERVER_LOGIN", f"The login at '{server}' has ended.", hint=f"ploinky mcp login {server}"
        )


async def login_server(platform: Platform, name: str, user: str) -> AsyncIterator[Event]:
    """Sign ``user`` in at the server ``name`` of the settings, in a browser that a person has open.

    Raises:
        NotFoundError: NO_SUCH_SERVER. UsageError: SERVER_NOT_OUTSIDE.
        PloinkyError: LOGIN_FAILED. DeadlineError: nobody came back in time.
    """
    server = _outside(platform, name)
    assert server.url is not None
    tokens = SealedTokens(SealedStore(platform.layout, platform.environ), name, user)
    found, arrived = anyio.create_memory_object_stream[str](1)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 (no database here)
        door = _CallbackDoor()
        tasks.start_soon(listener.serve, door.handle)

        async def show(url: str) -> None:
            await found.send(url)

        provider = _provider(server.url, tokens, f"http://127.0.0.1:{port}/callback", show, door.result)
        outcome: list[PloinkyError] = []

        async def ask() -> None:
            try:
                await _initialize(server.url or "", provider)
            except PloinkyError as error:
                outcome.append(error)
            finally:
                found.close()

        tasks.start_soon(ask)
        async for url in arrived:
            yield Notice(message=f"Open this page to sign in: {url}")
        tasks.cancel_scope.cancel()
    if outcome:
        raise outcome[0]
    await tokens.keep_metadata(provider.context)
    await poke_gateway(platform.layout)
    yield Notice(message=f"Signed in at {name} as {user}.")
    yield Result(value={"server": name, "user": user})


async def logout_server(platform: Platform, name: str, user: str) -> AsyncIterator[Event]:
    """Forget the login of ``user`` at a server."""
    tokens = SealedTokens(SealedStore(platform.layout, platform.environ), name, user)
    known = await anyio.to_thread.run_sync(tokens.forget)
    yield Notice(message=f"Signed out at {name}." if known else f"{user} was not signed in at {name}.")
    yield Result(value={"server": name, "user": user, "forgotten": known})


def _outside(platform: Platform, name: str) -> McpServer:
    server = platform.settings.mcp_servers.get(name)
    if server is None:
        raise NotFoundError(
            "NO_SUCH_SERVER",
            f"mcpServers in config.json has no '{name}'.",
            hint='Add it: {"mcpServers": {"NAME": {"url": "https://..."}}}',
        )
    if server.url is None:
        raise UsageError("SERVER_NOT_OUTSIDE", f"'{name}' is a command of this machine, not a URL.")
    return server


def _provider(
    url: str, tokens: SealedTokens, redirect: str, show: object, result: object
) -> OAuthClientProvider:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata

    metadata = OAuthClientMetadata.model_validate(
        {
            "client_name": "Ploinky",
            "redirect_uris": [redirect],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        }
    )
    return OAuthClientProvider(url, metadata, tokens, show, result)  # type: ignore[arg-type]


async def _initialize(url: str, provider: OAuthClientProvider) -> None:
    """One request that the server answers only to whom it knows."""
    import httpx2
    from mcp.client.auth import OAuthFlowError

    params: JsonObject = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "ploinky", "version": "1"},
    }
    body: JsonObject = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    headers: Mapping[str, str] = {"accept": "application/json, text/event-stream"}
    try:
        with anyio.fail_after(LOGIN_S):
            async with (
                httpx2.AsyncClient(auth=provider, timeout=30) as client,
                client.stream("POST", url, json=body, headers=headers) as answer,
            ):
                status = answer.status_code
    except TimeoutError as error:
        raise DeadlineError("the browser to come back", LOGIN_S) from error
    except (OAuthFlowError, httpx2.HTTPError) as error:
        raise PloinkyError("LOGIN_FAILED", f"The login failed: {error}") from error
    if status >= 400:
        raise PloinkyError("LOGIN_FAILED", f"The server answers with HTTP {status} after the login.")


class _CallbackDoor:
    """Where the browser comes back to, once."""

    def __init__(self) -> None:
        self._query: dict[str, list[str]] = {}
        self._arrived = anyio.Event()

    async def handle(self, stream: anyio.abc.SocketStream) -> None:
        """Serve one connection."""
        async with stream:
            with anyio.move_on_after(10), contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                head = b""
                while b"\r\n\r\n" not in head and len(head) < 65536:
                    head += await stream.receive()
                target = head.split(b" ", 2)[1].decode("latin-1") if head.count(b" ") >= 2 else ""
                parts = urlsplit(target)
                good = parts.path == "/callback"
                status = b"200 OK" if good else b"404 Not Found"
                body = _PAGE if good else b""
                fields = b"content-type: text/html\r\ncontent-length: %d\r\nconnection: close" % len(body)
                await stream.send(b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n\r\n" + body)
                if good:
                    self._query = parse_qs(parts.query)
                    self._arrived.set()

    async def result(self) -> object:
        """What the authorization server sent along.

        Raises:
            PloinkyError: LOGIN_FAILED: it refused.
        """
        from mcp.shared.auth import AuthorizationCodeResult

        await self._arrived.wait()
        given = {key: values[0] for key, values in self._query.items()}
        if "code" not in given:
            reason = given.get("error_description") or given.get("error") or "no code came"
            raise PloinkyError("LOGIN_FAILED", f"The login was refused: {reason[:200]}")
        return AuthorizationCodeResult(code=given["code"], state=given.get("state"), iss=given.get("iss"))
