"""Tokens for other programs: what they reach, when they end, and that they are shown once."""

from __future__ import annotations

import json

import pytest

from ploinky.workspace.layout import Layout
from tests.cli.stage import Stage
from tests.gateway.web import Web, web_of

pytestmark = pytest.mark.bubblewrap


def tools(web: Web, path: str = "/mcp") -> list[str]:
    """The names of the tools that a token shows, by one plain call of MCP's stateless era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/list",
    }
    answer = web.send("POST", path, json.dumps(body).encode(), headers)
    if answer.status != 200:
        return [str(answer.status)]
    return sorted(tool["name"] for tool in answer.json["result"]["tools"])


def made(town: Stage, name: str, *words: str) -> Web:
    owner = web_of(town)
    return Web(owner.host, owner.port, town.run("token", "create", name, *words).out.strip())


def test_a_token_shows_only_the_agents_it_was_made_for(town: Stage) -> None:
    everything = tools(web_of(town))
    narrow = made(town, "narrow", "--agent", "ech*")
    assert tools(narrow) == tools(narrow, "/mcps/echo/mcp") == tools(web_of(town), "/mcps/echo/mcp")
    assert tools(narrow, "/mcps/worker/mcp") == ["403"]
    assert tools(made(town, "wide")) == everything
    assert tools(made(town, "reader", "--scope", "agents:read")) == []
    town.run("token", "revoke", "narrow")
    assert tools(narrow) == ["401"]
    town.run("token", "revoke", "narrow", code=3)


def test_a_token_has_the_scopes_it_was_made_with_and_no_others(town: Stage) -> None:
    reader = made(town, "looker", "--scope", "agents:read")
    assert {row["agent"] for row in reader.call("agents.list")} >= {"echo", "worker"}
    assert reader.error("agents.stop", agent="echo")["data"]["code"] == "FORBIDDEN"
    assert reader.send("GET", "/control/status").status == 403


def test_a_token_is_shown_once_and_kept_as_a_digest(town: Stage) -> None:
    token = made(town, "secretive", "--expires", "2h").token
    assert token.startswith("plc1.")
    layout: Layout = town.layout
    assert token not in layout.client_tokens_file.read_text()
    assert layout.client_tokens_file.stat().st_mode & 0o077 == 0
    rows = {row["name"]: row for row in town.run("token", "list", "--json").json}
    assert rows["secretive"]["expiresAt"] > rows["secretive"]["createdAt"]
    assert token not in json.dumps(rows)
    assert "token revoke secretive" in town.run("token", "create", "secretive", code=2).err


def test_an_ended_token_is_refused(town: Stage) -> None:
    brief = made(town, "brief", "--expires", "1w")
    assert tools(brief) != ["401"]
    file = town.layout.client_tokens_file
    kept = json.loads(file.read_text())
    for each in kept["tokens"]:
        each["expires_at"] = 1.0 if each["name"] == "brief" else each["expires_at"]
    file.write_text(json.dumps(kept))
    assert tools(brief) == ["401"]
    assert [row["ended"] for row in town.run("token", "list", "--json").json if row["name"] == "brief"] == [
        True
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scope", "root"), "There is no scope 'root'"),
        (("--expires", "soon"), "'soon' is no span of time"),
        (("--expires", "0d"), "'0d' is no span of time"),
    ],
)
def test_what_cannot_be_made_is_said(town: Stage, words: tuple[str, ...], told: str) -> None:
    done = town.run("token", "create", "wrong", *words, code=2)
    assert told in done.err


def test_a_broken_file_of_tokens_lets_nobody_in_and_is_not_overwritten(town: Stage) -> None:
    guest = made(town, "visitor")
    file = town.layout.client_tokens_file
    before = file.read_bytes()
    file.write_bytes(b"{torn")
    try:
        assert tools(guest) == ["500"]
        assert tools(web_of(town)) != ["500"]
        town.run("token", "create", "more", code=1)
        assert file.read_bytes() == b"{torn"
    finally:
        file.write_bytes(before)
    assert tools(guest) != ["500"]
