"""``ploinky model``: without a gateway and through one, over a real model server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploinky.base.jsontypes import JsonValue
from tests.cli.stage import Stage
from tests.models.aimock import running_aimock
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script

KEY = "sk-planted-9f8e7d6c5b4a"


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with running_llama(Script(greeting="Ready.", answer="Ready."), key=KEY) as server:
        yield server


@pytest.fixture
def house(stage: Stage, llama: LlamaServer) -> Stage:
    """A workspace with two assistants and a few models."""
    good: dict[str, JsonValue] = {
        "provider": "openai-compatible",
        "baseURL": llama.openai_url,
        "openaiModelId": MODEL,
        "apiKeyRef": "profile:openai-compatible",
    }
    away: dict[str, JsonValue] = {"provider": "ollama", "model": "x", "baseURL": "http://127.0.0.1:9"}
    profiles: list[JsonValue] = []
    for name in ("first", "second"):
        (stage.layout.root / "profiles" / name).mkdir(parents=True)
        profiles.append({"id": name, "root": f"profiles/{name}"})
    configure(stage, models={"good": good, "away": away}, defaultModel="good", profiles=profiles)
    return stage


def configure(stage: Stage, **parts: JsonValue) -> None:
    config = stage.layout.config_file
    document = json.loads(config.read_text()) if config.exists() else {}
    config.write_text(json.dumps(document | parts))


def test_models_are_listed_with_those_who_use_them(house: Stage) -> None:
    rows = {row["id"]: row for row in house.run("model", "list", "--json").json}
    assert set(rows) == {"offline", "good", "away"}
    assert (rows["good"]["default"], rows["good"]["assistants"]) == (True, ["first", "second"])
    assert "good" in house.run("model").out


def test_a_model_is_chosen_for_all_or_for_one(house: Stage) -> None:
    house.run("model", "use", "away", "-a", "second")
    house.run("model", "use", "offline")
    rows = {row["id"]: row["assistants"] for row in house.run("model", "list", "--json").json}
    assert (rows["away"], rows["offline"]) == (["second"], ["first"])
    wrong = house.run("model", "use", "goood", code=3)
    assert "Did you mean 'good'?" in wrong.err
    assert "There is no assistant" in house.run("model", "use", "good", "-a", "nobody", code=3).err


def test_a_key_is_kept_encrypted_for_one_assistant_and_makes_its_model_work(house: Stage) -> None:
    missing = house.run("model", "test", code=1)
    assert "There is no key at profile:openai-compatible" in missing.out
    house.run("model", "key", "openai-compatible", stdin=f"{KEY}\n")
    good = house.run("model", "test", "--json").json
    assert (good["good"], good["servedBy"]) == (True, MODEL)
    assert "answered: Ready." in house.run("model", "test").out
    assert [row["name"] for row in house.run("model", "list", "good", "--json").json["models"]] == [MODEL]
    house.run("model", "test", "-a", "second", code=1)
    listed = house.run("model", "key", "--list", "--json").json
    assert listed == {"profileId": "first", "providers": {"openai-compatible": ["apiKey"]}}
    house.run("model", "key", "openai-compatible", "--delete")
    house.run("model", "key", "openai-compatible", "--delete", code=3)
    house.run("model", "test", code=1)
    for file in house.layout.root.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_what_is_wrong_is_said_with_what_to_do(house: Stage) -> None:
    found = house.run("model", "test", "away", code=1)
    assert "Cannot reach Ollama" in found.out
    assert "Check baseURL" in found.out
    offline = house.run("model", "test", "offline", code=1)
    assert "No model is configured" in offline.out
    house.run("model", "key", "openai-compatible", stdin="\n", code=2)
    house.run("model", "key", "../escape", stdin="x", code=2)


def test_ollama_fetches_a_model(house: Stage) -> None:
    lines = [{"status": "pulling", "total": 10, "completed": 5}, {"status": "success"}]
    with running_aimock([], pulls={"tiny": lines}) as server:
        entry: dict[str, JsonValue] = {"provider": "ollama", "model": "tiny", "baseURL": server.url}
        configure(house, models={"tiny": entry, "good": entry})
        events = house.run("model", "pull", "tiny", "--json").lines
        assert [event.get("fraction") for event in events if event["kind"] == "progress"] == [0.5, None]
        assert events[-1]["value"] == {"model": "tiny", "fetched": "tiny"}
        house.run("model", "pull", "tiny", "no-such", code=1)


@pytest.mark.bubblewrap
def test_with_a_gateway_the_test_is_its_own_and_uses_its_variables(house: Stage, llama: LlamaServer) -> None:
    entry: dict[str, JsonValue] = {
        "provider": "openai-compatible",
        "baseURL": llama.openai_url,
        "openaiModelId": MODEL,
        "apiKeyRef": "env:GATEWAYS_OWN_KEY",
    }
    configure(house, models={"good": entry})
    house.run("start", environ={"GATEWAYS_OWN_KEY": KEY})
    assert house.run("model", "test", "--json").json["good"] is True
    assert [row["name"] for row in house.run("model", "list", "good", "--json").json["models"]] == [MODEL]
    log = house.run("logs", "router", code=None)
    assert KEY not in log.out + log.err


def test_help_of_every_verb_has_an_example(tmp_path: Path, stage: Stage) -> None:
    for verb in ("list", "use", "test", "pull", "key"):
        assert f"ploinky model {verb}" in stage.run("model", verb, "--help").out
