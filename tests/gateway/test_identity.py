"""Tokens of an authorization server and logins by OpenID Connect, with a real provider and the official MCP
client, which finds its way from the gateway's first refusal alone."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.gateway.web import Web, WebAnswer, web_of
from tests.identity.provider import IdentityProvider, running_provider

pytestmark = pytest.mark.bubblewrap
SECRET = "the-gateways-own-secret"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, provider: IdentityProvider) -> Iterator[Stage]:
    """A workspace that trusts the provider for both: tokens of programs, logins of people."""
    runtime = Path(tempfile.mkdtemp(prefix="pi-", dir="/tmp"))
    stage = make_stage(tmp_path_factory.mktemp("identity"), runtime)
    settings = json.loads(stage.layout.config_file.read_text())
    settings["gateway"]["auth"] = {
        "mode": "oidc",
        "oidc": {
            "issuer": provider.url,
            "clientId": "gateway",
            "clientSecretRef": "env:OIDC_SECRET",
            "allow": ["Alice@harbour.example"],
        },
        "resourceServer": {"issuer": provider.url, "agents": ["ech*"]},
    }
    stage.layout.config_file.write_text(json.dumps(settings))
    stage.run("start", "echo", environ={"OIDC_SECRET": SECRET})
    provider.open(redirects=[f"{web_of(stage).url}/login/oidc/callback"])
    eventually(lambda: web_of(stage).send("GET", "/login/oidc").status == 303, "the provider to be found")
    yield stage
    give_back(stage)
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def nobody(place: Stage) -> Web:
    web = web_of(place)
    return Web(web.host, web.port)


class Memory:
    """Where the official client keeps its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def token_for(provider: IdentityProvider, resource: str, scope: str = "tools:call") -> str:
    """An access token of the robot for ``resource``."""
    form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
    answer = httpx2.post(f"{provider.url}/token", data=form, auth=("robot", "the-robots-own-secret"))
    token: str = answer.json()["access_token"]
    return token


async def test_the_official_client_finds_the_authorization_server_and_calls_a_tool(
    place: Stage, nobody: Web, provider: IdentityProvider
) -> None:
    url = f"{nobody.url}/mcp"
    auth = ClientCredentialsOAuthProvider(
        server_url=url,
        storage=Memory(),
        client_id="robot",
        client_secret="the-robots-own-secret",
        scope="tools:call",
        issuer=provider.url,
    )
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        assert "mood" in [tool.name for tool in (await client.list_tools()).tools]
        answer = await client.call_tool("mood", {})
        assert "cheerful" in str(answer.content[0])
    rows = web_of(place).call("audit.list", event="tool", limit=5)
    assert ("client:oauth:robot", "echo.mood") in [(row["caller"], row["what"]) for row in rows]


def test_who_comes_without_a_token_is_told_where_to_get_one(nobody: Web, provider: IdentityProvider) -> None:
    refused = nobody.send("POST", "/mcps/echo/mcp", b"{}", {"content-type": "application/json"})
    assert refused.status == 401
    where = f"{nobody.url}/.well-known/oauth-protected-resource/mcps/echo/mcp"
    assert f'resource_metadata="{where}"' in refused.headers["www-authenticate"]
    facts = nobody.send("GET", urlsplit(where).path).json
    assert facts["resource"] == f"{nobody.url}/mcps/echo/mcp"
    assert facts["authorization_servers"] == [provider.url]


def status(nobody: Web, token: str, path: str = "/events?topics=agents") -> int:
    """What a request gets that only needs to be let in; a stream is left at once."""
    connection = http.client.HTTPConnection(nobody.host, nobody.port, timeout=20)
    connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
    answered = connection.getresponse().status
    connection.close()
    return answered


def test_a_token_has_the_scopes_that_the_server_gave_it(nobody: Web, provider: IdentityProvider) -> None:
    reader = token_for(provider, f"{nobody.url}/mcp", "agents:read")
    assert status(nobody, reader) == 200
    assert status(nobody, token_for(provider, f"{nobody.url}/mcp", "tools:call")) == 403
    assert status(nobody, reader, "/control/status") == 403


def test_a_token_for_somebody_else_or_that_was_changed_is_refused(
    nobody: Web, provider: IdentityProvider
) -> None:
    good = token_for(provider, nobody.url, "agents:read")
    assert status(nobody, good) == 200
    head, body, signature = good.split(".")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims: dict[str, Any] = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    bad = [
        token_for(provider, "http://127.0.0.1:1/mcp", "agents:read"),
        f"{head}.{body}.{signature[:-4]}AAAA",
        jwt.encode(claims, key, algorithm="RS256", headers={"kid": header["kid"]}),
        jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": header["kid"]}),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode({**claims, "iss": "http://127.0.0.1:2"}, key, algorithm="RS256"),
        "a.b.c",
    ]
    assert [status(nobody, token) for token in bad] == [401] * len(bad)


def browse(nobody: Web, cookies: dict[str, str] | None = None) -> WebAnswer:
    """A browser from the first click until the gateway's last answer; its cookies are kept by origin."""
    jar: dict[str, dict[str, str]] = {nobody.url: dict(cookies or {})}
    url = f"{nobody.url}/login/oidc"
    for _ in range(12):
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        sent = "; ".join(f"{name}={value}" for name, value in jar.setdefault(origin, {}).items())
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"cookie": sent} if sent else {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                jar[origin][key] = rest.split(";")[0]
        body = answer.read()
        connection.close()
        location = headers.get("location", "")
        if origin == nobody.url and parts.path.endswith("/callback"):
            return WebAnswer(answer.status, headers, body)
        url = location if "://" in location else f"{origin}{location}"
    raise AssertionError("the browser went round in circles")


def test_a_person_logs_in_by_the_provider(nobody: Web) -> None:
    assert nobody.send("GET", "/session").json == {"mode": "oidc", "loggedIn": False}
    done = browse(nobody)
    assert (done.status, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert nobody.send("GET", "/session", headers={"cookie": cookie.split(";")[0]}).json["loggedIn"] is True


def test_an_answer_that_belongs_to_another_browser_or_to_no_attempt_lets_nobody_in(nobody: Web) -> None:
    began = nobody.send("GET", "/login/oidc")
    state = dict(pair.split("=", 1) for pair in urlsplit(began.headers["location"]).query.split("&"))["state"]
    for query, cookie in (
        ({"state": state, "code": "x"}, "ploinky_oidc=another"),
        ({"state": state, "code": "x"}, began.headers["set-cookie"].split(";")[0]),
        ({"state": "unknown", "code": "x"}, began.headers["set-cookie"].split(";")[0]),
        ({}, ""),
    ):
        answer = nobody.send("GET", f"/login/oidc/callback?{urlencode(query)}", headers={"cookie": cookie})
        assert answer.headers["location"] == "/?login=refused"
        assert "set-cookie" not in answer.headers


def test_who_is_not_on_the_list_stays_outside(place: Stage) -> None:
    with running_provider() as other:
        settings = json.loads(place.layout.config_file.read_text())
        before = json.dumps(settings)
        settings["gateway"]["auth"]["oidc"]["issuer"] = other.url
        place.layout.config_file.write_text(json.dumps(settings))
        try:
            place.run("restart", "router", environ={"OIDC_SECRET": SECRET})
            web = web_of(place)
            other.open(redirects=[f"{web.url}/login/oidc/callback"], verified=False)
            eventually(lambda: web.send("GET", "/login/oidc").status == 303, "the provider to be found")
            assert browse(Web(web.host, web.port)).headers["location"] == "/?login=refused"
        finally:
            place.layout.config_file.write_text(before)


def test_settings_that_would_let_nobody_in_stop_the_start(place: Stage) -> None:
    before = place.layout.config_file.read_text()
    settings = json.loads(before)
    settings["gateway"]["auth"]["oidc"]["allow"] = []
    place.layout.config_file.write_text(json.dumps(settings))
    try:
        done = place.run("restart", "router", code=1)
        assert (
            "gateway.auth.oidc does not say whom to let in"
            in done.err + place.run("logs", "router", "-n", "20", code=None).out
        )
    finally:
        place.layout.config_file.write_text(before)
        place.run("start", environ={"OIDC_SECRET": SECRET})
