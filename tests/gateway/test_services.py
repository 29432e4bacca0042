"""HTTP services and websockets inside agents, through the real gateway, of a sandbox that has no network."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.cli.stage import Stage
from tests.gateway.web import Web

pytestmark = pytest.mark.bubblewrap


@pytest.fixture(scope="module", autouse=True)
def _service(town: Stage) -> Iterator[None]:
    town.run("start", "service")
    yield
    town.run("disable", "agent", "service")


def seen(
    web: Web, method: str = "GET", path: str = "/services/service/", **more: object
) -> dict[str, object]:
    answer = web.send(method, path, **more)  # type: ignore[arg-type]
    assert answer.status == 200, answer.body
    facts: dict[str, object] = answer.json
    return facts


def test_a_service_gets_the_request_as_it_was_without_what_is_the_gateways(web: Web) -> None:
    body = b"tide" * 1000
    facts = seen(
        web,
        "PUT",
        "/services/service/a%20b/%C3%A4?x=1&y=%2F",
        body=body,
        headers={"x-own": "kept", "cookie": "ploinky_session=secret; other=1", "x-forwarded-for": "6.6.6.6"},
    )
    assert (facts["method"], facts["path"]) == ("PUT", "/a%20b/%C3%A4?x=1&y=%2F")
    assert (facts["length"], facts["digest"]) == (len(body), hashlib.sha256(body).hexdigest())
    headers = facts["headers"]
    assert isinstance(headers, dict)
    assert headers["x-own"] == "kept"
    assert headers["x-ploinky-caller"] == "owner"
    assert headers["x-forwarded-prefix"] == "/services/service"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == f"{web.host}:{web.port}"
    assert not {"authorization", "cookie"} & headers.keys()
    assert web.token not in json.dumps(facts)


def test_no_answer_of_a_service_touches_the_gateways_own_pages(web: Web) -> None:
    answer = web.send("GET", "/services/service/")
    assert not {"set-cookie", "clear-site-data"} & answer.headers.keys()
    assert answer.headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    away = web.send("GET", "/services/service/away")
    assert (away.status, away.headers["location"]) == (302, "/services/service/home?x=1")


def test_an_answer_is_passed_on_in_pieces_and_a_head_without_a_body(web: Web) -> None:
    assert web.send("GET", "/services/service/stream").body == b"piece 0piece 1piece 2"
    head = web.send("HEAD", "/services/service/")
    assert head.body == b""
    assert int(head.headers["content-length"]) > 0


def test_a_body_without_a_length_is_passed_on(web: Web) -> None:
    with socket.create_connection((web.host, web.port), timeout=20) as line:
        head = f"POST /services/service/x HTTP/1.1\r\nhost: {web.host}:{web.port}\r\n"
        head += (
            f"authorization: Bearer {web.token}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        )
        line.sendall(head.encode() + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    assert hashlib.sha256(b"abcde").hexdigest().encode() in answer


def test_another_port_of_the_manifest_is_reached_and_no_other(web: Web) -> None:
    assert seen(web, path="/services/service:7001/")["port"] == 7001
    assert seen(web, path="/services/service:7000/")["port"] == 7000
    for port in (22, web.port, 65536, 0):
        assert web.send("GET", f"/services/service:{port}/").status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/services", 404),
        ("/services/", 404),
        ("/services/nobody/", 404),
        ("/services/service:x/", 404),
        ("/services/service/garbage", 502),
        ("/services/echo/", 502),
    ],
)
def test_what_cannot_be_passed_on_is_said(web: Web, path: str, status: int) -> None:
    assert web.send("GET", path).status == status


def test_an_answer_that_breaks_off_is_not_made_whole(web: Web) -> None:
    import http.client

    with pytest.raises(http.client.IncompleteRead):
        web.send("GET", "/services/service/short")
    assert seen(web)["method"] == "GET"


def test_only_callers_who_may_use_the_agent_come_to_its_services(town: Stage, web: Web) -> None:
    narrow = Web(web.host, web.port, town.run("token", "create", "narrow", "--agent", "echo").out.strip())
    fitting = Web(web.host, web.port, town.run("token", "create", "fitting", "--agent", "serv*").out.strip())
    assert narrow.send("GET", "/services/service/").status == 404
    headers = seen(fitting)["headers"]
    assert isinstance(headers, dict)
    assert headers["x-ploinky-caller"] == "client:fitting"
    assert Web(web.host, web.port).send("GET", "/services/service/").status == 401


def test_websockets_are_joined_with_those_of_a_service(web: Web) -> None:
    url = f"ws://{web.host}:{web.port}/services/service/ws?x=1"
    with connect(url, additional_headers=web.authorization) as line:
        line.send("tide")
        assert line.recv(timeout=20) == "tide"
        line.send(bytes(range(256)) * 8)
        assert line.recv(timeout=20) == bytes(range(256)) * 8
        line.send("end")
        with pytest.raises(ConnectionClosed) as ended:
            line.recv(timeout=20)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1001


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/services/service/", {}, 502),
        ("/services/nobody/ws", {}, 404),
        ("/services/service/ws", {"authorization": "Bearer no"}, 401),
        ("/services/service/ws", {"origin": "http://elsewhere.example"}, 403),
    ],
)
def test_a_websocket_that_cannot_be_joined_is_refused(
    web: Web, path: str, headers: dict[str, str], status: int
) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{web.host}:{web.port}{path}", additional_headers={**web.authorization, **headers}),
    ):
        pass
    assert refused.value.response.status_code == status


def test_a_service_that_stopped_is_not_ready(town: Stage, web: Web) -> None:
    town.run("stop", "service")
    assert web.send("GET", "/services/service/").status == 503
    town.run("start", "service")
    assert seen(web)["method"] == "GET"
