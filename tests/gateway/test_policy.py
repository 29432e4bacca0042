"""The policy of ``config.json``, through the real gateway: it is enforced when a call is made, under whatever
name and by whatever door; what is refused is told, counted and written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.router.approvals import CallApprovals
from ploinky.router.callers import OWNER, Caller, CallerKind
from ploinky.router.catalogue import View
from ploinky.router.naming import Target
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.router.rules import RulePolicy
from ploinky.workspace.settings import PolicyRule
from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web, WebAnswer, web_of

pytestmark = pytest.mark.bubblewrap
DOORS = (("mood", "/mcp"), ("echo__mood", "/mcp"), ("mood", "/mcps/echo/mcp"), ("mood", "/mcp/echo/mcp"))
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}


def ask(web: Web, method: str, path: str = "/mcp", name: str | None = None, **params: Any) -> WebAnswer:
    """One request of MCP's stateless era."""
    if name is not None:
        params["name"] = name
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        **({"mcp-name": name} if name is not None else {}),
    }
    return web.send("POST", path, json.dumps(body).encode(), headers)


def call(web: Web, name: str, path: str = "/mcp", **arguments: Any) -> WebAnswer:
    return ask(web, "tools/call", path, name, arguments=arguments)


def shown(web: Web, path: str = "/mcp") -> list[str]:
    return sorted(tool["name"] for tool in ask(web, "tools/list", path).json["result"]["tools"])


def look_again(town: Stage) -> None:
    """The gateway looks at its settings by itself twice a second; now at once."""
    assert web_of(town).send("POST", "/control/reconcile").status == 200


@contextmanager
def policy(town: Stage, *rows: dict[str, Any]) -> Iterator[None]:
    """These rows in ``config.json`` while the context is open; the gateway takes them by itself."""
    file = town.layout.config_file
    before = file.read_text(encoding="utf-8")
    settings = json.loads(before)
    settings["router"] = {"policy": list(rows)}
    file.write_text(json.dumps(settings), encoding="utf-8")
    look_again(town)
    try:
        yield
    finally:
        file.write_text(before, encoding="utf-8")
        look_again(town)


@pytest.fixture(scope="module")
def guest(town: Stage, web: Web) -> Web:
    """A token that was made for every agent."""
    return Web(web.host, web.port, town.run("token", "create", "guest").out.strip())


def test_a_refused_tool_is_neither_shown_nor_called_under_any_name_or_door(
    town: Stage, web: Web, guest: Web
) -> None:
    row = {"caller": "client:*", "agents": ["echo"], "tools": ["mo*", "fail"], "allow": False}
    with policy(town, row):
        assert shown(guest) == shown(guest, "/mcps/echo/mcp") == ["say", "wait"]
        assert shown(web) == ["fail", "mood", "say", "wait"]
        for name, path in DOORS:
            answer = call(guest, name, path)
            assert "error" in answer.json, (name, path)
            assert "cheerful" not in answer.body.decode()
        assert guest.error("tools.call", tool="mood", agent="echo")["data"]["code"]
        assert "cheerful" not in json.dumps(guest.ask("tools.call", tool="mood"))
        assert '"text":"hi"' in call(guest, "say", text="hi").json["result"]["content"][0]["text"]
        assert call(web, "mood").json["result"]["content"][0]["text"].strip() == "cheerful"
    assert shown(guest) == ["fail", "mood", "say", "wait"]


def test_an_owner_that_acts_for_somebody_has_their_rights_and_nobody_else_may_act(
    town: Stage, web: Web, guest: Web
) -> None:
    def acting(by: Web, name: str) -> int:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/list",
            "x-ploinky-act-as": name,
        }
        answer = by.send("POST", "/mcps/echo/mcp", json.dumps(body).encode(), headers)
        return answer.status

    with policy(town, {"caller": "assistant:*", "agents": ["*"], "allow": False}):
        assert acting(web, "assistant:helper") == 403
        assert acting(web, "client:guest") == 200
        assert acting(web, "client:nobody") == 403
        assert acting(web, "owner") == 403
        assert acting(guest, "assistant:helper") == 200  # it stays who it is


def test_a_row_limits_how_often_a_caller_calls(town: Stage, web: Web, guest: Web) -> None:
    with policy(town, {"caller": "client:guest", "agents": ["echo"], "rate": 3}):
        answers = [call(guest, "mood") for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json["error"]["data"]["retryAfterS"] >= 1
        assert call(web, "mood").status == 200


def test_a_call_waits_until_a_person_agrees_to_exactly_it(town: Stage, web: Web, guest: Web) -> None:
    with policy(town, {"caller": "client:*", "agents": ["echo"], "tools": ["say"], "approval": True}):
        for words, outcome in ((("approve",), "result"), (("approve", "--deny"), "error")):
            got: list[WebAnswer] = []
            asking = threading.Thread(target=lambda got=got: got.append(call(guest, "say", text="tide")))
            asking.start()
            eventually(lambda: bool(web.call("tools.approvals")), "the call to wait")
            waiting = town.run("mcp", "approvals", "--json").json[0]
            assert (waiting["agent"], waiting["tool"], waiting["caller"]) == ("echo", "say", "client:guest")
            assert waiting["arguments"] == {"text": "tide"}
            wrong = web.error("tools.approve", id=waiting["id"], allow=True, digest="0" * 64)
            assert wrong["data"]["code"] == "APPROVAL_NOT_FOUND"
            assert guest.error("tools.approve", id=waiting["id"], allow=True)["data"]["code"] == "FORBIDDEN"
            assert not got
            town.run("mcp", words[0], waiting["id"], *words[1:])
            asking.join(20)
            assert outcome in got[0].json
        assert town.run("mcp", "approvals").out.strip() == "No call waits."
        assert "NOT_APPROVED" in got[0].body.decode()


def test_a_caller_that_goes_away_takes_its_question_along(town: Stage, web: Web, guest: Web) -> None:
    import http.client

    with policy(town, {"caller": "client:*", "agents": ["echo"], "approval": True}):
        connection = http.client.HTTPConnection(guest.host, guest.port, timeout=20)
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "mood", "arguments": {}, "_meta": META},
        }
        connection.request(
            "POST",
            "/mcp",
            json.dumps(body),
            {
                **guest.authorization,
                "content-type": "application/json",
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": "tools/call",
                "mcp-name": "mood",
            },
        )
        eventually(lambda: bool(web.call("tools.approvals")), "the call to wait")
        connection.close()
        eventually(lambda: not web.call("tools.approvals"), "the question to go")


def test_settings_that_cannot_be_used_leave_the_former_ones_in_force(town: Stage, guest: Web) -> None:
    with policy(town, {"caller": "client:*", "agents": ["echo"], "tools": ["mood"], "allow": False}):
        town.layout.config_file.write_text("{torn", encoding="utf-8")
        look_again(town)
        assert shown(guest) == ["fail", "say", "wait"]


def test_every_decision_is_in_the_audit_log_without_a_value(town: Stage, web: Web, guest: Web) -> None:
    with policy(town, {"caller": "client:*", "agents": ["echo"], "tools": ["fail"], "allow": False}):
        call(guest, "say", text="sturgeon")
        call(guest, "fail", "/mcps/echo/mcp")
        ask(guest, "prompts/get", "/mcps/echo/mcp", "fail")

    def rows() -> list[tuple[str, str]]:
        found = web.call("audit.list", event="tool", limit=50)
        return [(row["what"], row["outcome"]) for row in found if row["caller"] == "client:guest"]

    eventually(lambda: ("echo.say", "ok") in rows(), "the audit line")
    assert "sturgeon" not in (town.layout.logs / "audit.log").read_text(encoding="utf-8")


def test_metrics_count_calls_and_tell_who_is_ready(web: Web, guest: Web) -> None:
    call(guest, "mood")
    call(guest, "fail")
    assert guest.send("GET", "/metrics").status == 403
    text = web.send("GET", "/metrics").body.decode()
    assert 'ploinky_agent_ready{agent="echo"} 1.0' in text
    assert 'ploinky_requests_total{agent="echo",method="tools/call",outcome="ok",tool="mood"}' in text
    assert 'outcome="tool_failed",tool="fail"' in text
    assert 'ploinky_request_seconds_bucket{agent="echo",le="0.001",method="tools/call"}' in text
    assert "ploinky_sessions " in text
    assert Web(web.host, web.port).send("GET", "/metrics").status == 401


NAMES = st.sampled_from(["git", "files", "notes", "git2", "a"])
GLOBS = st.sampled_from(["*", "git*", "files", "[gf]*", "n?tes", "none"])
CALLERS = st.sampled_from(
    [
        OWNER,
        Caller(CallerKind.AGENT, "git"),
        Caller(CallerKind.CLIENT, "ci", frozenset({"tools:call"}), ("g*",)),
        Caller(CallerKind.ASSISTANT, "main"),
    ]
)
ROWS = st.lists(
    st.builds(
        PolicyRule,
        caller=st.sampled_from(["*", "owner", "agent:*", "client:ci", "assistant:m*", "client:x"]),
        agents=st.lists(GLOBS, min_size=1, max_size=2).map(tuple),
        tools=st.lists(GLOBS, min_size=1, max_size=2).map(tuple),
        allow=st.booleans(),
    ),
    max_size=4,
)


@given(rows=ROWS, caller=CALLERS, agent=NAMES, tool=NAMES)
async def test_what_is_shown_is_what_may_be_called(
    rows: list[PolicyRule], caller: Caller, agent: str, tool: str
) -> None:
    from pathlib import Path

    from ploinky.mcp.messages import RpcError

    table = RouteTable(
        AgentRoute(key, Path("/nonexistent"), may_call=frozenset({"files"}))
        for key in ("git", "files", "notes", "git2", "a")
    )
    judge = RulePolicy(table, lambda: rows, CallApprovals())
    view = View(None, judge.reach(caller), judge.patterns(caller))
    target = Target(agent, tool)
    try:
        await judge.admit(caller, "tools/call", target, {})
        admitted = True
    except RpcError:
        admitted = False
    assert admitted == (view.shows(agent) and view.shows_tool(target))
