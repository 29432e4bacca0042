"""Two assistants behind one gateway: no method tells one of the other; no planted secret gets anywhere."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ploinky.gateway.rpc.table import SUBJECTS, method_table
from ploinky.secrets.sealed import SealedStore
from tests.cli.stage import Stage, give_back, make_stage
from tests.gateway.web import Web
from tests.models.aimock import AimockServer, running_aimock

pytestmark = pytest.mark.bubblewrap
MARK = "TREASURE-OF-THE-OTHER"
KEY = "sk-planted-key-0123456789abcdef"
KEPT = "planted-value-of-the-workspace"
TYPED = f"My value is {KEPT}, do not tell."
FIXTURES: list[dict[str, object]] = [
    {"match": {"hasToolResult": True}, "response": {"content": "I have seen it."}},
    {"match": {}, "response": {"toolCalls": [{"name": "echo__say", "arguments": {"text": KEPT}}]}},
]
METHODS = method_table(SUBJECTS)
BY_SOURCE = ("skills.analyze", "skills.fetchFromUrl", "skills.validate", "skills.install")
BY_SKILL = ("skills.update", "skills.uninstall", "skills.credentials.list")
OF_ASSISTANTS = sorted(name for name, row in METHODS.items() if "profile_id" in row.params.model_fields)


@pytest.fixture(scope="module")
def mock() -> Iterator[AimockServer]:
    with running_aimock(FIXTURES) as server:
        yield server


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, mock: AimockServer) -> Iterator[Stage]:
    runtime = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("walls"), runtime)
    settings = {
        "runtime": "sandbox",
        "gateway": {"port": 0},
        "models": {
            "mock": {
                "provider": "openai-compatible",
                "baseURL": mock.openai_url,
                "openaiModelId": "gpt-4o",
                "apiKeyRef": "profile:openai-compatible",
            }
        },
        "profiles": [{"id": "one", "root": "one"}, {"id": "two", "root": "two"}],
    }
    for name in ("one", "two"):
        (made.root / name).mkdir()
    made.layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
    made.run("var", "HARBOUR_KEY", stdin=KEPT)
    SealedStore(made.layout, made.environ).set(
        ("assistant", "two", "provider", "openai-compatible"), "apiKey", KEY
    )
    made.run("start", "echo")
    yield made
    give_back(made)
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def ids(web: Web) -> dict[str, str]:
    """Fill ``two`` with marks; the ids of what it has."""
    run = web.call("chat.send", profileId="two", sessionId=MARK, text=f"/memory remember {MARK}")
    web.call("agent.wait", profileId="two", runId=run["runId"])
    asking = web.call("chat.send", profileId="two", sessionId="asks", text='/call echo.say {"text": "x"}')
    approval: list[Any] = []
    while not approval:
        approval = web.call("approval.list", profileId="two", status="pending")
    job = web.call("cron.add", profileId="two", name=MARK, schedule={"every": "10d"}, message=MARK)
    web.call("memory.writeFile", profileId="two", name="MEMORY.md", text=MARK)
    web.call("substrate.update", profileId="two", name="SOUL.md", text=f"# {MARK}\n{MARK}")
    web.call("heartbeat.update", profileId="two", text=f"<!-- {MARK} -->")
    web.call("trace.ingest", profileId="two", kind=MARK)
    return {"run": run["runId"], "asking": asking["runId"], "approval": approval[0]["id"], "job": job["id"]}


def parameters(method: str, ids: dict[str, str]) -> list[dict[str, Any]]:
    """Parameters by which a method of one assistant would reach for what is the other's."""
    session, name = {"sessionId": MARK}, {"name": "MEMORY.md"}
    table: dict[str, list[dict[str, Any]]] = {
        "agent.run": [{"session": {"sessionId": MARK}, "messages": [{"content": "/help"}]}],
        "agent.wait": [{"runId": ids["run"]}, {"runId": ids["asking"], "block": False}],
        "agent.cancel": [{"runId": ids["asking"]}],
        "agent.events": [{}, {"sessionId": MARK}, {"runId": ids["run"]}],
        "chat.send": [{**session, "text": "/help"}],
        "thread.set": [{**session, "messages": []}],
        "approval.resolve": [{"id": ids["approval"], "decision": "approve"}],
        "approval.revoke": [{}],
        "cron.remove": [{"id": ids["job"]}],
        "cron.run": [{"id": ids["job"]}],
        "cron.history": [{"id": ids["job"]}, {}],
        "cron.add": [{"name": "mine", "schedule": {"every": "9d"}, "message": "/help"}],
        "cron.update": [{"id": ids["job"], "name": "x", "schedule": {"every": "9d"}, "message": "x"}],
        "memory.getFile": [name, {"name": "../two/MEMORY.md"}],
        "memory.writeFile": [{**name, "text": "mine"}],
        "memory.search": [{"query": MARK}],
        "memory.settle": [{"id": "prp_x", "accept": True}],
        "substrate.get": [{"name": "SOUL.md"}, {"name": "../two/SOUL.md"}],
        "substrate.update": [{"name": "SOUL.md", "text": "mine"}],
        "heartbeat.update": [{"text": "<!-- mine -->"}],
        "workspace.semantic_search": [{"query": MARK}],
        "trace.ingest": [{"kind": "mine"}],
        "profile.update": [{"settings": {"name": "One"}}],
        "provider.credentials.set": [{"providerId": "openai-compatible", "keyName": "other", "value": "x"}],
        "provider.credentials.delete": [{"providerId": "openai-compatible"}],
        **{name: [{"source": "two/skills"}] for name in BY_SOURCE},
        **{name: [{"skillId": "tide"}] for name in BY_SKILL},
        "skills.credentials.delete": [{"skillId": "tide", "keyName": "KEY"}],
        "skills.credentials.set": [{"skillId": "tide", "keyName": "KEY", "value": "x"}],
        "profile.delete": [],
    }
    by_session = "session_id" in METHODS[method].params.model_fields
    return table.get(method, [session if by_session else {}])


def snapshot(town: Stage) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted((town.root / "two").rglob("*"))
        if path.is_file() and not path.name.startswith("state.db") and path.name != ".lock"
    }


def state(web: Web) -> list[Any]:
    """What ``two`` has, as its methods tell it."""
    return [
        web.call("chat.getThread", profileId="two", sessionId=MARK)["messages"],
        web.call("chat.sessions", profileId="two"),
        web.call("approval.list", profileId="two"),
        web.call("cron.list", profileId="two"),
        web.call("trace.list", profileId="two"),
    ]


@pytest.mark.parametrize("method", OF_ASSISTANTS)
def test_no_method_of_one_assistant_tells_of_or_changes_the_other(
    method: str, town: Stage, web: Web, ids: dict[str, str]
) -> None:
    files, before = snapshot(town), state(web)
    for params in parameters(method, ids):
        answer = json.dumps(web.ask(method, profileId="one", **params))
        answer = answer.replace(f'"sessionId": "{MARK}"', "")  # it was the question's own
        assert MARK not in answer
        assert "ploinky-two" not in answer
    assert snapshot(town) == files
    assert state(web) == before


@pytest.mark.parametrize("method", OF_ASSISTANTS)
def test_an_unknown_assistant_is_refused_by_every_method(method: str, web: Web, ids: dict[str, str]) -> None:
    for params in parameters(method, ids):
        error = web.error(method, profileId="nobody", **params)
        assert error["data"]["code"] == "NO_ASSISTANT", method


def test_no_planted_secret_is_in_any_file_event_or_prompt(
    town: Stage, web: Web, mock: AimockServer, ids: dict[str, str]
) -> None:
    web.call("profile.update", profileId="two", settings={"modelId": "mock", "tools": {"trust": ["echo.*"]}})
    run = web.call("chat.send", profileId="two", sessionId="hush", text=TYPED)
    ended = web.call("agent.wait", profileId="two", runId=run["runId"])
    assert ended["status"] == "done", ended["error"]
    events = web.call("agent.events", profileId="two", limit=1000)
    thread = web.call("chat.getThread", profileId="two", sessionId="hush")
    assert "[redacted]" in json.dumps(thread)
    for shown in (events, thread, web.call("incident.bundle", profileId="two")):
        assert KEPT not in json.dumps(shown)
        assert KEY not in json.dumps(shown)
    asked = mock.asked("chat/completions")
    assert asked
    assert KEPT not in json.dumps([request["body"] for request in asked])
    assert KEY not in json.dumps([request["body"] for request in asked])
    allowed = {town.layout.secrets_file}
    for path in town.root.rglob("*"):
        if path.is_file() and path not in allowed:
            data = path.read_bytes()
            assert KEPT.encode() not in data, path
            assert KEY.encode() not in data, path
