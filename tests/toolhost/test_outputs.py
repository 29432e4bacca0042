"""What a program's output may be: text, content blocks, an image or a sound, an error of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import anyio
import pytest

from ploinky.toolhost.config import ConfigError, parse_mcp_config
from ploinky.toolhost.host import ToolHost
from ploinky.toolhost.results import ProgramError
from ploinky.toolhost.said import LogMessage
from tests.toolhost.stage import META, Follower, agent, hosting

BLOCKS = [
    {"type": "text", "text": "one"},
    {"type": "image", "data": "AA==", "mimeType": "image/png"},
    {"type": "resource", "resource": {"uri": "x://y", "text": "z"}},
    {"type": "text", "text": "two"},
]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
KEPT = 'while IFS= read -r line; do echo \'{"content": [{"type": "text", "text": "line"}]}\'; done'


@pytest.fixture(scope="module")
async def host() -> AsyncIterator[ToolHost]:
    async with agent() as made:
        say = {name: f"cat <<'END'\n{json.dumps(answer)}\nEND" for name, answer in _ANSWERS.items()}
        tools = [made.tool(name, script, output="content") for name, script in say.items()]
        tools += [
            made.tool("picture", "printf '\\211PNG'", output="image/png"),
            made.tool("garbage", "echo hello", output="content"),
            made.tool("refused", 'echo \'{"error": {"code": -32000, "message": "no"}}\'; exit 1'),
            made.tool("kept", KEPT, output="content", mode="persistent"),
            made.tool("said", 'echo \'{"log": {"a": 1}, "level": "warning", "logger": "me"}\' >&2; echo'),
        ]
        tools[0]["outputSchema"] = tools[1]["outputSchema"] = SCHEMA
        made.configure(*tools)
        async with hosting(made) as each:
            yield each


_ANSWERS: dict[str, object] = {
    "structured": {"structuredContent": {"n": 1}},
    "unstructured": {"content": BLOCKS},
    "listed": BLOCKS,
    "failed": {"content": [{"type": "text", "text": "bad"}], "isError": True},
    "unknown": [{"type": "smell"}],
    "half": [{"type": "image", "data": "AA=="}],
}


async def test_content_blocks_are_the_answer(host: ToolHost) -> None:
    result = await host.call("listed", {}, META)
    assert (result.blocks, result.text, result.is_error) == (BLOCKS, "one\ntwo", False)
    failed = await host.call("failed", {}, META)
    assert (failed.is_error, failed.text) == (True, "bad")
    assert (await host.call("kept", {}, META)).blocks == [{"type": "text", "text": "line"}]


async def test_structured_content_is_checked_and_shown_as_text_too(host: ToolHost) -> None:
    result = await host.call("structured", {}, META)
    assert (result.structured, result.blocks) == ({"n": 1}, [{"type": "text", "text": '{"n":1}'}])
    assert "outputSchema" in (await host.call("unstructured", {}, META)).text


@pytest.mark.parametrize("name", ["garbage", "unknown", "half"])
async def test_what_is_no_content_is_an_error_of_the_tool(host: ToolHost, name: str) -> None:
    result = await host.call(name, {}, META)
    assert result.is_error
    assert "did not answer with" in result.text


async def test_a_picture_is_the_output_itself(host: ToolHost) -> None:
    (block,) = (await host.call("picture", {}, META)).blocks
    assert block == {"type": "image", "data": base64.b64encode(b"\x89PNG").decode(), "mimeType": "image/png"}


async def test_an_error_with_a_number_is_the_calls_not_the_tools(host: ToolHost) -> None:
    with pytest.raises(ProgramError) as seen:
        await host.call("refused", {}, META)
    assert (seen.value.rpc_code, seen.value.message) == (-32000, "no")


async def test_log_lines_are_told(host: ToolHost) -> None:
    follower = Follower()
    await host.call("said", {}, META, follower)
    assert follower.logs == [LogMessage("warning", {"a": 1}, "me")]


async def test_what_is_said_before_an_answer_is_heard_before_it() -> None:
    async with agent() as made:
        script = (
            'n=0; while IFS= read -r line; do n=$((n+1)); echo "{\\"progress\\": $n}" >&2; echo done; done'
        )
        made.configure(made.tool("kept", script, mode="persistent"))
        async with hosting(made) as host:
            for number in range(1, 51):
                follower = Follower()
                await host.call("kept", {}, META, follower)
                assert [each.progress for each in follower.seen] == ([1] if number == 1 else [number])


async def test_several_processes_of_a_kept_program_work_at_once() -> None:
    async with agent() as made:
        wait = "echo y >> at; until [ -e go ]; do sleep 0.01; done; echo ok"
        script = f"echo x >> starts; while IFS= read -r line; do {wait}; done"
        program = made.tool("one", script, mode="persistent", workers=2)
        made.configure(program, {**program, "name": "two"})
        at, go = made.folder / "at", made.folder / "go"
        async with hosting(made) as host, anyio.create_task_group() as tasks:
            for name in ("one", "two", "one"):
                tasks.start_soon(host.call, name, {}, META)
            with anyio.fail_after(10):
                while not at.exists() or len(at.read_text("ascii").split()) < 2:
                    await anyio.sleep(0.01)
            await anyio.wait_all_tasks_blocked()
            assert len(at.read_text("ascii").split()) == 2
            go.touch()
        assert (made.folder / "starts").read_text("ascii").split() == ["x", "x"], "shared by both tools"


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({"output": "image/png", "mode": "persistent"}, "answers with lines"),
        ({"workers": 2}, "persistent"),
        ({"output": "video/mp4"}, "match"),
        ({"asks": ["money"]}, "'elicitation', 'sampling' or 'roots'"),
    ],
)
def test_what_does_not_fit_together_is_a_fault(tool: dict[str, object], message: str) -> None:
    text = json.dumps({"tools": [{"name": "t", "command": "c", **tool}]})
    with pytest.raises(ConfigError, match=message):
        parse_mcp_config(text, source="x")
