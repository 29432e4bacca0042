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
from tests.identity.provider import IdentityProvider, running_provider
from tests.router.servers import PEERS, free_port

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


def sign_in(stage: Stage) -> str:
    """Run the login and be the browser; what the command printed."""
    with stage.running("mcp", "login", "tracker") as process:
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
        settings = json.loads(stage.layout.config_file.read_text("utf-8"))
        settings["mcpServers"] = {"tracker": {"url": url}}
        stage.layout.config_file.write_text(json.dumps(settings), "utf-8")
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


def test_only_a_server_outside_can_be_signed_in_at(stage: Stage) -> None:
    refused = stage.run("mcp", "login", "nobody", code=None)
    assert refused.code != 0
    assert "mcpServers" in refused.err
