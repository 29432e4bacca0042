"""Whatever bytes come in, the answer is JSON-RPC or HTTP, never a crash, and the next request works."""

from __future__ import annotations

import json

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.mcp.messages import (
    Reply,
    Request,
    RpcError,
    check_envelope,
    decode_header,
    encode_header,
    read_message,
)
from tests.router.stand import Stand, open_stand
from tests.router.wire import open_session, send, stateless

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
NEARLY = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0", 2])},
    optional={
        "id": JSON,
        "method": JSON | st.sampled_from(["tools/call", "tools/list"]),
        "params": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "_meta": JSON
                | st.fixed_dictionaries(
                    {},
                    optional={
                        "io.modelcontextprotocol/protocolVersion": JSON | st.just("2026-07-28"),
                        "io.modelcontextprotocol/clientCapabilities": JSON,
                        "progressToken": JSON,
                    },
                ),
                "name": JSON,
                "arguments": JSON,
            },
        ),
        "result": JSON,
        "error": JSON,
    },
)


@given(st.binary(max_size=200) | NEARLY.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_message_or_a_refusal(body: bytes) -> None:
    message = _read(body)
    if isinstance(message, RpcError):
        assert message.code in (-32700, -32600)
        assert json.loads(message.body(None))["id"] is None
    elif isinstance(message, Request):
        _ = message.progress_token
        refusal = _refusal(message)
        assert refusal is None or refusal.code in (-32602, -32020, -32022)


def _read(body: bytes) -> Request | Reply | RpcError:
    try:
        return read_message(body)
    except RpcError as error:
        return error


def _refusal(request: Request) -> RpcError | None:
    try:
        check_envelope({b"mcp-protocol-version": b"2026-07-28", b"mcp-method": b"tools/call"}, request)
    except RpcError as error:
        return error
    return None


@given(st.text(max_size=50))
def test_any_text_survives_a_header(text: str) -> None:
    try:
        wire = encode_header(text)
    except UnicodeEncodeError:
        return
    assert wire.isascii()
    assert "\r" not in wire
    assert "\n" not in wire
    assert decode_header(wire) == text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 5000 + b"]" * 5000, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b"[" * 300 + b"]" * 300 + b"}", -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b"null", -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"id":1,"method":"ping"}', -32600),
    ],
)
async def test_a_malformed_message_is_refused_in_both_eras(body: bytes, code: int) -> None:
    async with open_stand("alpha") as stand:
        session = await open_session(stand)
        for headers in (session, {"mcp-protocol-version": "2026-07-28", "mcp-method": "ping"}):
            answer = await send(stand, body, headers)
            assert (answer.status, answer.code) == (400, code)
        await _still_works(stand)


async def test_wrong_params_of_a_call_are_refused() -> None:
    async with open_stand("alpha") as stand:
        session = await open_session(stand)
        for params in ({}, {"name": 5}, {"name": "x", "arguments": []}, {"name": "x", "arguments": "y"}):
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            assert (await send(stand, body, session)).code == -32602
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": "page2"}}
        assert (await send(stand, body, session)).code == -32602


async def test_half_requests_and_noise_leave_the_server_working() -> None:
    async with open_stand("alpha") as stand:
        head = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        noise = [
            b"",
            b"GET",
            b"\x00" * 100,
            b"\x16\x03\x01\x02\x00",
            head,
            head + b"content-length: 100\r\n\r\n{",
            head + b"content-length: -1\r\n\r\n",
            head + b"content-length: 1\r\ncontent-length: 2\r\n\r\n{}",
            head + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            head + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        ]
        for each in noise:
            async with await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
                await stream.send(each)
        await _still_works(stand)


async def _still_works(stand: Stand) -> None:
    assert (await send(stand, *stateless("server/discover"))).status == 200
