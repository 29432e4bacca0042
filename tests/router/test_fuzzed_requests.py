"""Requests that no client would send, at a real gateway: each is answered, and nothing fails inside."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import SESSION_VERSIONS, STATELESS_VERSIONS
from tests.router.stand import OWNER_TOKEN, Stand, open_stand
from tests.router.test_malformed import JSON, NEARLY
from tests.router.wire import ENVELOPE, open_session, send, stateless

ALLOWED = {200, 202, 204, 400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 421, 429}
METHODS = (
    "tools/call",
    "tools/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "prompts/get",
    "completion/complete",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "tasks/list",
    "logging/setLevel",
    "initialize",
    "ping",
    "server/discover",
    "subscriptions/listen",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/roots/list_changed",
)
NAMES = st.sampled_from(["echo", "kept", "alpha__echo", "note://one", "note://{x}", "alpha:1", "greet"])
ODD = st.sampled_from(
    [
        "123456789012345678901234567890",
        "-0",
        "1e999",
        "18446744073709551616",
        "-9223372036854775809",
        "NaN",
        '"\\ud800"',
        '"\\u0000"',
        '{"a":1,"a":{}}',
        "[" * 90 + "]" * 90,
        "[" * 2000 + "]" * 2000,
        '{"x":' * 99 + "1" + "}" * 99,
        "[[],",
        "'",
        "\ufeff{}",
    ]
)
TEXT = ODD | JSON.map(json.dumps) | NAMES.map(json.dumps)


@st.composite
def calls(draw: st.DrawFn) -> bytes:
    """Nearly a request of some method, as text, with what JSON allows and libraries differ in."""
    params: JsonObject = {"_meta": draw(st.sampled_from([{}, ENVELOPE, {**ENVELOPE, "progressToken": 1}]))}
    members = {f'"{key}"': json.dumps(value) for key, value in params.items()}
    for key in draw(
        st.lists(
            st.sampled_from(
                [
                    "name",
                    "arguments",
                    "uri",
                    "ref",
                    "argument",
                    "cursor",
                    "taskId",
                    "level",
                    "task",
                    "notifications",
                    "requestState",
                    "inputResponses",
                    "protocolVersion",
                    "capabilities",
                    "clientInfo",
                    "_meta",
                ]
            ),
            max_size=5,
        )
    ):
        members[f'"{key}"'] = draw(TEXT)
    whole = {
        '"jsonrpc"': '"2.0"',
        '"id"': draw(TEXT | st.just("7")),
        '"method"': json.dumps(draw(st.sampled_from(METHODS))),
        '"params"': "{" + ",".join(f"{key}:{value}" for key, value in members.items()) + "}",
    }
    for key in draw(st.lists(st.sampled_from(sorted(whole)), max_size=1)):
        del whole[key]
    pairs = [f"{key}:{value}" for key, value in whole.items()]
    pairs += draw(
        st.lists(st.sampled_from(['"id":8', '"params":{}', '"method":"ping"', '"result":{}']), max_size=2)
    )
    return ("{" + ",".join(pairs) + "}").encode("utf-8", "surrogatepass")


BODIES = calls() | st.binary(max_size=100) | NEARLY.map(lambda value: json.dumps(value).encode())
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
WRAPPED = LATIN.map(lambda text: f"=?base64?{text}?=")
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "mcp-protocol-version": st.sampled_from([*SESSION_VERSIONS, *STATELESS_VERSIONS]) | LATIN,
        "mcp-method": st.sampled_from(METHODS) | LATIN,
        "mcp-name": NAMES | LATIN | WRAPPED,
        "mcp-param-text": LATIN | WRAPPED,
        "mcp-session-id": LATIN,
        "last-event-id": st.sampled_from(["s1.0", "s1.99999999999999999999", ".", "s1.-1", "7"]) | LATIN,
        "accept": st.sampled_from(["application/json", "text/event-stream", "*/*", "x"]) | LATIN,
        "content-type": st.sampled_from(["application/json; charset=utf-7", "application/json"]) | LATIN,
        "authorization": st.sampled_from(["Bearer agent:alpha", f"bearer  {OWNER_TOKEN}", ""]) | LATIN,
        "ploinky-act-as": LATIN | st.sampled_from(["client:x", "agent:alpha"]),
        "cookie": LATIN,
    },
)
PATHS = st.sampled_from(
    [
        "/mcp",
        "/mcps/alpha/mcp",
        "/mcp/alpha/mcp",
        "/mcps/%61lpha/mcp",
        "/mcp?x=%ff",
        "/mcps/a%00/mcp",
        "/mcps/alpha/task?taskId=%ff%00",
        "/mcps/../mcp",
        "//mcp",
        "/mcps/alpha/task",
        "/control/tools",
        "/\xff",
    ]
)


@dataclass(frozen=True)
class Target:
    stand: Stand
    session: dict[str, str]


@pytest.fixture(scope="module")
async def target() -> AsyncIterator[Target]:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        schema = {"text": {"type": "string", "optional": True}}
        kept = "while read -r line; do printf '%s\\n' \"$line\"; done"
        alpha.configure(
            alpha.tool("echo", "cat", inputSchema=schema),
            alpha.tool("kept", kept, mode="persistent", inputSchema=schema),
            resources=[
                {"uri": "note://one", "name": "one", "command": alpha.program("one.sh", "echo one")},
                {"uriTemplate": "note://{x}", "name": "x", "command": alpha.program("x.sh", "cat")},
            ],
            prompts=[{"name": "greet", "messages": [{"role": "user", "content": "hello"}]}],
        )
        await stand.look()
        assert stand.router is not None
        assert stand.router.problems() == {}
        yield Target(stand, await open_session(stand))


async def status_of(port: int, data: bytes) -> int:
    """The status of the answer; what comes behind it is not waited for."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        with anyio.fail_after(20):
            await stream.send(data)
            return int((await stream.receive()).split(b" ")[1])


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(["POST"] * 8 + ["GET", "DELETE", "PUT", "HEAD"]),
    path=st.just("/mcp") | PATHS,
    headers=HEADERS,
    body=BODIES,
    in_session=st.booleans(),
)
async def test_any_request_is_answered_and_none_fails_inside(
    target: Target,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    in_session: bool,
) -> None:
    own = {
        "host": "localhost",
        "authorization": f"Bearer {OWNER_TOKEN}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        **(target.session if in_session and method != "DELETE" else {}),
        **headers,
        "content-length": str(len(body)),
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items()), "", ""]
    caplog.clear()
    status = await status_of(target.stand.port, "\r\n".join(lines).encode("latin-1") + body)
    assert status in ALLOWED
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert failures == []


async def test_after_all_that_it_still_works(target: Target) -> None:
    assert (await send(target.stand, *stateless("server/discover"))).status == 200
    body, headers = stateless("tools/call", {"name": "echo", "arguments": {"text": "still"}})
    assert "still" in (await send(target.stand, body, headers)).text
    ping: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert (await send(target.stand, ping, target.session)).result == {}


@pytest.mark.parametrize("where", ["id", "method", "name", "arguments", "header"])
async def test_what_is_huge_is_answered_with_something_small(target: Target, where: str) -> None:
    """Three megabytes fit, and come back only where the protocol says so: in the id."""
    huge = "x" * 3_000_000
    params: JsonObject = {"name": huge if where == "name" else "echo", "arguments": {}}
    if where == "arguments":
        params["arguments"] = {huge: 1}
    body: JsonObject = {
        "jsonrpc": "2.0",
        "id": huge if where == "id" else 1,
        "method": huge if where == "method" else "tools/call",
        "params": params,
    }
    more = {"mcp-name": "x" * 60_000} if where == "header" else {}
    answer = await send(target.stand, body, {**target.session, **more})
    assert answer.status in (200, 400)
    assert where == "id" or len(json.dumps(answer.body)) < 100_000
