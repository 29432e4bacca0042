"""Without a model: what works is done, what does not is said."""

from __future__ import annotations

import pytest

from ploinky.providers.config import OFFLINE
from ploinky.providers.folding import TurnFold, read_turn
from ploinky.providers.protocol import (
    AssistantMessage,
    Message,
    StopReason,
    Tool,
    ToolCall,
    ToolMessage,
    TurnOptions,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderRegistry

TOOLS = (
    Tool(
        "files.find_files",
        "Find files by a pattern.\nMore.",
        {"type": "object", "properties": {"pattern": {}, "limit": {}}, "required": ["pattern"]},
    ),
    Tool("memory_search", "Search the memory.", {"type": "object", "properties": {"query": {}}}),
)


async def say(*messages: Message | str) -> TurnFold:
    provider = ProviderRegistry.installed().make(OFFLINE, ProviderContext("offline"))
    turned = [UserMessage(each) if isinstance(each, str) else each for each in messages]
    return await read_turn(provider.stream_turn(turned, TOOLS, TurnOptions()))


async def test_free_text_is_answered_by_how_to_configure_a_model() -> None:
    fold = await say("How are you?")
    assert "No model is configured" in fold.message.text
    assert '"defaultModel"' in fold.message.text
    assert fold.require_done().served.model == "none"


async def test_tools_are_listed_with_their_parameters() -> None:
    assert (
        await say("/tools find")
    ).message.text == "files.find_files(pattern, limit?)  Find files by a pattern."
    assert len((await say("/tools")).message.text.splitlines()) == 2


async def test_a_call_is_handed_to_the_caller_and_its_result_shown() -> None:
    asked = UserMessage('/call files.find_files {"pattern": "*.md"}')
    fold = await say(asked)
    assert fold.require_done().reason is StopReason.TOOL_CALLS
    (call,) = fold.message.tool_calls
    assert (call.name, call.arguments) == ("files.find_files", {"pattern": "*.md"})
    answered = await say(asked, fold.message, ToolMessage(call.id, call.name, "a.md\nb.md"))
    assert answered.message.text == "a.md\nb.md"
    assert answered.require_done().reason is StopReason.END
    marked = ToolMessage(call.id, call.name, "[from outside]\na.md\n[end]", plain="a.md")
    assert (await say(asked, fold.message, marked)).message.text == "a.md"


async def test_a_failed_call_is_shown_as_failed() -> None:
    call = ToolCall("1", "files.find_files", {})
    fold = await say(
        AssistantMessage("", (call,)), ToolMessage("1", call.name, "no such folder", is_error=True)
    )
    assert fold.message.text == "files.find_files failed:\nno such folder"


async def test_memory_is_a_call_of_the_tool_for_it() -> None:
    (call,) = (await say("/memory search the harbour")).message.tool_calls
    assert (call.name, call.arguments) == ("memory_search", {"query": "the harbour"})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/call", "Say which tool"),
        ("/call files.find_file {}", "Did you mean files.find_files?"),
        ("/call files.find_files {oops", "no JSON"),
        ("/call files.find_files []", "JSON object"),
        ("/memory", "/memory search"),
        ("/memory remember tea", "no tool remember"),
        ("/tool", "Did you mean /tools?"),
        ("/help", "/call <agent>.<tool>"),
    ],
)
async def test_what_cannot_be_done_is_answered_by_what_to_type(text: str, part: str) -> None:
    fold = await say(text)
    assert part in fold.message.text
    assert fold.message.tool_calls == ()
