"""Our reading of an answer beside that of the official clients, from the same servers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ploinky.base.jsontypes import JsonValue
from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.folding import TurnFold, read_turn
from ploinky.providers.protocol import (
    AssistantMessage,
    Image,
    Message,
    Pulls,
    StopReason,
    SystemMessage,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMessage,
    TurnOptions,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from tests.models.aimock import AimockServer, running_aimock
from tests.models.faulty import events, last_piece, lines, piece, refusal, running_faulty
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script

SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"city": {"type": "string"}}}
EMPTY: dict[str, JsonValue] = {"type": "object", "properties": {}}
TOOLS = (Tool("weather", "The weather of a city.", SCHEMA), Tool("clock", "The time.", EMPTY))
CALLS: list[tuple[str, dict[str, object]]] = [("weather", {"city": "Zürich 🐢"}), ("clock", {})]
TEXT = 'Line one\n\n  indented, "quoted", 100 %, 1000, 1000000, naïve 🐢🐢.'
OPTIONS = TurnOptions(deadline_s=60)
ASKED = [UserMessage("What is it like outside?")]
OPENAI_TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": t.name, "description": t.description, "parameters": t.input_schema},
    }
    for t in TOOLS
]
ANTHROPIC_TOOLS: list[Any] = [
    {"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in TOOLS
]


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with running_llama(Script(calls=CALLS, answer=TEXT, greeting=TEXT)) as server:
        yield server


@pytest.fixture(scope="module")
def aimock() -> Iterator[AimockServer]:
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "input_tokens": 11, "output_tokens": 7}
    fixtures: list[dict[str, object]] = [
        {
            "match": {"toolName": "weather", "hasToolResult": False},
            "response": {
                "toolCalls": [{"name": name, "arguments": arguments} for name, arguments in CALLS],
                "usage": usage,
            },
        },
        {
            "match": {"userMessage": "think"},
            "response": {"content": TEXT, "reasoning": "Let me see.", "usage": usage},
        },
        {"match": {}, "response": {"content": TEXT, "usage": usage}},
    ]
    shown = {
        "capabilities": ["completion", "tools", "vision"],
        "model_info": {"general.architecture": "x", "x.context_length": 8192},
    }
    pulls = {
        "new": [
            {"status": "pulling manifest"},
            {"status": "pulling 1a2b", "total": 100, "completed": 40},
            {"status": "success"},
        ]
    }
    with running_aimock(
        fixtures, shown={"m": shown, "plain": {"capabilities": ["completion"]}}, pulls=pulls
    ) as server:
        yield server


@asynccontextmanager
async def provider_of(entry: dict[str, JsonValue]) -> AsyncIterator[Any]:
    made = ProviderRegistry.installed().make(ModelConfig.model_validate(entry), ProviderContext("m"))
    try:
        yield made
    finally:
        await made.aclose()


async def ours(
    entry: dict[str, JsonValue],
    messages: list[Any],
    tools: tuple[Tool, ...] = (),
    options: TurnOptions = OPTIONS,
) -> TurnFold:
    async with provider_of(entry) as provider:
        return await read_turn(provider.stream_turn(messages, tools, options))


def openai_entry(url: str, model: str) -> dict[str, JsonValue]:
    return {"provider": "openai-compatible", "baseURL": url, "openaiModelId": model}


@pytest.mark.parametrize("with_tools", [False, True])
@pytest.mark.parametrize("server_name", ["llama", "aimock"])
async def test_openais_client_reads_the_same(
    server_name: str, with_tools: bool, request: pytest.FixtureRequest
) -> None:
    import openai

    server: LlamaServer | AimockServer = request.getfixturevalue(server_name)
    model = MODEL if server_name == "llama" else "gpt-4o"
    fold = await ours(openai_entry(server.openai_url, model), list(ASKED), TOOLS if with_tools else ())
    more: dict[str, Any] = {"tools": OPENAI_TOOLS} if with_tools else {}
    with (
        openai.OpenAI(base_url=server.openai_url, api_key="none") as client,
        client.chat.completions.stream(
            model=model,
            messages=[{"role": "user", "content": ASKED[0].text}],
            stream_options={"include_usage": True},
            **more,
        ) as stream,
    ):
        final = stream.get_final_completion()
    (choice,) = final.choices
    assert fold.message.text == mended(choice.message.content or "")
    assert fold.message.text == ("" if with_tools else TEXT)
    theirs = [
        (call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []
    ]
    assert [(call.name, call.arguments) for call in fold.message.tool_calls] == theirs
    assert theirs == (CALLS if with_tools else [])
    assert fold.usage is not None
    assert final.usage is not None
    assert (fold.usage.input_tokens, fold.usage.output_tokens) == (
        final.usage.prompt_tokens,
        final.usage.completion_tokens,
    )


@pytest.mark.parametrize("with_tools", [False, True])
@pytest.mark.parametrize("server_name", ["llama", "aimock"])
async def test_anthropics_client_reads_the_same(
    server_name: str, with_tools: bool, request: pytest.FixtureRequest
) -> None:
    import anthropic

    server: LlamaServer | AimockServer = request.getfixturevalue(server_name)
    model = MODEL if server_name == "llama" else "claude-sonnet-4"
    entry: dict[str, JsonValue] = {"provider": "anthropic", "baseURL": server.url, "model": model}
    fold = await ours(entry, list(ASKED), TOOLS if with_tools else ())
    more: dict[str, Any] = {"tools": ANTHROPIC_TOOLS} if with_tools else {}
    with (
        anthropic.Anthropic(base_url=server.url, api_key="none") as client,
        client.messages.stream(
            model=model, max_tokens=512, messages=[{"role": "user", "content": ASKED[0].text}], **more
        ) as stream,
    ):
        final = stream.get_final_message()
    text = "".join(block.text for block in final.content if block.type == "text")
    assert fold.message.text == mended(text) == ("" if with_tools else TEXT)
    theirs = [(block.name, block.input) for block in final.content if block.type == "tool_use"]
    assert [(call.name, call.arguments) for call in fold.message.tool_calls] == theirs
    assert theirs == (CALLS if with_tools else [])
    assert fold.usage is not None
    assert fold.usage.output_tokens == final.usage.output_tokens
    cached = final.usage.cache_read_input_tokens or 0
    assert fold.usage.input_tokens == final.usage.input_tokens + cached


@pytest.mark.parametrize("with_tools", [False, True])
async def test_ollamas_client_reads_the_same(with_tools: bool, aimock: AimockServer) -> None:
    import ollama

    entry: dict[str, JsonValue] = {"provider": "ollama", "baseURL": aimock.url, "ollamaModelName": "m"}
    fold = await ours(entry, list(ASKED), TOOLS if with_tools else ())
    client = ollama.Client(host=aimock.url)
    chunks = list(
        client.chat(
            model="m",
            messages=[{"role": "user", "content": ASKED[0].text}],
            tools=OPENAI_TOOLS if with_tools else None,
            stream=True,
        )
    )
    client._client.close()
    theirs = [
        (call.function.name, dict(call.function.arguments))
        for chunk in chunks
        for call in chunk.message.tool_calls or []
    ]
    assert [(call.name, call.arguments) for call in fold.message.tool_calls] == theirs
    assert theirs == (CALLS if with_tools else [])
    joined = "".join(chunk.message.content or "" for chunk in chunks)
    assert fold.message.text == mended(joined) == ("" if with_tools else TEXT)


def mended(text: str) -> str:
    """What was meant: aimock cuts a character in two now and then, and the official clients leave it so."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


CONVERSATION: list[Message] = [
    SystemMessage("Be brief."),
    UserMessage("What is on this picture?", (Image("image/png", b"\x89PNG"),)),
    AssistantMessage("", (ToolCall("c1", "weather", {"city": "Bern"}), ToolCall("c2", "clock", {}, "{oops"))),
    ToolMessage("c1", "weather", "rain"),
    ToolMessage("c2", "clock", "no such arguments", is_error=True),
    UserMessage("And now?"),
]


async def test_a_conversation_is_written_as_openai_wants_it(aimock: AimockServer) -> None:
    options = TurnOptions(
        max_output_tokens=99, temperature=0.5, tool_choice=ToolChoice.REQUIRED, stop=("END",), deadline_s=60
    )
    entry = openai_entry(aimock.openai_url, "gpt-4o") | {"options": {"seed": 7, "model": "not this"}}
    await ours(entry, CONVERSATION, TOOLS, options)
    body = aimock.asked("/v1/chat/completions")[-1]["body"]
    assert (body["model"], body["max_tokens"], body["temperature"], body["stop"], body["seed"]) == (
        "gpt-4o",
        99,
        0.5,
        ["END"],
        7,
    )
    assert body["tool_choice"] == "required"
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert body["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    calls = body["messages"][2]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [
        ("c1", '{"city":"Bern"}'),
        ("c2", "{oops"),
    ]
    assert [message["tool_call_id"] for message in body["messages"][3:5]] == ["c1", "c2"]


SHOWN = {
    "capabilities": ["completion", "tools"],
    "model_info": {"general.architecture": "x", "x.context_length": 8192},
}
OLLAMA_END = {
    "model": "m",
    "message": {"role": "assistant", "content": "x"},
    "done": True,
    "done_reason": "length",
}


async def test_a_conversation_is_written_as_ollama_wants_it() -> None:
    options = TurnOptions(max_output_tokens=99, temperature=0.5, context_tokens=1_000_000, deadline_s=60)
    async with running_faulty(refusal(200, SHOWN), lines(OLLAMA_END)) as server:
        entry: dict[str, JsonValue] = {
            "provider": "ollama",
            "baseURL": server.url,
            "ollamaModelName": "m",
            "options": {"keep_alive": "1h", "options": {"num_gpu": 1, "num_ctx": 1}},
        }
        fold = await ours(entry, CONVERSATION, TOOLS, options)
        body = server.exchanges[1].body
    assert fold.require_done().reason is StopReason.MAX_TOKENS
    # the window is that of the budget, but never larger than the model's own
    assert body["options"] == {"num_ctx": 8192, "num_predict": 99, "temperature": 0.5, "num_gpu": 1}
    assert (body["keep_alive"], body["truncate"], body["stream"]) == ("1h", False, True)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather", "clock"]
    assert body["messages"][1]["images"] == ["iVBORw=="]
    assert body["messages"][2]["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": {"city": "Bern"},
    }
    assert [message.get("tool_name") for message in body["messages"][3:5]] == ["weather", "clock"]


async def test_ollamas_model_without_tools_is_not_offered_any() -> None:
    plain = {**SHOWN, "capabilities": ["completion"]}
    async with running_faulty(refusal(200, plain), lines(OLLAMA_END), lines(OLLAMA_END)) as server:
        entry: dict[str, JsonValue] = {"provider": "ollama", "baseURL": server.url, "ollamaModelName": "m"}
        async with provider_of(entry) as provider:
            await read_turn(provider.stream_turn(ASKED, TOOLS, OPTIONS))
            assert "tools" not in server.exchanges[1].body
            required = TurnOptions(tool_choice=ToolChoice.REQUIRED)
            with pytest.raises(ProviderError) as caught:
                await read_turn(provider.stream_turn(ASKED, TOOLS, required))
            assert caught.value.code == ProviderCode.NO_TOOLS
    async with running_faulty(refusal(200, plain), lines(OLLAMA_END)) as server:
        entry = {**entry, "baseURL": server.url, "supportsTools": True}
        await ours(entry, list(ASKED), TOOLS)
        assert len(server.exchanges[1].body["tools"]) == 2


async def test_ollama_fetches_a_model_and_tells_how_far_it_is(aimock: AimockServer) -> None:
    entry: dict[str, JsonValue] = {"provider": "ollama", "baseURL": aimock.url, "ollamaModelName": "m"}
    async with provider_of(entry) as provider:
        assert isinstance(provider, Pulls)
        told = [progress async for progress in provider.pull("new")]
        assert [(each.status, each.completed_bytes, each.total_bytes) for each in told] == [
            ("pulling manifest", 0, 0),
            ("pulling 1a2b", 40, 100),
            ("success", 0, 0),
        ]
        with pytest.raises(ProviderError):
            await anext(provider.pull("none"))


ANTHROPIC_END = events(
    {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "redacted_thinking", "data": "eA=="},
    },
    {"type": "content_block_stop", "index": 1},
    {"type": "ping"},
    {"type": "a_kind_of_tomorrow"},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Yes."}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
)


async def test_a_conversation_is_written_as_anthropic_wants_it_and_thinking_goes_back_as_it_came() -> None:
    async with running_faulty(ANTHROPIC_END, ANTHROPIC_END) as server:
        entry: dict[str, JsonValue] = {"provider": "anthropic", "baseURL": server.url, "model": "claude"}
        first = await ours(entry, CONVERSATION, TOOLS, TurnOptions(tool_choice=ToolChoice.REQUIRED))
        body = server.exchanges[0].body
        await ours(entry, [*CONVERSATION, first.message, UserMessage("Go on.")])
        second = server.exchanges[1].body
    assert body["system"][0]["text"] == "Be brief."
    assert body["tool_choice"] == {"type": "any"}
    assert body["max_tokens"] > 0
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    results = body["messages"][2]["content"]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert [block.get("is_error") for block in results] == [None, True, None]
    image = body["messages"][0]["content"][0]["source"]
    assert (image["media_type"], image["data"]) == ("image/png", "iVBORw==")
    assert second["messages"][3]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
        {"type": "text", "text": "Yes."},
    ]


async def test_a_turn_that_answers_calls_without_their_thinking_is_made_without_it() -> None:
    call = ToolCall("c1", "weather", {})
    result = ToolMessage("c1", "weather", "rain")
    bare = [*ASKED, AssistantMessage("", (call,)), result]
    whole = [*ASKED, AssistantMessage("", (call,), (Thinking("Hm.", "c2ln"),)), result]
    async with running_faulty(ANTHROPIC_END) as server:
        entry: dict[str, JsonValue] = {
            "provider": "anthropic",
            "baseURL": server.url,
            "model": "claude",
            "options": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        }
        for messages in (list(ASKED), whole, bare):
            await ours(entry, messages)
    assert ["thinking" in exchange.body for exchange in server.exchanges] == [True, True, False]


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_thinking_is_told_apart_from_the_answer(kind: str) -> None:
    if kind == "openai":
        reply = events(
            piece(reasoning_content="H"), piece(reasoning_content="m."), piece(content="Yes."), last_piece()
        )
        replies, entry = [reply], {"provider": "openai-compatible", "openaiModelId": "m"}
    else:
        thought = [
            {"message": {"role": "assistant", "content": "", "thinking": t}, "done": False}
            for t in ("H", "m.")
        ]
        end = {"message": {"role": "assistant", "content": "Yes."}, "done": True, "done_reason": "stop"}
        replies, entry = [refusal(200, SHOWN), lines(*thought, end)], {"provider": "ollama", "model": "m"}
    async with running_faulty(*replies) as server:
        fold = await ours({**entry, "baseURL": server.url}, list(ASKED))
    assert fold.message == AssistantMessage("Yes.", (), (Thinking("Hm."),))
