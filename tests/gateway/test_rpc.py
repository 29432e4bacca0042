"""JSON-RPC over HTTP and websocket against a real gateway with a real agent."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Mapping
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ploinky.gateway.rpc.table import SUBJECTS, method_table
from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web

pytestmark = pytest.mark.bubblewrap


def open_socket(web: Web, *, name: str = "127.0.0.1", path: str = "/ws", **headers: str) -> ClientConnection:
    """A websocket to the gateway, which is called by ``name``."""
    return connect(
        f"ws://{name}:{web.port}{path}",
        sock=socket.create_connection((web.host, web.port), timeout=20),
        additional_headers={**web.authorization, **headers},
        open_timeout=20,
        proxy=None,
    )


def test_an_answer_has_the_id_of_its_request_and_an_audit_id(web: Web) -> None:
    answer = web.post({"jsonrpc": "2.0", "id": "x-7", "method": "gateway.status"})
    value = answer.json
    assert (value["jsonrpc"], value["id"]) == ("2.0", "x-7")
    assert value["result"]["caller"] == "owner"
    assert value["auditId"] == answer.headers["x-audit-id"]
    assert "admin" in value["result"]["scopes"]


def test_a_batch_is_answered_in_its_order_and_notifications_are_not(web: Web) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "gateway.status"},
        {"jsonrpc": "2.0", "method": "gateway.status"},
        {"jsonrpc": "2.0", "id": 2, "method": "no.such"},
        17,
    ]
    answers = web.post(batch).json
    assert [each["id"] for each in answers] == [1, 2, None]
    assert answers[1]["error"]["code"] == -32601
    assert answers[2]["error"]["code"] == -32600
    assert len({answers[0]["auditId"], *(each["error"]["data"]["auditId"] for each in answers[1:])}) == 3
    alone = web.post({"jsonrpc": "2.0", "method": "gateway.status"})
    assert (alone.status, alone.body) == (204, b"")


def test_the_older_envelope_is_answered_in_kind(web: Web) -> None:
    good = web.post({"version": "2.0", "method": "gateway.status", "params": {}}).json
    assert good["ok"] is True
    assert good["result"]["version"]
    assert good["auditId"]
    bad = web.post({"version": "2.0", "method": "agents.logs", "params": {"agent": "nobody"}}).json
    assert bad["ok"] is False
    assert bad["error"]["data"]["code"] == "AGENT_NOT_ENABLED"
    assert bad["auditId"]


@pytest.mark.parametrize(
    ("body", "code", "name"),
    [
        (b"{", -32700, "PARSE_ERROR"),
        (b"[]", -32600, "INVALID_REQUEST"),
        (b'"hello"', -32600, "INVALID_REQUEST"),
        (b'{"jsonrpc":"1.0","id":1,"method":"x"}', -32600, "INVALID_REQUEST"),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', -32600, "INVALID_REQUEST"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}', -32600, "INVALID_REQUEST"),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600, "INVALID_REQUEST"),
        (b"[" * 500 + b"]" * 500, -32600, "INVALID_REQUEST"),
        (json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "x"}] * 101).encode(), -32600, "INVALID_REQUEST"),
    ],
)
def test_what_is_no_request_is_told_so(web: Web, body: bytes, code: int, name: str) -> None:
    answer = web.post(body).json
    assert (answer["error"]["code"], answer["error"]["data"]["code"]) == (code, name)


def test_bad_parameters_name_their_field(web: Web) -> None:
    for params, field in (
        ({}, "agent"),
        ({"agent": 7}, "agent"),
        ({"agent": "echo", "tail": 0}, "tail"),
        ({"agent": "echo", "tial": 5}, "tial"),
    ):
        error = web.error("agents.logs", **params)
        assert (error["code"], error["data"]["code"], error["data"]["field"]) == (-32602, "BAD_PARAMS", field)
    assert "gateway.status" in web.error("gateway.statsu")["data"]["hint"]


def test_only_json_from_a_known_origin_with_a_token_is_heard(web: Web) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "gateway.status"}).encode()
    form = {"content-type": "text/plain"}
    assert web.send("POST", "/rpc", body, form).status == 415
    assert web.post(body, origin="https://evil.example").status == 403
    assert web.post(body, host="evil.example").status == 421
    assert Web(web.host, web.port).post(body).status == 401
    assert web.post(b"{}", **{"content-length": "99999999"}).status == 413


def test_agents_are_listed_stopped_and_started_with_events(town: Stage, web: Web) -> None:
    assert "echo" in [row["agent"] for row in web.call("agents.list")]
    with web.events("?topics=agents,operations") as events:
        stopped = web.call("agents.stop", agent="echo")
        assert stopped["done"] is True
        assert town.run("--json", "status").json["agents"][0]["state"] == "STOPPED"
        begun = web.call("agents.start", agent="echo", wait=False)
        assert begun["done"] is False
        ending = next(
            value["data"]
            for _, value in events
            if value["kind"] == "ended" and value["data"]["operationId"] == begun["operationId"]
        )
        assert ending["outcome"] == "ok"
    eventually(lambda: _status(web, "echo")["ready"] is True, "echo to be ready")
    assert web.call("operations.list")[-1]["outcome"] == "ok"


def _status(web: Web, agent: str) -> Any:
    return next(row for row in web.call("agents.status")["agents"] if row["name"] == agent)


def test_a_tool_is_called_and_its_call_is_told_and_kept(town: Stage, web: Web) -> None:
    tools = {row["name"]: row for row in web.call("tools.list")}
    assert tools["say"]["agent"] == "echo"
    assert tools["say"]["inputSchema"]["required"] == ["text"]
    with web.events("?topics=calls") as events:
        answer = web.call("tools.call", agent="echo", tool="say", arguments={"text": "hoy"}, callId="c1")
        assert "hoy" in answer["text"]
        assert answer["isError"] is False
        told = next(told for _, told in events if told["kind"] == "ended")
        assert (told["data"]["callId"], told["data"]["outcome"]) == ("c1", "ok")
    assert web.call("tools.call", agent="echo", tool="fail")["isError"] is True
    rows = web.call("audit.list", event="tool", limit=2)
    assert [(row["what"], row["outcome"]) for row in rows] == [
        ("echo.fail", "tool_failed"),
        ("echo.say", "ok"),
    ]
    log = town.layout.logs / "audit.log"
    assert "hoy" not in log.read_text(encoding="utf-8")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_token_made_for_another_does_what_its_scopes_say_and_no_more(town: Stage, web: Web) -> None:
    words = ("--json", "token", "create", "guest", "--scope", "tools:call", "--agent", "nobody*")
    guest = Web(web.host, web.port, town.run(*words).json["token"])
    assert guest.call("gateway.status")["scopes"] == ["tools:call"]
    assert guest.call("tools.list") == []
    assert guest.error("tools.call", agent="echo", tool="say")["data"]["code"] == "GATEWAY_REFUSED"
    assert guest.error("agents.stop", agent="echo")["data"]["code"] == "FORBIDDEN"
    assert guest.send("GET", "/events?topics=agents").status == 403


def test_a_secret_goes_in_and_never_comes_out(town: Stage, web: Web) -> None:
    value = "hunter2-very-secret"
    with web.events() as events:
        web.call("secrets.set", name="HARBOUR_KEY", value=value)
        _, told = next(each for each in events if each[1]["topic"] == "settings")
        assert told["data"] == {"name": "HARBOUR_KEY", "set": True}
    listed = web.post({"jsonrpc": "2.0", "id": 1, "method": "secrets.list"}).body
    assert b"HARBOUR_KEY" in listed
    assert value.encode() not in listed
    assert value not in (town.layout.logs / "audit.log").read_text(encoding="utf-8")
    faulty = web.error("secrets.set", name="HARBOUR_KEY", value={"inner": value})
    assert value not in json.dumps(faulty)
    web.call("secrets.delete", name="HARBOUR_KEY")
    assert web.error("secrets.delete", name="HARBOUR_KEY")["data"]["code"] == "VALUE_NOT_SET"


def test_events_that_were_missed_come_when_the_client_is_back(web: Web) -> None:
    with web.events("?topics=settings") as events:
        web.call("secrets.set", name="FIRST", value="1")
        last, _ = next(events)
    web.call("secrets.set", name="SECOND", value="2")
    with web.events("?topics=settings", after=last) as events:
        _, missed = next(events)
        assert missed["data"]["name"] == "SECOND"
    with web.events("?topics=settings", after="00000000-5") as events:
        _, told = next(events)
        assert (told["topic"], told["kind"]) == ("stream", "reset")
    for name in ("FIRST", "SECOND"):
        web.call("secrets.delete", name=name)
    assert web.send("GET", "/events?topics=nonsense").status == 400


def test_a_websocket_speaks_the_same_and_pushes_events(web: Web) -> None:
    with open_socket(web) as wire:
        wire.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "gateway.status"}))
        assert json.loads(wire.recv(20))["result"]["caller"] == "owner"
        subscribe = {"jsonrpc": "2.0", "id": 2, "method": "events.subscribe", "params": {"topics": "calls"}}
        wire.send(json.dumps(subscribe))
        assert json.loads(wire.recv(20))["result"] == {"watching": True}
        call = {"agent": "echo", "tool": "say", "arguments": {"text": "ahoy"}}
        wire.send(json.dumps({"jsonrpc": "2.0", "id": 3, "method": "tools.call", "params": call}))
        got = [json.loads(wire.recv(20)) for _ in range(2)]
        pushed = next(each for each in got if each.get("method") == "event")
        assert pushed["params"]["topic"] == "calls"
        assert "-" in pushed["params"]["id"]
        assert "ahoy" in next(each for each in got if each.get("id") == 3)["result"]["text"]


def test_a_websocket_is_refused_as_a_request_would_be(web: Web) -> None:
    nobody = Web(web.host, web.port)
    cases: tuple[tuple[int, Web, str, Mapping[str, str]], ...] = (
        (403, web, "127.0.0.1", {"Origin": "https://evil.example"}),
        (421, web, "evil.example", {}),
        (401, nobody, "127.0.0.1", {}),
    )
    for status, who, name, headers in cases:
        with pytest.raises(InvalidStatus) as refused, open_socket(who, name=name, **headers):
            pass
        assert refused.value.response.status_code == status


def test_a_message_that_is_too_long_ends_its_websocket_only(web: Web) -> None:
    with open_socket(web) as wire:
        wire.send("x" * (5 * 1024 * 1024))
        with pytest.raises(ConnectionClosed):
            wire.recv(20)
    assert web.call("gateway.status")["caller"] == "owner"


def test_a_method_called_too_often_says_when_to_come_again(web: Web) -> None:
    errors = [web.ask("repos.update", names=["none"]).get("error") for _ in range(12)]
    limited = [each for each in errors if each and each["data"]["code"] == "RATE_LIMITED"]
    assert limited
    assert int(limited[0]["data"]["details"]["retryAfterS"]) >= 1


def test_doctor_and_a_repository_run_programs_of_the_host(town: Stage, web: Web) -> None:
    found = {row["check"]: row["status"] for row in web.call("gateway.doctor")["findings"]}
    assert found["git"] == "ok"
    (town.root / "quay" / "crane").mkdir(parents=True)
    (town.root / "quay" / "crane" / "manifest.json").write_text('{"container": "x"}', encoding="utf-8")
    web.call("repos.add", name="quay", url="quay")
    assert ("quay", "crane") in [(row["repo"], row["agent"]) for row in web.call("agents.list")]
    assert web.error("repos.add", name="nowhere", url="https://127.0.0.1:9/none.git")["data"]["code"]


def test_every_method_is_described(web: Web) -> None:
    document = web.call("rpc.discover")
    assert document["openrpc"].startswith("1.")
    assert [each["name"] for each in document["methods"]] == list(method_table(SUBJECTS))
    assert all(each["summary"] for each in document["methods"])


def test_the_gateway_starts_anew_when_asked_and_agents_live_on(town: Stage, web: Web) -> None:
    epoch = web.call("gateway.status")["epoch"]
    born = _status(web, "echo")["startedAt"]
    former = town.endpoint
    assert web.call("gateway.restart") == {"restarting": True}
    eventually(lambda: _next_gateway(town, former), "the next gateway")
    assert web.call("gateway.status")["epoch"] != epoch
    eventually(lambda: _status(web, "echo")["ready"] is True, "echo to be ready again")
    assert _status(web, "echo")["startedAt"] == born


def _next_gateway(town: Stage, former: Any) -> bool:
    from ploinky.operations.endpoint import find_endpoint

    return find_endpoint(town.layout) not in (None, former)
