"""``/v1`` of a real gateway, spoken to by the official OpenAI client, over a real model server."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from ploinky.base.jsontypes import JsonValue
from tests.cli.stage import Stage, give_back, make_stage
from tests.e2e.test_assistant_loop import kill_gateway
from tests.gateway.web import Web, web_of
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script

pytestmark = pytest.mark.bubblewrap
ANSWER = "The harbour is quiet, 1000 boats; nothing moves."
TOLD = "The echo came back."
Messages = list[ChatCompletionMessageParam]


@pytest.fixture(scope="module")
def talker() -> Iterator[LlamaServer]:
    with running_llama(Script(answer=ANSWER, greeting=ANSWER), context=65536) as server:
        yield server


@pytest.fixture(scope="module")
def caller() -> Iterator[LlamaServer]:
    script = Script(calls=[("echo__say", {"text": "hello harbour"})], answer=TOLD)
    with running_llama(script, context=65536) as server:
        yield server


@pytest.fixture(scope="module")
def town(
    talker: LlamaServer, caller: LlamaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A workspace with an agent and three assistants: one talks, one calls tools, one's model is away."""

    def entry(url: str) -> dict[str, JsonValue]:
        return {"provider": "openai-compatible", "baseURL": url, "openaiModelId": MODEL}

    runtime = Path(tempfile.mkdtemp(prefix="pv-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("town"), runtime)
    config = made.layout.config_file
    document: dict[str, JsonValue] = json.loads(config.read_text()) if config.exists() else {}
    document["models"] = {
        "talker": entry(talker.openai_url),
        "caller": entry(caller.openai_url),
        "away": {**entry("http://127.0.0.1:9/v1"), "retryBudgetMs": 0},
    }
    profiles: list[JsonValue] = []
    for name in ("talker", "caller", "away"):
        (made.layout.root / "profiles" / name).mkdir(parents=True)
        profiles.append({"id": name, "root": f"profiles/{name}", "modelId": name})
    document["profiles"] = profiles
    config.write_text(json.dumps(document))
    made.run("start", "echo")
    yield made
    give_back(made)
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def client(web: Web) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{web.url}/v1", api_key=web.token, timeout=120) as made:
        yield made


def user(text: str) -> ChatCompletionMessageParam:
    return {"role": "user", "content": text}


def sessions(web: Web, assistant: str) -> dict[str, Any]:
    return {row["sessionId"]: row for row in web.call("chat.sessions", profileId=assistant)}


def test_every_assistant_is_a_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["talker", "caller", "away"]
    assert client.models.retrieve("caller").owned_by == "ploinky"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


def test_an_answer_comes_whole_or_in_pieces_and_is_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="talker", messages=[user("How is the harbour?")])
    assert whole.choices[0].message.content == ANSWER
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    with client.chat.completions.create(
        model="talker",
        messages=[user("How is the harbour?")],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == ANSWER
    assert chunks[-1].usage is not None
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert {chunk.model for chunk in chunks} == {"talker"}


def test_a_conversation_goes_on_in_its_session_and_a_new_one_begins_another(
    client: openai.OpenAI, web: Web
) -> None:
    before = set(sessions(web, "talker"))
    told: Messages = [user("One?")]
    for text in ("Two?", "Three?"):
        answer = client.chat.completions.create(model="talker", messages=told)
        told += [{"role": "assistant", "content": answer.choices[0].message.content}, user(text)]
    after = sessions(web, "talker")
    (session,) = set(after) - before
    thread = web.call("chat.getThread", sessionId=session, profileId="talker")
    assert [message["content"] for message in thread["messages"]] == ["One?", ANSWER, "Two?", ANSWER]
    client.chat.completions.create(model="talker", messages=[user("One?")])
    for _ in range(2):  # the second time, the beginning has gone on already
        client.chat.completions.create(model="talker", messages=told[:3])
    assert len(set(sessions(web, "talker")) - before) == 3


def test_a_conversation_that_is_not_known_begins_with_what_the_client_has(
    client: openai.OpenAI, web: Web
) -> None:
    before = set(sessions(web, "talker"))
    told: Messages = [
        {"role": "system", "content": "Answer like a sailor."},
        user("One?"),
        {"role": "assistant", "content": "From another life."},
        {"role": "user", "content": [{"type": "text", "text": "Two?"}]},
    ]
    client.chat.completions.create(model="talker", messages=told)
    (session,) = set(sessions(web, "talker")) - before
    thread = web.call("chat.getThread", sessionId=session, profileId="talker")
    texts = [message["content"] for message in thread["messages"]]
    assert "Answer like a sailor." in texts[0]
    assert texts[1:] == ["From another life.", "Two?", ANSWER]


def test_a_session_can_be_named_and_is_seen_by_every_device(client: openai.OpenAI, web: Web) -> None:
    named = {"X-Ploinky-Session": "phone"}
    client.chat.completions.create(model="talker", messages=[user("Hello")], extra_headers=named)
    thread = web.call("chat.getThread", sessionId="phone", profileId="talker")
    assert [message["content"] for message in thread["messages"]] == ["Hello", ANSWER]


def test_an_agents_tool_runs_once_a_person_agrees_while_the_client_waits(
    client: openai.OpenAI, web: Web
) -> None:
    agreed = threading.Event()

    def agree(events: Iterator[tuple[str, Any]]) -> None:
        asked = next(value["data"] for _, value in events if value["kind"] == "approval_needed")
        web.call("approval.resolve", id=asked["data"]["id"], decision="approve", profileId="caller")
        agreed.set()

    with web.events("?topics=runs,approvals&profileId=caller") as events:
        person = threading.Thread(target=agree, args=(events,))
        person.start()
        with client.chat.completions.create(
            model="caller", messages=[user("Call the echo.")], stream=True
        ) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        person.join(60)
    assert agreed.is_set()
    (result,) = [
        each for each in web.call("agent.events", profileId="caller") if each["event"] == "tool_result"
    ]
    assert (result["data"]["name"], "hello harbour" in result["data"]["text"]) == ("echo.say", True)
    assert text == TOLD


def test_a_client_that_goes_away_ends_its_run(client: openai.OpenAI, web: Web) -> None:
    named = {"X-Ploinky-Session": "left"}
    with client.chat.completions.create(
        model="talker", messages=[user("forever")], stream=True, extra_headers=named
    ) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    (run,) = web.call("agent.runs", sessionId="left", profileId="talker")
    ended = web.call("agent.wait", runId=run["runId"], profileId="talker", timeoutMs=60_000)
    assert ended["status"] == "cancelled"


def test_a_model_that_is_away_is_an_error_that_says_so(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="away", messages=[user("Hello")])
    assert caught.value.code == "PROVIDER_UNREACHABLE"
    with pytest.raises(openai.APIError) as told:
        list(client.chat.completions.create(model="away", messages=[user("Hello")], stream=True))
    assert "Cannot reach" in told.value.message


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content.0",
        ),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(
    client: openai.OpenAI, change: dict[str, Any], param: str
) -> None:
    asked: dict[str, Any] = {"model": "talker", "messages": [user("Hello")], **change}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.param == param


def test_an_unknown_assistant_is_never_another_one(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody", messages=[user("Hello")])
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


def test_only_callers_who_may_use_assistants_are_served(town: Stage, client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
    token = town.run("token", "create", "tools-only", "--scope", "tools:call").out.strip().splitlines()[-1]
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(api_key=token).models.list()


def test_calls_are_in_the_audit_log_without_what_was_said(client: openai.OpenAI, town: Stage) -> None:
    client.chat.completions.create(model="talker", messages=[user("a secret question")])
    log = (town.layout.logs / "audit.log").read_text()
    assert '"event":"v1"' in log
    assert '"target":"talker"' in log
    assert "a secret question" not in log


def test_a_conversation_goes_on_in_its_session_after_a_crash_of_the_gateway(town: Stage) -> None:
    web = web_of(town)
    before = set(sessions(web, "talker"))
    told: Messages = [user("Before?")]
    with openai.OpenAI(base_url=f"{web.url}/v1", api_key=web.token, timeout=120) as client:
        answer = client.chat.completions.create(model="talker", messages=told)
    told += [{"role": "assistant", "content": answer.choices[0].message.content}, user("After?")]
    kill_gateway(town)
    web = web_of(town)
    with openai.OpenAI(base_url=f"{web.url}/v1", api_key=web.token, timeout=120) as client:
        client.chat.completions.create(model="talker", messages=told)
    (session,) = set(sessions(web, "talker")) - before
    thread = web.call("chat.getThread", sessionId=session, profileId="talker")
    assert [message["content"] for message in thread["messages"]] == ["Before?", ANSWER, "After?", ANSWER]
