"""The whole loop, every part real: a person, a model server, an approval, an agent, a thread.

A second client watches over a connection that it loses in between; the gateway is killed in each stage.
"""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from ploinky.base.process_id import ProcessId
from ploinky.base.waits import wait_until
from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.gateway.web import Web, web_of
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script
from tests.router.official import text_of

pytestmark = pytest.mark.bubblewrap
ANSWER = "The echo said it, and 1000 is 1000: äöü ✓."
SCRIPT = Script(calls=[("echo__say", {"text": "over the water"})], answer=ANSWER)
WAITING = Script(calls=[("echo__wait", {})], answer=ANSWER)


def settings(url: str) -> dict[str, object]:
    model = {"provider": "openai-compatible", "baseURL": url, "openaiModelId": MODEL}
    return {
        "runtime": "sandbox",
        "gateway": {"port": 0},
        "models": {"tiny": {**model, "maxContextTokens": 3000}},
        "defaultModel": "tiny",
        "tools": {"allow": ["echo.*"]},
    }


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with running_llama(SCRIPT, context=16384) as server:
        yield server


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory, llama: LlamaServer) -> Iterator[Stage]:
    """A workspace whose assistant is served by llama.cpp, with a real agent at hand."""
    runtime = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("harbour"), runtime)
    made.layout.config_file.write_text(json.dumps(settings(llama.openai_url)), encoding="utf-8")
    made.run("start", "echo")
    yield made
    give_back(made)
    shutil.rmtree(runtime)


def kill_gateway(stage: Stage) -> None:
    """End the gateway as a crash would, and wait for the next one."""
    before = stage.endpoint.process
    before.signal(signal.SIGKILL)
    await_next_gateway(stage, before)


def await_next_gateway(stage: Stage, before: ProcessId) -> None:
    def again() -> bool:
        try:
            return stage.endpoint.process != before and web_of(stage).send("GET", "/readyz").status == 200
        except (AssertionError, OSError):
            return False

    eventually(again, "the next gateway", timeout_s=40)


def follow(web: Web, session: str, kind: str, after: str = "0") -> list[tuple[str, dict[str, Any]]]:
    """Events of a session after an id, up to the first of ``kind``; the connection ends then."""
    seen = []
    with web.events(f"/default?sessionId={session}", after) as events:
        for event_id, value in events:
            seen.append((event_id, value))
            if value["event"] == kind:
                return seen
            if value["event"] == "done":
                break
    raise AssertionError(f"no {kind} came")


def said(events: list[tuple[str, dict[str, Any]]]) -> str:
    return "".join(value["data"]["text"] for _, value in events if value["event"] == "assistant_delta")


def begin(web: Web, session: str, text: str) -> str:
    run = web.call("agent.run", session={"sessionId": session}, messages=[{"content": text}])
    return str(run["runId"])


def approve(web: Web, run_id: str) -> None:
    asked = next(row for row in web.call("approval.list", status="pending") if row["runId"] == run_id)
    web.call("approval.resolve", id=asked["id"], decision="approve")


def test_a_message_becomes_an_answer_by_way_of_model_approval_and_agent(harbour: Stage) -> None:
    web = web_of(harbour)
    run_id = begin(web, "desk", "Please say it over the water.")
    first = follow(web, "desk", "approval_needed")
    asked = first[-1][1]["data"]
    assert (asked["tool"], asked["arguments"]) == ("echo.say", {"text": "over the water"})
    approve(web, run_id)
    rest = follow(web, "desk", "done", after=first[-1][0])
    every = [value for _, value in first + rest if value.get("runId") == run_id]
    assert [value["seq"] for value in every] == list(range(1, len(every) + 1))
    thread = web.call("chat.getThread", sessionId="desk")["messages"]
    assert [message["role"] for message in thread] == ["user", "assistant", "tool", "assistant"]
    assert "over the water" in thread[2]["content"]
    assert thread[3]["content"] == said(rest) == ANSWER
    ended = web.call("agent.wait", runId=run_id)
    assert (ended["status"], ended["model"], ended["text"]) == ("done", "tiny", ANSWER)
    assert ended["usage"]["outputTokens"] > 0


def test_a_gateway_killed_while_a_person_decides_goes_on_with_the_run(harbour: Stage) -> None:
    web = web_of(harbour)
    run_id = begin(web, "deciding", "Please say it.")
    seen = follow(web, "deciding", "approval_needed")
    kill_gateway(harbour)
    web = web_of(harbour)
    assert web.call("agent.wait", runId=run_id, block=False)["status"] in ("waiting", "running")
    approve(web, run_id)
    rest = follow(web, "deciding", "done", after=seen[-1][0])
    assert said(rest) == ANSWER
    thread = web.call("chat.getThread", sessionId="deciding")["messages"]
    assert [message["role"] for message in thread] == ["user", "assistant", "tool", "assistant"]


def test_a_gateway_killed_while_the_model_speaks_keeps_what_was_said(harbour: Stage) -> None:
    web = web_of(harbour)
    web.call("profile.update", profileId="default", settings={"tools": {"allow": []}})
    run_id = begin(web, "speaking", "forever")
    seen = follow(web, "speaking", "assistant_delta")
    kill_gateway(harbour)
    web = web_of(harbour)
    ended = web.call("agent.wait", runId=run_id)
    assert (ended["status"], ended["error"]["code"]) == ("interrupted", "RUN_INTERRUPTED")
    rest = follow(web, "speaking", "done", after=seen[-1][0])
    kept = web.call("chat.getThread", sessionId="speaking")["messages"][-1]
    assert (kept["role"], kept["status"]) == ("assistant", "interrupted")
    assert kept["content"] == ended["text"] == said(seen + rest) != ""
    web.call("profile.update", profileId="default", settings={"tools": None})


def test_a_run_is_cancelled_while_the_model_speaks(harbour: Stage) -> None:
    web = web_of(harbour)
    web.call("profile.update", profileId="default", settings={"tools": {"allow": []}})
    run_id = begin(web, "stopping", "forever")
    follow(web, "stopping", "assistant_delta")
    ended = web.call("agent.cancel", runId=run_id)
    assert ended["status"] == "cancelled"
    kept = web.call("chat.getThread", sessionId="stopping")["messages"][-1]
    assert kept["content"] == ended["text"] != ""
    web.call("profile.update", profileId="default", settings={"tools": None})


def test_a_gateway_killed_while_a_tool_runs_says_so_in_its_result(harbour: Stage) -> None:
    with running_llama(WAITING, context=16384) as server:
        harbour.layout.config_file.write_text(json.dumps(settings(server.openai_url)), encoding="utf-8")
        web = web_of(harbour)
        web.call("config.reload")
        web.call("profile.update", profileId="default", settings={"tools": {"trust": ["echo.*"]}})
        run_id = begin(web, "working", "Please wait.")
        follow(web, "working", "tool_progress")
        kill_gateway(harbour)
        web = web_of(harbour)
        assert web.call("agent.wait", runId=run_id)["status"] == "interrupted"
        thread = web.call("chat.getThread", sessionId="working")["messages"]
        assert [message["role"] for message in thread] == ["user", "assistant", "tool"]
        assert thread[2]["toolCallId"] == thread[1]["toolCalls"][0]["id"]
        assert "may have run or not" in thread[2]["content"]


async def test_an_assistant_is_a_tool_for_every_mcp_client(harbour: Stage, llama: LlamaServer) -> None:
    harbour.layout.config_file.write_text(json.dumps(settings(llama.openai_url)), encoding="utf-8")
    web = web_of(harbour)
    web.call("config.reload")
    web.call("profile.update", profileId="default", settings={"tools": {"trust": ["echo.*"]}})
    async with (
        httpx2.AsyncClient(headers=web.authorization) as http,
        Client(streamable_http_client(f"{web.url}/mcp", http_client=http), mode="auto") as client,
    ):

        async def offered() -> bool:
            return "ask_default" in [tool.name for tool in (await client.list_tools()).tools]

        await wait_until(offered, what="the tool", timeout_s=20)
        answer = await client.call_tool("ask_default", {"message": "Please say it.", "session": "by-mcp"})
    assert text_of(answer) == ANSWER
    own = [tool["name"] for tool in web.call("approval.capabilities")["tools"]]
    assert "assistants.ask_default" not in own
