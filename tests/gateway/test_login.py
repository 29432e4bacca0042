"""Logging in from a browser: cookie, one-time link, password, other origins, guesses; headers of pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web, WebAnswer, web_of

pytestmark = pytest.mark.bubblewrap


def nobody(web: Web) -> Web:
    return Web(web.host, web.port)


def log_in(web: Web, **proof: str) -> WebAnswer:
    body = json.dumps(proof).encode()
    return nobody(web).send("POST", "/login", body, {"content-type": "application/json", "origin": web.url})


def cookie_of(answer: WebAnswer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def ask_with_cookie(web: Web, cookie: str, **headers: str) -> WebAnswer:
    call = {"jsonrpc": "2.0", "id": 1, "method": "gateway.status"}
    return nobody(web).post(call, cookie=cookie, **headers)


def test_the_owners_token_becomes_a_cookie_that_scripts_cannot_read(web: Web) -> None:
    answer = log_in(web, token=web.token)
    words = {word.strip() for word in answer.headers["set-cookie"].split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= words
    assert web.token not in str(answer.headers)
    cookie = cookie_of(answer)
    assert ask_with_cookie(web, cookie, origin=web.url).json["result"]["caller"] == "owner"
    session = nobody(web).send("GET", "/session", headers={"cookie": cookie})
    assert session.json == {"mode": "token", "loggedIn": True}


def test_a_cookie_counts_only_from_a_page_of_this_very_origin(web: Web) -> None:
    cookie = cookie_of(log_in(web, token=web.token))
    other_port = f"http://{web.host}:{web.port - 1}"
    assert ask_with_cookie(web, cookie).status == 403
    assert ask_with_cookie(web, cookie, origin=other_port).status == 403
    assert ask_with_cookie(web, cookie, origin=web.url, **{"sec-fetch-site": "same-site"}).status == 403
    assert ask_with_cookie(web, "ploinky_x=forged", origin=web.url).status == 401
    events = nobody(web).send("GET", "/events", headers={"cookie": cookie, "sec-fetch-site": "cross-site"})
    assert events.status == 403
    body = json.dumps({"token": web.token}).encode()
    foreign = {"content-type": "application/json", "origin": other_port}
    assert nobody(web).send("POST", "/login", body, foreign).status == 403


def test_logging_out_ends_the_session(web: Web) -> None:
    cookie = cookie_of(log_in(web, token=web.token))
    answer = nobody(web).send("POST", "/logout", b"", {"cookie": cookie, "origin": web.url})
    assert answer.json == {"loggedIn": False}
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert ask_with_cookie(web, cookie, origin=web.url).status == 401


def test_the_link_of_open_logs_in_once(town: Stage, web: Web) -> None:
    url = town.run("--json", "open", "--print").json["url"]
    assert url.startswith(f"{web.url}/login?code=")
    path = url.removeprefix(web.url)
    first = nobody(web).send("GET", path)
    assert (first.status, first.headers["location"]) == (303, "/")
    assert ask_with_cookie(web, cookie_of(first), origin=web.url).status == 200
    again = nobody(web).send("GET", path)
    assert "set-cookie" not in again.headers
    assert again.headers["location"] == "/?link=used"


def test_a_session_outlives_the_gateway_and_ends_with_a_new_token(town: Stage, web: Web) -> None:
    cookie = cookie_of(log_in(web, token=web.token))
    town.run("restart", "router")
    now = web_of(town)
    assert ask_with_cookie(now, cookie, origin=now.url).status == 200
    town.run("token", "rotate")
    assert ask_with_cookie(now, cookie, origin=now.url).status == 401


def test_pages_are_served_with_strict_headers(town: Stage) -> None:
    web = nobody(web_of(town))
    page = web.send("GET", "/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert web.send("GET", "/chat/main").status == 200
    assert web.send("GET", "/", headers={"if-none-match": page.headers["etag"]}).status == 304
    assert web.send("GET", "/nothing").status == 404
    assert web.send("GET", "/assets/..%2f..%2fapp.py").status == 404
    assert web.send("DELETE", "/").status == 405


def test_a_password_logs_in_and_guesses_are_slowed(stage: Stage) -> None:
    assert stage.run("password", stdin="short\n", code=2)
    stage.run("password", stdin="correct horse battery\n")
    assert "correct" not in stage.layout.config_file.read_text(encoding="utf-8")
    stage.run("start", "echo")
    web = web_of(stage)
    assert nobody(web).send("GET", "/session").json == {"mode": "password", "loggedIn": False}
    assert log_in(web, token=web.token).status == 401
    good = log_in(web, password="correct horse battery")
    assert ask_with_cookie(web, cookie_of(good), origin=web.url).status == 200
    assert web.call("config.get")["settings"]["gateway"]["auth"]["passwordHash"] == "***"
    answers: list[Any] = [log_in(web, password=f"guess {number}").status for number in range(21)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert log_in(web, password="correct horse battery").status == 429


def test_settings_are_changed_whole_or_not_at_all(town: Stage) -> None:
    web = web_of(town)
    before = town.layout.config_file.read_text(encoding="utf-8")
    for patch, code in (
        ({"gateway": {"bindAddress": "0.0.0.0"}}, "BIND_REFUSED"),
        ({"gateway": {"bindAddress": "8.8.8.8", "allowPublic": True}}, "BIND_REFUSED"),
        ({"gateway": {"bindAddress": "no-such-host.invalid"}}, "BIND_UNKNOWN"),
        ({"gateway": {"bindAddress": "192.168.1.5", "auth": {"mode": "none"}}}, "AUTH_NONE_NOT_LOCAL"),
        ({"gateway": {"port": "banana"}}, "CONFIG_INVALID"),
        ({"gatewya": {}}, "CONFIG_INVALID"),
        ({"gateway": {"auth": {"passwordHash": "x"}}}, "BAD_PARAMS"),
    ):
        assert web.error("config.patch", patch=patch)["data"]["code"] == code, patch
    assert town.layout.config_file.read_text(encoding="utf-8") == before
    answer = web.call(
        "config.patch",
        patch={"gateway": {"bindAddress": "127.0.0.2"}, "models": {"a": {"provider": "offline"}}},
    )
    assert answer["restartNeeded"] == ["gateway"]
    assert json.loads(town.layout.config_file.read_text(encoding="utf-8"))["gateway"]["port"] == 0
    assert web.call("config.patch", patch={"gateway": {"bindAddress": None}})["restartNeeded"] == []


def test_without_auth_this_machine_is_the_owner_and_other_pages_are_not(stage: Stage) -> None:
    settings = json.loads(stage.layout.config_file.read_text(encoding="utf-8"))
    settings["gateway"]["auth"] = {"mode": "none"}
    stage.layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
    refused = stage.run("start", "echo", code=None)
    assert refused.code != 0
    assert "asks nobody for a token" in refused.err
    manifest = stage.layout.repo("crew") / "echo" / "manifest.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**document, "network": "none"}), encoding="utf-8")
    stage.run("start", "echo")
    web = nobody(web_of(stage))
    eventually(lambda: web.send("GET", "/readyz").status == 200, "the gateway to be ready")
    assert web.call("gateway.status")["caller"] == "owner"
    call = {"jsonrpc": "2.0", "id": 1, "method": "gateway.status"}
    assert web.post(call, origin=f"http://{web.host}:1").status == 403
    found = {row["check"]: row for row in stage.run("doctor", "--json", code=None).json["findings"]}
    assert found["entrance"]["status"] == "warning"
    assert "agents" in found["entrance"]["message"]
