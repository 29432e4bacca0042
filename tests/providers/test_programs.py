"""Programs as providers: cursor-agent and ACP agents, what they may do and how they are ended."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonValue
from ploinky.base.waits import wait_until
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.folding import TurnFold, read_turn
from ploinky.providers.protocol import (
    AssistantMessage,
    Message,
    PermissionAnswer,
    PermissionRequest,
    Provider,
    ProviderTool,
    SystemMessage,
    TextDelta,
    Thinking,
    Tool,
    TurnOptions,
    Usage,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from ploinky.providers.transcript import as_prompt
from tests.providers.subjects import ENVIRON, KEY, program

TOOLS = (Tool("files.find_files", "Find files.", {"type": "object"}),)
ACP = {"provider": "acp", **program("acp_agent")}
PRINT = {"provider": "cursor-agent-cli", **program("cursor_program", "-p")}
TURN = {"provider": "cursor-agent-cli", **program("cursor_program")}


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As the gateway runs them: its loop's pipes are not asyncio's. The contract runs them on asyncio."""
    return "asyncio", {"use_uvloop": True}


DIALECTS = pytest.mark.parametrize("entry", [PRINT, TURN, ACP], ids=["print", "turn", "acp"])


def make(entry: dict[str, JsonValue], **more: JsonValue) -> Provider:
    config = ModelConfig.model_validate({**entry, **more})
    context = ProviderContext("tested", Keyring(None, ENVIRON, "main"), ENVIRON)
    return ProviderRegistry.installed().make(config, context)


async def say(
    provider: Provider, text: str, tools: tuple[Tool, ...] = (), permit: PermissionAnswer | None = None
) -> TurnFold:
    options = TurnOptions(deadline_s=60, permit=permit)
    return await read_turn(provider.stream_turn([UserMessage(text)], tools, options))


async def failure(provider: Provider, text: str, tools: tuple[Tool, ...] = ()) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await say(provider, text, tools)
    return caught.value


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@DIALECTS
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_the_whole_group_ends_with_the_turn(
    entry: dict[str, JsonValue], how: str, tmp_path: Path
) -> None:
    pids = tmp_path / "pid"
    heard, seen = asyncio.Event(), asyncio.Event()

    async def listen() -> None:
        provider = make(entry)
        said = [UserMessage(f"forever deaf child {pids}")]
        async with aclosing(provider.stream_turn(said, (), TurnOptions(deadline_s=120))) as turn:
            async for event in turn:
                if isinstance(event, TextDelta):
                    heard.set()
                    if how == "close":
                        await seen.wait()
                        return

    task = asyncio.create_task(listen())
    await asyncio.wait_for(heard.wait(), 60)
    child = int(pids.read_text())
    assert alive(child)
    seen.set()
    if how == "cancel":
        task.cancel()
    await asyncio.wait([task], timeout=60)
    assert task.done()

    async def gone() -> bool:
        return not alive(child)

    await wait_until(gone, what="the child to end", timeout_s=30)


@DIALECTS
async def test_a_program_that_crashes_says_why_without_its_key(entry: dict[str, JsonValue]) -> None:
    options: JsonValue = {"keyVariable": "AGENT_KEY"} if entry["provider"] == "acp" else {}
    error = await failure(make(entry, apiKeyRef="env:MODEL_KEY", options=options), "crash")
    assert error.code == ProviderCode.PROGRAM_FAILED
    assert "exited with" in error.message
    assert KEY not in str(error)


@DIALECTS
async def test_a_program_that_is_not_there_is_told(entry: dict[str, JsonValue]) -> None:
    error = await failure(make(entry, command="/no/such/program"), "hello")
    assert error.code == ProviderCode.NOT_INSTALLED


@pytest.mark.parametrize("entry", [PRINT, TURN], ids=["print", "turn"])
async def test_a_program_gets_its_key_and_nothing_else_of_the_gateways_secrets(
    entry: dict[str, JsonValue], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    await say(make(entry, apiKeyRef="env:MODEL_KEY", authProfiles=["work"]), f"environment {seen}")
    told = json.loads(seen.read_text())
    assert told["env"]["CURSOR_API_KEY"] == KEY
    assert told["env"]["CURSOR_AGENT_AUTH_PROFILE"] == "work"
    assert told["env"]["HOME"] == ENVIRON["HOME"]
    assert "OTHER_SECRET" not in told["env"]
    assert KEY not in str(told["argv"])
    assert "environment" not in str(told["argv"])  # nor is the conversation


@pytest.mark.parametrize("flag", ["--force", "-f", "--yolo", "--approve-mcps", "--trust", "--force=true"])
def test_flags_that_skip_approvals_are_refused(flag: str) -> None:
    with pytest.raises(UsageError, match="without asking"):
        make({"provider": "cursor-agent-cli", "args": ["-p", flag]})


@pytest.mark.parametrize("entry", [PRINT, TURN], ids=["print", "turn"])
@pytest.mark.parametrize(
    "line",
    [
        "this is no JSON",
        "[]",
        '{"no": "type"}',
        '{"type": "shell"}',
        '{"type": "protocol", "data": {"version": "9.0"}}',
        '{"type": "assistant"}',
        '{"type": "assistant_delta", "data": {}}',
        '{"type": "tool_call"}',
        '{"type": "tool_call", "data": {"name": "not.offered", "args": {}}}',
        '{"type": "tool_call", "data": {"name": "files__find_files", "args": "x"}}',
    ],
)
async def test_what_is_not_known_stops_the_turn(entry: dict[str, JsonValue], line: str) -> None:
    assert (await failure(make(entry), f"say {line}", TOOLS)).code == ProviderCode.MALFORMED


async def test_a_message_that_differs_from_its_pieces_stops_the_turn() -> None:
    piece = '{"type": "assistant_delta", "data": {"content": "Total: 100"}}'
    whole = '{"type": "assistant_delta", "data": {"content": "Sum: 1000", "isFullMessage": true}}'
    assert (await failure(make(TURN), f"say {piece}\nsay {whole}")).code == ProviderCode.MALFORMED


async def test_repeated_digits_are_not_taken_for_a_repeated_message() -> None:
    lines = [
        f'{{"type": "assistant_delta", "data": {{"content": "{text}"}}}}'
        for text in ("Total: 10", "0", "0. ")
    ]
    fold = await say(make(TURN), "\n".join(f"say {line}" for line in lines))
    assert fold.message.text == "Total: 1000. All done."


async def test_an_error_that_cursor_tells_is_told() -> None:
    for line in (
        '{"type": "error", "data": {"message": "no credit"}}',
        '{"type": "result", "subtype": "error", "is_error": true, "result": "no credit"}',
    ):
        error = await failure(make(PRINT), f"say {line}")
        assert error.code == ProviderCode.PROGRAM_FAILED
        assert "no credit" in error.message


async def test_cursors_own_tools_thinking_and_usage_are_told() -> None:
    events = []
    async with aclosing(
        make(PRINT).stream_turn([UserMessage("tool")], (), TurnOptions(deadline_s=60))
    ) as turn:
        events = [event async for event in turn]
    assert [event for event in events if isinstance(event, ProviderTool)] == [
        ProviderTool("c-1", "read", "started"),
        ProviderTool("c-1", "read", "completed"),
    ]
    assert Usage(24, 6, 4) in events
    fold = await say(make(PRINT), "hello")
    assert fold.message == AssistantMessage("Good morning.", (), (Thinking("Is it morning?"),))
    assert fold.require_done().served.model == "Composer 2"


async def test_an_acp_agents_tools_thinking_and_usage_are_told() -> None:
    async with aclosing(make(ACP).stream_turn([UserMessage("tool")], (), TurnOptions(deadline_s=60))) as turn:
        events = [event async for event in turn]
    assert [event for event in events if isinstance(event, ProviderTool)] == [
        ProviderTool("c-1", "Read the map", "started"),
        ProviderTool("c-1", "Read the map", "completed"),
    ]
    assert Usage(24, 6, 4) in events
    fold = await say(make(ACP), "hello")
    assert fold.message == AssistantMessage("Good morning.", (), (Thinking("Is it morning?"),))
    assert fold.require_done().served.model == "scripted-agent"


async def test_an_acp_agent_is_permitted_once_what_was_asked_or_denied() -> None:
    asked: list[PermissionRequest] = []

    async def allow(request: PermissionRequest) -> bool:
        asked.append(request)
        return True

    async def deny(request: PermissionRequest) -> bool:
        return False

    assert (await say(make(ACP), "permission", permit=allow)).message.text == "You chose approve."
    assert asked == [PermissionRequest("c-2", "Delete the harbour", "delete", {"path": "harbour"})]
    assert (await say(make(ACP), "permission", permit=deny)).message.text == "You chose reject."
    assert (await say(make(ACP), "permission")).message.text == "You chose reject."


async def test_what_an_acp_agent_announced_is_known_when_it_asks_by_the_id_alone() -> None:
    asked: list[PermissionRequest] = []

    async def deny(request: PermissionRequest) -> bool:
        asked.append(request)
        return False

    fold = await say(make(ACP), "announced permission", permit=deny)
    assert asked == [PermissionRequest("c-2", "Delete the harbour", "delete", {"path": "harbour"})]
    assert fold.message.text == "You chose reject."  # that it ends by the denial is no failure


async def test_an_acp_agent_that_wants_a_sign_in_says_how() -> None:
    error = await failure(make(ACP), "sign in")
    assert error.code == ProviderCode.NO_KEY
    assert error.hint is not None
    assert "sign in" in error.hint


def test_an_acp_entry_says_what_it_lacks() -> None:
    for entry, part in (
        ({"provider": "acp"}, "command"),
        ({"provider": "acp", "command": "x", "apiKeyRef": "env:A"}, "keyVariable"),
    ):
        with pytest.raises(PloinkyError, match=part):
            make(dict(entry))


async def test_a_flood_of_output_does_not_fill_the_memory(tmp_path: Path) -> None:
    script = tmp_path / "flood.py"
    script.write_text("import sys\nsys.stdin.read()\nwhile True: sys.stdout.write('x' * 65536)\n")
    error = await failure(make(PRINT, args=[str(script), "-p"]), "hello")
    assert error.code == ProviderCode.TOO_LARGE


async def test_a_program_that_writes_faster_than_anybody_reads_waits(tmp_path: Path) -> None:
    script = tmp_path / "fast.py"
    script.write_text(
        "import json, os, sys\nsys.stdin.read()\n"
        "for n in range(20000):\n"
        "    text = str(n) + 'x' * 1000\n"
        "    print(json.dumps({'type': 'assistant_delta', 'data': {'content': text}}))\n"
        "print(json.dumps({'type': 'done'}))\n"
    )
    provider = make(PRINT, args=[str(script), "-p"])
    count = 0
    async with aclosing(provider.stream_turn([UserMessage("x")], (), TurnOptions(deadline_s=120))) as turn:
        async for event in turn:
            if isinstance(event, TextDelta):
                assert event.text.startswith(f"{count}x")
                count += 1
                if count == 1:
                    await anyio.lowlevel.checkpoint()
    assert count == 20000


def test_a_conversation_becomes_one_prompt_with_the_last_message_as_itself() -> None:
    messages: list[Message] = [
        SystemMessage("Be brief."),
        UserMessage("One?"),
        AssistantMessage("Two."),
        UserMessage("Three?"),
    ]
    prompt = as_prompt(messages)
    assert prompt.endswith("\n\nThree?")
    assert "<instructions>\nBe brief.\n</instructions>" in prompt
    assert "User: One?\n\nYou: Two." in prompt
    assert as_prompt([UserMessage("Alone")]) == "Alone"
    assert os.linesep in as_prompt([SystemMessage("x")])
