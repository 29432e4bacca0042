"""Signing in at an MCP server outside: a real authorization server, a browser that follows its redirects."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar

import pytest

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web
from tests.identity.provider import IdentityProvider, running_provider
from tests.router.servers import PEERS, free_port
from tests.router.wire import stateless

pytestmark = pytest.mark.bubblewrap


@contextmanager
def protected_server(issuer: str) -> Iterator[str]:
    """The URL of an MCP server that wants tokens of ``issuer``."""
    port = free_port()
    words = [sys.executable, "-m", "tests.peers.protected_server", str(port), issuer]
    with subprocess.Popen(words, cwd=PEERS.parents[1]) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: answers(f"{url}/.well-known/oauth-protected-resource/mcp"), "the server")
            yield f"{url}/mcp"
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def tokens_seen(url: str) -> int:
    """How many different tokens the server found good."""
    with urllib.request.urlopen(f"{url.removesuffix('/mcp')}/seen", timeout=30) as answer:
        return int(answer.read())


def use_server(stage: Stage, server: dict[str, object]) -> None:
    settings = json.loads(stage.layout.config_file.read_text("utf-8"))
    settings["mcpServers"] = {"tracker": server}
    stage.layout.config_file.write_text(json.dumps(settings), "utf-8")


def callers_at(url: str) -> list[str]:
    """Whose tokens let the calls of tools at the server through, in order."""
    with urllib.request.urlopen(url.removesuffix("/mcp") + "/callers", timeout=10) as answer:
        seen = json.loads(answer.read())
    assert isinstance(seen, list)
    return seen


def called_by(web: Web) -> bool:
    """Whether whoever has this token can call the server's tool."""
    body, headers = stateless("tools/call", {"name": "test_simple_text", "arguments": {}})
    fields = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    answer = web.send("POST", "/mcps/tracker/mcp", json.dumps(body).encode(), {**fields, **headers})
    return b"simple text" in answer.body


def sign_in(stage: Stage, user: str = "owner") -> str:
    """Run the login and be the browser; what the command printed."""
    with stage.running("mcp", "login", "tracker", "--user", user) as process:
        assert process.stderr is not None
        printed = ""
        for line in process.stderr:
            printed += line
            found = re.search(r"https?://\S+/auth\S+", line)
            if found:
                browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
                with browser.open(found[0], timeout=30) as page:
                    assert b"Signed in" in page.read()
        assert process.wait(60) == 0, printed
        return printed


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as running:
        running.open(redirects=["http://127.0.0.1/unused"], token_ttl_s=3, grace_s=600)
        yield running


def test_a_login_opens_a_server_outside_and_is_renewed_until_it_is_forgotten(
    stage: Stage, provider: IdentityProvider
) -> None:
    with protected_server(provider.url) as url:
        use_server(stage, {"url": url})
        stage.run("start")
        assert stage.run("call", "tracker.test_simple_text", code=None).code != 0

        sign_in(stage)
        kept = stage.layout.credentials_file
        assert kept.stat().st_mode & 0o777 == 0o600
        assert b"access_token" not in kept.read_bytes()

        def called() -> bool:
            return "simple text" in stage.run("call", "tracker.test_simple_text", code=None).out

        eventually(called, "a call at the server", timeout_s=60)
        before = tokens_seen(url)

        def renewed() -> bool:
            return called() and tokens_seen(url) > before

        eventually(renewed, "a call with a renewed token", timeout_s=60)

        stage.run("mcp", "logout", "tracker")
        assert stage.run("call", "tracker.test_simple_text", code=None).code != 0


def test_users_of_one_server_have_logins_of_their_own_and_neither_uses_the_others(
    stage: Stage, provider: IdentityProvider
) -> None:
    with protected_server(provider.url) as url:
        use_server(stage, {"url": url, "perUser": True})
        stage.run("start")
        tokens = {name: stage.run("token", "create", name).out.strip() for name in ("ann", "ben")}
        here = stage.endpoint
        ann, ben = (Web("127.0.0.1", here.port, tokens[name]) for name in ("ann", "ben"))
        assert not called_by(ann)

        sign_in(stage, "client:ann")
        eventually(lambda: called_by(ann), "a call of the one who signed in", timeout_s=30)
        assert not called_by(ben), "ann's login is not ben's"
        assert len(set(callers_at(url))) == 1

        sign_in(stage, "client:ben")
        eventually(lambda: called_by(ben), "a call of the other one", timeout_s=30)
        by_ann, by_ben = callers_at(url)[0], callers_at(url)[-1]
        assert by_ann != by_ben
        before = len(callers_at(url))
        assert [called_by(ann), called_by(ben), called_by(ann)] == [True, True, True]
        assert callers_at(url)[before:] == [by_ann, by_ben, by_ann]
        kept = stage.layout.credentials_file.read_bytes()
        assert by_ann.encode() not in kept
        assert by_ben.encode() not in kept

        stage.run("mcp", "logout", "tracker", "--user", "client:ann")
        eventually(lambda: not called_by(ann), "the end of ann's login", timeout_s=30)
        assert called_by(ben)


def test_only_a_server_outside_can_be_signed_in_at(stage: Stage) -> None:
    refused = stage.run("mcp", "login", "nobody", code=None)
    assert refused.code != 0
    assert "mcpServers" in refused.err
