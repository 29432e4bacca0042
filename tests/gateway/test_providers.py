"""``provider.*`` by RPC: what is installed, keys by name only, a test of a model."""

from __future__ import annotations

import pytest

from tests.gateway.web import Web
from tests.models.aimock import running_aimock
from tests.models.llama import MODEL, running_llama
from tests.models.scripted_gguf import Script
from tests.providers.subjects import program

pytestmark = pytest.mark.bubblewrap
KEY = "sk-planted-1029384756abcdef"


def test_the_installed_providers_are_listed(web: Web) -> None:
    rows = {row["provider"]: row for row in web.call("provider.list")}
    assert {"ollama", "anthropic", "openai-compatible", "offline"} <= set(rows)
    assert rows["anthropic"]["needsKey"] is True


def test_keys_go_in_and_are_named_but_never_come_out(web: Web) -> None:
    place = {"providerId": "anthropic", "keyName": "second"}
    web.call("provider.credentials.set", **place, value=KEY)
    listed = web.ask("provider.credentials.list")
    assert listed["result"]["providers"] == {"anthropic": ["second"]}
    assert KEY not in str(listed)
    web.call("provider.credentials.delete", **place)
    assert web.error("provider.credentials.delete", **place)["data"]["code"] == "NO_CREDENTIAL"
    for wrong in ("../up", "a b", ""):
        assert web.error("provider.credentials.set", providerId=wrong, value=KEY)["data"]["code"]
    assert web.error("provider.credentials.list", profileId="nobody")["data"]["code"] == "NO_ASSISTANT"


def test_a_model_is_tested_with_the_assistants_own_key(web: Web) -> None:
    with running_llama(Script(greeting="Ready."), key=KEY) as server:
        entry = {
            "provider": "openai-compatible",
            "baseURL": server.openai_url,
            "openaiModelId": MODEL,
            "apiKeyRef": "profile:openai-compatible",
        }
        web.call("config.patch", patch={"models": {"local": entry}})
        missing = web.call("provider.test", modelId="local")
        assert [(each["what"], each["good"]) for each in missing["findings"]] == [
            ("entry", True),
            ("key", False),
        ]
        web.call("provider.credentials.set", providerId="openai-compatible", value=KEY)
        found = web.call("provider.test", modelId="local")
        assert (found["good"], found["servedBy"]) == (True, MODEL)
        offered = web.call("provider.models.list", modelId="local")
        assert [model["name"] for model in offered["models"]] == [MODEL]
        assert KEY not in str(found)
    assert web.call("provider.test", modelId="local")["findings"][-1]["code"] == "PROVIDER_UNREACHABLE"
    assert web.error("provider.test", modelId="locla")["data"]["code"] == "MODEL_UNKNOWN"


@pytest.mark.parametrize(
    ("provider", "script", "served"),
    [("cursor-agent-cli", "cursor_program", "Composer 2"), ("acp", "acp_agent", "scripted-agent")],
)
def test_a_program_answers_behind_the_gateway(web: Web, provider: str, script: str, served: str) -> None:
    args = ["-p"] if provider == "cursor-agent-cli" else []
    web.call("config.patch", patch={"models": {"mine": {"provider": provider, **program(script, *args)}}})
    found = web.call("provider.test", modelId="mine")
    assert (found["good"], found["servedBy"]) == (True, served), found


def test_ollama_fetches_a_model_in_the_background_or_while_one_waits(web: Web) -> None:
    lines = [{"status": "pulling", "total": 10, "completed": 5}, {"status": "success"}]
    with running_aimock([], pulls={"tiny": lines}) as server:
        entry = {"provider": "ollama", "model": "tiny", "baseURL": server.url}
        web.call("config.patch", patch={"models": {"tiny": entry}})
        done = web.call("provider.models.pull", modelId="tiny", wait=True)
        assert (done["done"], done["result"]) == (True, {"model": "tiny", "fetched": "tiny"})
        started = web.call("provider.models.pull", modelId="tiny")
        assert (started["done"], bool(started["operationId"])) == (False, True)
        wrong = web.error("provider.models.pull", modelId="offline", wait=True)
        assert wrong["data"]["code"] == "PROVIDER_NOT_SUPPORTED"
