"""MCP servers that others made and published, each an agent by its command alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ploinky.router.servers.source import PortSource, StdioSource
from tests.router.official import http_client, text_of
from tests.router.servers import free_port, look_until_offered, npm_program, running, wait_for_port
from tests.router.stand import Stand, open_stand

SERVER = "dist/index.js"
BOTH_ERAS = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


@pytest.fixture(scope="module")
async def stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    shelf = tmp_path_factory.mktemp("shelf").resolve()
    (shelf / "note.txt").write_text("a note on the shelf", "utf-8")
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(shelf)], check=True)
    memory = (("MEMORY_FILE_PATH", str(shelf / "memory.jsonl")),)
    commands = {
        "everything": StdioSource(npm_program("@modelcontextprotocol/server-everything", SERVER)),
        "filesystem": StdioSource(
            (*npm_program("@modelcontextprotocol/server-filesystem", SERVER), str(shelf))
        ),
        "memory": StdioSource(npm_program("@modelcontextprotocol/server-memory", SERVER), memory),
        "git": StdioSource((sys.executable, "-m", "mcp_server_git", "--repository", str(shelf))),
        "time": StdioSource((sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC")),
    }
    async with open_stand(*commands) as stand:
        for key, source in commands.items():
            stand.agents[key].server = source
        stand.root.joinpath("shelf").symlink_to(shelf)
        await look_until_offered(stand, *commands)
        yield stand


def shelf_of(stand: Stand) -> Path:
    return stand.root.joinpath("shelf").resolve()


@BOTH_ERAS
async def test_everything(stand: Stand, mode: str) -> None:
    async with http_client(stand, mode, agent="everything") as client:
        assert text_of(await client.call_tool("echo", {"message": "hello"})) == "Echo: hello"
        assert (await client.list_resources()).resources
        assert (await client.list_prompts()).prompts


@BOTH_ERAS
async def test_filesystem(stand: Stand, mode: str) -> None:
    async with http_client(stand, mode, agent="filesystem") as client:
        note = str(shelf_of(stand) / "note.txt")
        assert text_of(await client.call_tool("read_text_file", {"path": note})) == "a note on the shelf"
        outside = await client.call_tool("read_text_file", {"path": "/etc/passwd"})
        assert outside.is_error


@BOTH_ERAS
async def test_memory(stand: Stand, mode: str) -> None:
    async with http_client(stand, mode, agent="memory") as client:
        entity = {"name": f"Ada {mode}", "entityType": "person", "observations": ["counts"]}
        await client.call_tool("create_entities", {"entities": [entity]})
        assert f"Ada {mode}" in text_of(await client.call_tool("read_graph"))


@BOTH_ERAS
async def test_git(stand: Stand, mode: str) -> None:
    async with http_client(stand, mode, agent="git") as client:
        answer = await client.call_tool("git_status", {"repo_path": str(shelf_of(stand))})
        assert "note.txt" in text_of(answer)


@BOTH_ERAS
async def test_time(stand: Stand, mode: str) -> None:
    async with http_client(stand, mode, agent="time") as client:
        answer = await client.call_tool("get_current_time", {"timezone": "Europe/Bucharest"})
        assert "Europe/Bucharest" in text_of(answer)


@BOTH_ERAS
async def test_all_of_them_are_one_server(stand: Stand, mode: str) -> None:
    async with http_client(stand, mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"echo", "read_text_file", "create_entities", "git_status", "get_current_time"} <= names
        assert text_of(await client.call_tool("echo", {"message": "all"})) == "Echo: all"
        assert "note.txt" in text_of(
            await client.call_tool("git_status", {"repo_path": str(shelf_of(stand))})
        )


@BOTH_ERAS
async def test_a_server_that_listens_on_a_port_of_its_own(mode: str) -> None:
    port = free_port()
    words = [*npm_program("@modelcontextprotocol/server-everything", SERVER), "streamableHttp"]
    async with running(words, {"PORT": str(port)}), open_stand("everything") as stand:
        await wait_for_port(port)
        stand.agents["everything"].server = PortSource(port)
        await look_until_offered(stand, "everything")
        async with http_client(stand, mode, agent="everything") as client:
            assert text_of(await client.call_tool("echo", {"message": "hello"})) == "Echo: hello"
