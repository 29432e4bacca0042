"""The gateway's door: tokens, Host, Origin, sizes, slow and half-open clients, control, an orderly end."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.gateway.app import Listen, serve
from ploinky.router.router import RouterSettings
from tests.router.stand import OWNER_TOKEN, Stand, gone, holds, open_stand
from tests.router.wire import Answer, open_session, opened, send, stateless


async def _get(stand: Stand, path: str, **headers: str) -> Answer:
    return await send(stand, b"", headers, path=path, method="GET")


async def _tools_of(stand: Stand) -> list[Any]:
    body = (await _get(stand, "/control/tools")).body
    assert isinstance(body, dict)
    rows = body["tools"]
    assert isinstance(rows, list)
    return rows


async def test_health_and_home_need_no_token() -> None:
    async with open_stand("alpha") as stand:
        for path, text in (("/healthz", "ok"), ("/readyz", "ready"), ("/", "Ploinky")):
            answer = await _get(stand, path, authorization="")
            assert answer.status == 200
            assert text in str(answer.body)
        assert (await _get(stand, "/nothing")).status == 404
        assert (await _get(stand, "/mcps/nobody/mcp")).status == 404
        assert (await _get(stand, "/mcps/a%2fb/mcp")).status == 404


@pytest.mark.parametrize("path", ["/mcp", "/mcps/alpha/mcp", "/control/status", "/control/events"])
async def test_without_a_right_token_nothing_is_told(path: str) -> None:
    async with open_stand("alpha") as stand:
        for token in ("", "Bearer", "Bearer wrong", "Basic b3duZXI6eA==", "Bearer " + "x" * 9000):
            answer = await _get(stand, path, authorization=token)
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith('Bearer realm="ploinky"')
            assert "alpha" not in str(answer.body)


async def test_wrong_tokens_are_slowed_and_the_right_one_never() -> None:
    async with open_stand("alpha") as stand:
        statuses = [
            (await _get(stand, "/control/status", authorization="Bearer no")).status for _ in range(30)
        ]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert (await _get(stand, "/control/status")).status == 200


async def test_control_is_the_owners_alone() -> None:
    async with open_stand("alpha") as stand:
        for method, path in (
            ("GET", "/control/status"),
            ("GET", "/control/tools"),
            ("POST", "/control/reconcile"),
            ("POST", "/control/shutdown"),
            ("GET", "/control/events"),
        ):
            agent = {"authorization": "Bearer agent:alpha"}
            assert (await send(stand, b"", agent, path=path, method=method)).status == 403
        assert stand.asked == []
        wrong_way = await send(stand, b"", {}, path="/control/shutdown", method="GET")
        assert (wrong_way.status, wrong_way.headers["allow"]) == (405, "POST")


async def test_the_owner_is_told_every_tool_under_both_of_its_names() -> None:
    async with open_stand("alpha", "beta") as stand:
        for agent in stand.agents.values():
            agent.configure(agent.tool("shared", "echo hi"), agent.tool(f"of_{agent.key}", "echo hi"))
        await stand.look()
        listed = [(tool.name, tool.agent) for tool in await stand.client().list_tools(None)]
        rows = await _tools_of(stand)
        assert [(row["name"], row["agent"]) for row in rows] == listed
        assert [row["tool"] for row in rows] == ["shared", "of_alpha", "shared", "of_beta"]
        stand.show(beta="away")
        assert {row["agent"] for row in await _tools_of(stand)} == {"alpha"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("localhost:99999999", 421),
        ("", 421),
    ],
)
async def test_only_our_own_hosts_are_answered(host: str, status: int) -> None:
    async with open_stand("alpha") as stand:
        assert await _status_of(stand, f"GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n") == status


async def test_two_hosts_or_none_are_refused() -> None:
    async with open_stand("alpha") as stand:
        assert (
            await _status_of(stand, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n") == 421
        )
        assert await _status_of(stand, "GET /healthz HTTP/1.0\r\n\r\n") == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 200),
        ("https://127.0.0.1", 200),
        ("null", 403),
        ("http://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("chrome-extension://localhost", 403),
    ],
)
async def test_pages_of_other_origins_are_refused(origin: str, status: int) -> None:
    async with open_stand("alpha") as stand:
        body, headers = stateless("server/discover")
        assert (await send(stand, body, {**headers, "origin": origin})).status == status


async def test_only_json_is_taken_and_only_what_is_accepted_is_sent() -> None:
    async with open_stand("alpha") as stand:
        body, headers = stateless("server/discover")
        assert (await send(stand, body, {**headers, "content-type": "text/plain"})).status == 415
        assert (await send(stand, body, {**headers, "accept": "text/html"})).status == 406
        charset = {**headers, "content-type": "application/json; charset=utf-8", "accept": "*/*"}
        assert (await send(stand, body, charset)).status == 200
        assert (await send(stand, b"", {}, method="PUT")).status == 405


async def test_a_huge_body_is_refused_before_it_is_read() -> None:
    settings = RouterSettings(max_body_bytes=1000)
    async with open_stand("alpha", settings=settings) as stand:
        body, headers = stateless("server/discover", {"padding": "x" * 2000})
        assert (await send(stand, body, headers)).status == 413
        head = _head(headers, "transfer-encoding: chunked")
        async with await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
            await stream.send(head)
            chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
            await stream.send(chunk * 3)
            with anyio.fail_after(10):
                assert b" 413 " in await stream.receive()


async def test_a_client_that_sends_its_body_slowly_is_given_up() -> None:
    settings = RouterSettings(body_timeout_s=0.3)
    async with open_stand("alpha", settings=settings) as stand:
        _, headers = stateless("server/discover")
        async with await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
            await stream.send(_head(headers, "content-length: 100") + b'{"jsonrpc"')
            with anyio.fail_after(10):
                assert b" 408 " in await stream.receive()


async def test_a_request_head_without_end_is_cut_off() -> None:
    async with open_stand("alpha") as stand, await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
        with anyio.fail_after(20), pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await _flood(stream)


async def test_a_slow_reader_holds_up_nobody_else() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(
            alpha.tool("big", "head -c 6000000 /dev/zero | tr '\\0' x"),
            alpha.tool("hello", "cat > /dev/null; echo hello"),
        )
        await stand.look()
        body, headers = stateless("tools/call", {"name": "big"})
        raw = json.dumps(body).encode()
        async with await anyio.connect_tcp("127.0.0.1", stand.port) as stuck:
            await stuck.send(_head(headers, f"content-length: {len(raw)}") + raw)
            with anyio.fail_after(20):
                await stuck.receive(100)
            for _ in range(5):
                assert (await stand.client().call_tool("hello", {})).text == "hello"
        assert len((await stand.client().call_tool("big", {})).text) == 6_000_000


async def test_the_end_is_orderly_and_bounded() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        session = await open_session(stand)
        async with opened(stand, "GET", {**session, "accept": "text/event-stream"}) as stream:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stay, stand)
                await wait_until(holds(pid_file), what="the program", timeout_s=10)
                began = time.monotonic()
                stand.stop.set()
                assert [event async for event in stream.events()] == []
            await stand.stopped.wait()
            assert time.monotonic() - began < 5
        await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


async def test_a_taken_port_is_said() -> None:
    async with open_stand("alpha") as stand:
        with pytest.raises(PloinkyError) as seen:
            await serve(_NoApp(), Listen(port=stand.port), stop=anyio.Event())
        assert seen.value.code == "PORT_TAKEN"
        assert str(stand.port) in seen.value.message


async def test_a_gateway_listens_on_a_unix_socket_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "g.sock"
    stop = anyio.Event()
    async with open_stand("alpha"), anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            await serve(_NoApp(), Listen(uds=str(path)), stop=stop, task_status=task_status)

        assert await tasks.start(run) == 0
        assert path.stat().st_mode & 0o777 == 0o600
        stop.set()
    assert not path.exists()


class _NoApp:
    async def __call__(self, scope: object, receive: object, send: object) -> None:
        raise AssertionError

    def close_streams(self) -> None:
        pass


async def _flood(stream: anyio.abc.SocketStream) -> None:
    await stream.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
    for number in range(100_000):
        await stream.send(f"x-{number}: {'y' * 1000}\r\n".encode())
    await stream.receive()


async def _stay(stand: Stand) -> None:
    """A call that the gateway's end cuts off."""
    with contextlib.suppress(PloinkyError):
        assert (await send(stand, *stateless("tools/call", {"name": "stay"}))).status == 500


async def _status_of(stand: Stand, request: str) -> int:
    async with await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
        await stream.send(request.encode())
        with anyio.fail_after(10):
            return int((await stream.receive()).split(b" ")[1])


def _head(headers: dict[str, str], *lines: str) -> bytes:
    own = {"host": "localhost", "authorization": f"Bearer {OWNER_TOKEN}", "content-type": "application/json"}
    fields = [f"{name}: {value}" for name, value in {**own, **headers}.items()]
    return "\r\n".join(["POST /mcp HTTP/1.1", *fields, *lines, "", ""]).encode()
