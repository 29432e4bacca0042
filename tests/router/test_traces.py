"""What a caller says of its trace reaches the agent, whatever it is made of; what is no trace does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

import pytest

from ploinky.base.jsontypes import JsonObject
from ploinky.router.servers.source import PortSource
from tests.router.servers import look_until_offered, reference_server
from tests.router.stand import Stand, open_stand
from tests.router.wire import Answer, call, open_session, send, stateless

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
STATE = "congo=t61rcWkgMzE"
TOLD: JsonObject = {"traceparent": OTHER, "tracestate": STATE}
KEPT = """while read -r line; do printf '%s\\n' "$line"; done"""
ONCE = """printf '{"env": ["%s", "%s"], "line": %s}' "$TRACEPARENT" "$TRACESTATE" "$(cat)" """


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    """``alpha`` of programs, ``ref`` an MCP server over HTTP."""
    async with reference_server() as port, open_stand("alpha", "ref") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(
            alpha.tool("once", ONCE),
            alpha.tool("kept", KEPT, mode="persistent"),
            alpha.tool("late", ONCE, **{"async": True}),
        )
        stand.agents["ref"].server = PortSource(port)
        await look_until_offered(stand, "alpha", "ref")
        yield stand


async def asked(
    stand: Stand, era: str, tool: str, headers: Mapping[str, str], meta: JsonObject | None = None
) -> Answer:
    """Call a tool in that era with these headers and entries of ``_meta``."""
    params: JsonObject = {"name": tool, "arguments": {}, "_meta": meta or {}}
    if era == "session":
        session = await open_session(stand)
        body = call(tool)
        body["params"] = params
        return await send(stand, body, {**session, **headers})
    body, own = stateless("tools/call", params)
    return await send(stand, body, {**own, **headers})


ERAS = pytest.mark.parametrize("era", ["session", "stateless"])


@ERAS
async def test_a_program_has_the_callers_trace_in_its_environment_and_in_its_line(
    stand: Stand, era: str
) -> None:
    by_header = await asked(stand, era, "once", {"traceparent": PARENT, "tracestate": STATE})
    told = json.loads(by_header.text)
    assert told["env"] == [PARENT, STATE]
    assert told["line"]["metadata"]["traceparent"] == PARENT
    by_meta = json.loads((await asked(stand, era, "once", {"traceparent": PARENT}, TOLD)).text)
    assert by_meta["env"] == [OTHER, STATE]
    assert json.loads((await asked(stand, era, "once", {})).text)["env"] == ["", ""]


@ERAS
async def test_a_kept_program_has_it_in_the_line_of_each_call(stand: Stand, era: str) -> None:
    seen = []
    for headers in ({"traceparent": PARENT}, {}, {"traceparent": OTHER}, {"traceparent": PARENT}):
        answer = await asked(stand, era, "kept", headers)
        seen.append(json.loads(answer.text)["metadata"].get("traceparent"))
    assert seen == [PARENT, None, OTHER, PARENT]


@ERAS
async def test_an_mcp_server_has_it_in_headers_and_in_meta(stand: Stand, era: str) -> None:
    header, meta = json.loads((await asked(stand, era, "trace_seen", {"traceparent": PARENT})).text)
    assert header == meta == {"traceparent": PARENT, "tracestate": None}
    header, meta = json.loads((await asked(stand, era, "trace_seen", {}, TOLD)).text)
    assert header == meta == TOLD


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "yes",
        PARENT.upper(),
        "ff" + PARENT[2:],
        PARENT + "-more",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        PARENT.replace("b7ad6b7169203331", "0" * 16),
    ],
)
async def test_what_is_no_traceparent_goes_nowhere(stand: Stand, bad: str) -> None:
    answer = await asked(stand, "stateless", "once", {"traceparent": bad, "tracestate": STATE})
    told = json.loads(answer.text)
    assert told["env"] == ["", ""]
    assert "traceparent" not in told["line"]["metadata"]


async def test_a_task_has_the_trace_of_the_call_that_made_it(stand: Stand) -> None:
    able: JsonObject = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    meta: JsonObject = {"io.modelcontextprotocol/clientCapabilities": able, **TOLD}
    task_id = (await asked(stand, "stateless", "late", {}, meta)).result["taskId"]
    got: JsonObject = {"status": "working"}
    while got["status"] == "working":
        body, own = stateless("tasks/get", {"taskId": task_id, "_meta": meta}, mcp_name=str(task_id))
        got = (await send(stand, body, own)).result
    result = got["result"]
    assert isinstance(result, dict)
    assert OTHER in json.dumps(result)
