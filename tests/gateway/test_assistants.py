"""Assistants behind a real gateway, by RPC and events: without a model, with a real agent."""

from __future__ import annotations

import pytest

from tests.cli.stage import Stage
from tests.gateway.web import Web

pytestmark = pytest.mark.bubblewrap


def test_a_message_is_answered_and_kept_in_the_thread(web: Web) -> None:
    session = {"sessionId": "plain"}
    run = web.call("agent.run", session=session, messages=[{"content": "/help"}])
    assert run["status"] in ("queued", "running")
    ended = web.call("agent.wait", runId=run["runId"])
    assert (ended["status"], ended["profileId"]) == ("done", "default")
    thread = web.call("chat.getThread", sessionId="plain")
    assert [message["role"] for message in thread["messages"]] == ["user", "assistant"]
    assert thread["messages"][1]["content"] == ended["text"] != ""
    unchanged = web.call("chat.getThread", sessionId="plain", ifVersion=thread["version"])
    assert unchanged["unchanged"] is True
    assert [row["sessionId"] for row in web.call("chat.sessions")] == ["plain"]


def test_a_real_agents_tool_runs_once_a_person_agrees(town: Stage, web: Web) -> None:
    tools = [row["name"] for row in web.call("approval.capabilities")["tools"]]
    name = next(each for each in tools if each.startswith("echo."))
    with web.events("?topics=runs,approvals,threads&sessionId=tools") as events:
        text = f'/call {name} {{"text": "hello from a person"}}'
        run = web.call("chat.send", sessionId="tools", text=text)
        asked = next(value["data"] for _, value in events if value["kind"] == "approval_needed")
        assert asked["data"]["tool"] == name
        web.call("approval.resolve", id=asked["data"]["id"], decision="approve")
        kinds = []
        for _, value in events:
            kinds.append(value["kind"])
            if value["kind"] == "done":
                break
    ended = web.call("agent.wait", runId=run["runId"])
    assert ended["status"] == "done"
    assert "tool_result" in kinds
    assert "hello from a person" in ended["text"]


def test_an_unknown_assistant_is_refused_and_named(web: Web) -> None:
    for method, params in (
        ("chat.getThread", {"sessionId": "x"}),
        ("agent.runs", {}),
        ("substrate.list", {}),
        ("approval.list", {}),
    ):
        error = web.error(method, profileId="nobody", **params)
        assert error["data"]["code"] == "NO_ASSISTANT"
        assert error["data"]["field"] == "profileId"
