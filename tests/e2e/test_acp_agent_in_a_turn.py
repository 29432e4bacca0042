"""An assistant served by an ACP agent made by others: what it wants to do waits for a person."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stage import Stage, give_back, make_stage
from tests.gateway.web import Web, web_of
from tests.models.aimock import running_aimock
from tests.models.qwen_code import SHELL, qwen_code_entry, require_qwen_code

pytestmark = pytest.mark.bubblewrap
KEY = "sk-planted-5647382910abcdef"
MAKE = {"command": "mkdir harbour", "description": "Make a harbour", "is_background": False}
FIXTURES: list[dict[str, object]] = [
    {"match": {"hasToolResult": True}, "response": {"content": "So be it."}},
    {"match": {}, "response": {"toolCalls": [{"name": SHELL, "arguments": json.dumps(MAKE)}]}},
]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A workspace whose assistant is served by Qwen Code."""
    runtime = Path(tempfile.mkdtemp(prefix="pq-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("yard"), runtime)
    try:
        require_qwen_code(Path(made.environ["HOME"]))
        with running_aimock(FIXTURES) as model:
            entry = qwen_code_entry(model.openai_url, "profile:acp")
            settings = {
                "runtime": "sandbox",
                "gateway": {"port": 0},
                "models": {"qwen": entry},
                "defaultModel": "qwen",
            }
            made.layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
            made.run("start", "echo")
            web_of(made).call("provider.credentials.set", providerId="acp", value=KEY)
            yield made
    finally:
        give_back(made)
        shutil.rmtree(runtime)


def begin(web: Web, session: str) -> tuple[str, Any]:
    """Ask for a harbour; the run, and the approval that it waits for."""
    messages = [{"content": "Build a harbour."}]
    run_id: str = web.call("agent.run", session={"sessionId": session}, messages=messages)["runId"]
    with web.events(f"/default?sessionId={session}", "0") as events:
        for _, value in events:
            assert value["event"] not in ("error", "done"), value["data"]
            if value["event"] == "approval_needed":
                break
    return run_id, next(row for row in web.call("approval.list", status="pending") if row["runId"] == run_id)


def test_what_the_agent_wants_to_run_is_shown_and_done_only_when_a_person_approves(yard: Stage) -> None:
    web = web_of(yard)
    for decision, made in (("deny", 0), ("approve", 1)):
        run_id, asked = begin(web, decision)
        assert asked["tool"] == "provider.execute"
        assert asked["arguments"]["arguments"] == MAKE
        assert not list(yard.root.rglob("harbour"))
        web.call("approval.resolve", id=asked["id"], decision=decision)
        ended = web.call("agent.wait", runId=run_id)
        assert (ended["status"], ended["text"]) == ("done", "So be it."), ended["error"]
        assert ended["usage"]["inputTokens"] > 0
        assert len(list(yard.root.rglob("harbour"))) == made
    told = web.call("agent.events", sessionId="approve", limit=1000)
    assert "mkdir harbour" in json.dumps([each for each in told if each["event"] == "tool_result"])
    assert KEY not in json.dumps(told)
