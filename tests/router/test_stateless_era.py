"""The stateless era on the wire: envelopes, headers, errors with their statuses, streams."""

from __future__ import annotations

import json

import anyio
import pytest
from mcp_types import jsonrpc as sdk_jsonrpc
from mcp_types.methods import validate_server_result
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.mcp import messages as protocol
from tests.router.stand import gone, holds, open_stand
from tests.router.wire import ENVELOPE, call, open_session, opened, send, stateless

PLAIN = "cat > /dev/null; echo hello"


def test_numbers_and_versions_are_those_of_the_sdk() -> None:
    assert protocol.SESSION_VERSIONS == HANDSHAKE_PROTOCOL_VERSIONS
    assert protocol.STATELESS_VERSIONS == MODERN_PROTOCOL_VERSIONS
    assert sdk_jsonrpc.HEADER_MISMATCH == protocol.HEADER_MISMATCH
    assert sdk_jsonrpc.UNSUPPORTED_PROTOCOL_VERSION == protocol.UNSUPPORTED_VERSION
    assert sdk_jsonrpc.MISSING_REQUIRED_CLIENT_CAPABILITY == protocol.MISSING_CAPABILITY


async def test_results_are_what_the_revision_says() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        schema = {"type": "array", "items": {"type": "integer"}}
        alpha.configure(
            alpha.tool("plain", PLAIN, title="Plain", annotations={"readOnlyHint": True}),
            alpha.tool("list", "echo '[1, 2]'", outputSchema=schema),
        )
        await stand.look()
        for method, name in (
            ("server/discover", None),
            ("tools/list", None),
            ("tools/call", "plain"),
            ("tools/call", "list"),
        ):
            answer = await send(stand, *stateless(method, {"name": name} if name else {}))
            assert answer.status == 200
            validate_server_result(method, "2026-07-28", answer.result)
        assert answer.result["structuredContent"] == [1, 2]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"mcp_protocol_version": ""}, -32020),
        ({"mcp_protocol_version": "2025-11-25"}, -32020),
        ({"mcp_method": "tools/list"}, -32020),
        ({"mcp_method": ""}, -32020),
        ({"mcp_name": "other"}, -32020),
        ({"mcp_name": ""}, -32020),
        ({"mcp_name": "=?base64?!!?="}, -32020),
    ],
)
async def test_a_header_that_differs_from_the_body_is_refused(headers: dict[str, str], code: int) -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        marker = alpha.folder / "ran"
        alpha.configure(alpha.tool("plain", f"touch {marker}"))
        await stand.look()
        answer = await send(stand, *stateless("tools/call", {"name": "plain"}, **headers))
        assert (answer.status, answer.code) == (400, code)
        assert not marker.exists()


async def test_a_name_may_come_wrapped_in_base64() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("plain", PLAIN) | {"name": "größe"})
        await stand.look()
        wrapped = protocol.encode_header("größe")
        assert wrapped.isascii()
        answer = await send(stand, *stateless("tools/call", {"name": "größe"}, mcp_name=wrapped))
        assert answer.text == "hello"


async def test_refusals_have_their_codes_and_statuses() -> None:
    async with open_stand("alpha") as stand:
        future = {**ENVELOPE, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}
        body, headers = stateless("tools/list", {"_meta": future}, mcp_protocol_version="2099-01-01")
        answer = await send(stand, body, headers)
        assert (answer.status, answer.code) == (400, -32022)
        assert isinstance(answer.body, dict)
        error = answer.body["error"]
        assert isinstance(error, dict)
        assert error["data"] == {"supported": ["2026-07-28"], "requested": "2099-01-01"}
        for method, status, code in (("ping", 404, -32601), ("initialize", 404, -32601)):
            answer = await send(stand, *stateless(method))
            assert (answer.status, answer.code) == (status, code)
        bare = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        version = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
        answer = await send(stand, bare, version)
        assert (answer.status, answer.code) == (400, -32602)
        answer = await send(stand, *stateless("tools/call", {"name": "nothing"}))
        assert (answer.status, answer.code) == (400, -32602)
        gone_away = await send(stand, b"", {"mcp-protocol-version": "2026-07-28"}, method="GET")
        assert gone_away.status == 405


async def test_a_notification_is_taken_and_dropped() -> None:
    async with open_stand("alpha") as stand:
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        answer = await send(stand, body, {"mcp-protocol-version": "2026-07-28"})
        assert (answer.status, answer.body) == (202, None)


async def test_a_client_that_goes_away_ends_its_program() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, stand, *stateless("tools/call", {"name": "stay"}))
            await wait_until(holds(pid_file), what="the program", timeout_s=10)
            tasks.cancel_scope.cancel()
        await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


async def test_a_listener_hears_of_changes_and_of_the_end() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        body, headers = stateless(
            "subscriptions/listen", {"notifications": {"toolsListChanged": True, "nonsense": True}}
        )
        async with opened(stand, "POST", headers, json.dumps(body).encode()) as response:
            events = response.events()
            with anyio.fail_after(10):
                first = json.loads((await anext(events)).data)
                alpha.configure(alpha.tool("new", PLAIN))
                second = json.loads((await anext(events)).data)
                stand.stop.set()
                last = json.loads((await anext(events)).data)
        tag = {"io.modelcontextprotocol/subscriptionId": 1}
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"] == {"notifications": {"toolsListChanged": True}, "_meta": tag}
        assert second["method"] == "notifications/tools/list_changed"
        assert second["params"]["_meta"] == tag
        assert last["id"] == 1
        validate_server_result("subscriptions/listen", "2026-07-28", last["result"])


async def test_a_listener_who_did_not_ask_for_changes_hears_none() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        body, headers = stateless("subscriptions/listen", {"notifications": {}})
        async with opened(stand, "POST", headers, json.dumps(body).encode()) as response:
            events = response.events()
            with anyio.fail_after(10):
                await anext(events)
                alpha.configure(alpha.tool("new", PLAIN))
                await stand.look()
                stand.stop.set()
                assert "result" in json.loads((await anext(events)).data)


async def test_both_eras_are_served_side_by_side_on_one_endpoint() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("plain", PLAIN))
        await stand.look()
        session = await open_session(stand)
        for path in ("/mcp", "/mcps/alpha/mcp", "/mcp/alpha/mcp"):
            body, headers = stateless("tools/call", {"name": "plain"})
            assert (await send(stand, body, headers, path=path)).text == "hello"
        assert (await send(stand, call("plain"), session)).text == "hello"


MIRRORED = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
    },
}


@pytest.mark.parametrize(
    ("arguments", "headers", "status"),
    [
        ({"region": "eu", "count": 3}, {"mcp_param_region": "eu", "mcp_param_count": "3"}, 200),
        ({"region": "eu"}, {"mcp_param_region": "eu"}, 200),
        ({"region": "ü"}, {"mcp_param_region": "=?base64?w7w=?="}, 200),
        ({}, {}, 200),
        ({"region": "eu"}, {}, 400),
        ({}, {"mcp_param_region": "eu"}, 400),
        ({"region": "eu"}, {"mcp_param_region": "us"}, 400),
        ({"region": "ü"}, {"mcp_param_region": "=?base64?w7w?="}, 400),
        ({"count": 3}, {"mcp_param_count": "4"}, 400),
    ],
)
async def test_arguments_that_headers_mirror_must_agree(
    arguments: JsonObject, headers: dict[str, str], status: int
) -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("mirror", PLAIN, inputSchema=MIRRORED))
        await stand.look()
        params: JsonObject = {"name": "mirror", "arguments": arguments}
        answer = await send(stand, *stateless("tools/call", params, **headers))
        assert answer.status == status
        assert answer.code == (None if status == 200 else -32020)
