"""What is under way and what it cost: tasks with their logs, runs of assistants, charts by day."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web
from tests.web.browser import Window

pytestmark = pytest.mark.bubblewrap

COUNT = """#!/bin/sh
echo '{"progress": 1, "total": 4, "message": "a quarter is counted"}' >&2
echo "counting crates <b>by hand</b>" >&2
sleep 120
"""


@pytest.fixture(scope="module")
def counter(harbour: Stage) -> Iterator[str]:
    """An agent with a tool that is a task."""
    harbour.run("new", "agent", "counter", "--template", "shell")
    code = harbour.layout.root / ".ploinky" / "repos" / "local" / "counter" / "code"
    tool = {"name": "count", "title": "Count", "description": "Counts.", "command": "count.sh", "async": True}
    (code / "mcp-config.json").write_text(json.dumps({"tools": [tool]}), encoding="utf-8")
    (code / "count.sh").write_text(COUNT, encoding="utf-8")
    (code / "count.sh").chmod(0o755)
    harbour.run("start", "counter")
    yield "counter"
    harbour.run("disable", "agent", "counter")


@contextmanager
def called(api: Web, agent: str) -> Iterator[None]:
    """Somebody who waits for the tool to end, however it does."""
    waiting = threading.Thread(target=lambda: api.ask("tools.call", agent=agent, tool="count"))
    waiting.start()
    try:
        yield
    finally:
        for task in api.call("tasks.list"):
            api.call("tasks.cancel", taskId=task["taskId"])
        waiting.join(30)
        assert not waiting.is_alive()


def test_a_task_is_watched_by_its_log_and_cancelled(window: Window, api: Web, counter: str) -> None:
    page = window.page
    eventually(lambda: "count" in {tool["name"] for tool in api.call("tools.list")}, "the tool")
    with called(api, counter):
        window.go("/activity/tasks")
        row = page.get_by_role("row", name=re.compile("counter.count"))
        expect(row).to_contain_text("Running")
        expect(row).to_contain_text("a quarter is counted")
        row.get_by_role("button", name=re.compile("^Open the task")).click()
        dialog = page.get_by_role("dialog", name="counter.count")
        expect(dialog.get_by_role("log")).to_contain_text("counting crates <b>by hand</b>")
        assert window.serious_faults() == []
        dialog.get_by_role("button", name="Cancel it").click()
        expect(dialog.get_by_text("Cancelled", exact=True)).to_be_visible()
        page.keyboard.press("Escape")
        expect(row).to_contain_text("Cancelled")
        assert [task["state"] for task in api.call("tasks.list")] == ["cancelled"]


def test_runs_of_assistants_are_seen_and_ended(window: Window, api: Web) -> None:
    page = window.page
    api.call("chat.send", profileId="mate", sessionId="endless", text="forever")
    window.go("/activity/tasks")
    row = page.get_by_role("row", name=re.compile("mate endless"))
    expect(row).to_contain_text("Running")
    row.get_by_role("button", name="End the run in endless").click()
    expect(row).to_contain_text("Cancelled")


def test_tokens_and_cost_are_charted_by_day(window: Window, api: Web) -> None:
    page = window.page
    run = api.call("chat.send", profileId="mate", sessionId="spent", text="When is high water?")

    def asked() -> list[str]:
        waiting = api.call("approval.list", profileId="mate", status="pending")
        return [each["id"] for each in waiting if each["runId"] == run["runId"]]

    eventually(lambda: asked() != [], "the question")
    api.call("approval.resolve", profileId="mate", id=asked()[0], decision="approve")
    usage = api.call("agent.wait", profileId="mate", runId=run["runId"])["usage"]
    (day,) = [each for each in api.call("usage.byDay", days=7) if each["profileId"] == "mate"]
    assert day["tokens"] >= usage["inputTokens"] + usage["outputTokens"] > 0
    assert day["calls"] >= 2
    window.go("/activity/spending")
    expect(page.get_by_role("figure", name=re.compile(r"[\d,]+ tokens in 14 days"))).to_be_visible()
    expect(page.locator(".recharts-bar-rectangle").first).to_be_visible()
    row = page.get_by_role("row", name=re.compile("^First mate"))
    expect(row).to_contain_text(f"{day['tokens']:,}")
