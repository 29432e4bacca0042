"""The example workspace, unchanged, on each runtime, called by the official MCP client in both modes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests import images
from tests.cli.stage import Stage

EXAMPLES = Path(__file__).parents[2] / "examples"
CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("files", "find_files", {"pattern": "*.md"}, "welcome.md"),
    ("files", "search_text", {"pattern": "HARBOUR|handbook", "regex": True}, "handbook"),
    ("git", "git_status", {}, "No commits yet"),
    ("documents", "pdf_search", {"text": "tide"}, "High tide is published"),
    ("documents", "pdf_info", {"path": "handbook.pdf"}, "The Harbour Handbook"),
    ("formatter", "format_code", {"code": "const a={b:1}", "language": "babel"}, "const a = { b: 1 };"),
    ("formatter", "check_format", {"code": "a;\n", "language": "babel"}, '"formatted":true'),
]


@pytest.fixture(scope="module")
def example_images(runtime: str) -> Iterator[None]:
    """The images that the examples name; those that were made here are removed again."""
    made = []
    if runtime != "sandbox":
        for tag, recipe in images.RECIPES.items():
            if not images.present(runtime, tag):
                images.make(runtime, tag, recipe)
                made.append(tag)
    yield
    for tag in made:
        images.remove(runtime, tag)


@pytest.fixture(scope="module")
def tour(example_images: None, workspace: Stage) -> Stage:
    """All examples run in the workspace of the tour."""
    shutil.copytree(EXAMPLES / "tour" / "sample", workspace.root, dirs_exist_ok=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=workspace.root, check=True)
    workspace.run("add", "repo", "examples", str(EXAMPLES))
    workspace.run("start", "tour")
    return workspace


@asynccontextmanager
async def client_of(stage: Stage, path: str, mode: str) -> AsyncIterator[Client]:
    url = stage.run("status", "--json").json["router"]["url"]
    headers = {"Authorization": f"Bearer {stage.run('token').out.strip()}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{url}{path}", http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_client_lists_and_calls_every_agent_on_the_one_server(
    tour: Stage, mode: str
) -> None:
    async with client_of(tour, "/mcp", mode) as client:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {tool for _, tool, _, _ in CALLS} <= names
        for _, tool, arguments, expected in CALLS:
            answer = await client.call_tool(tool, arguments)
            texts = [part.text for part in answer.content if isinstance(part, TextContent)]
            assert (answer.is_error, expected in "\n".join(texts)) == (False, True), (tool, texts)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("agent", ["files", "git", "documents", "formatter"])
async def test_the_official_client_lists_and_calls_one_agent_alone(
    tour: Stage, agent: str, mode: str
) -> None:
    async with client_of(tour, f"/mcps/{agent}/mcp", mode) as client:
        offered = {tool.name for tool in (await client.list_tools()).tools}
        calls = [call for call in CALLS if call[0] == agent]
        assert {tool for _, tool, _, _ in calls} <= offered
        assert not {tool for other, tool, _, _ in CALLS if other != agent} & offered
        for _, tool, arguments, expected in calls:
            answer = await client.call_tool(tool, arguments)
            assert expected in "".join(part.text for part in answer.content if isinstance(part, TextContent))


def test_nothing_is_installed_again_when_nothing_changed(tour: Stage) -> None:
    tour.run("stop")
    again = tour.run("start", "--json")
    installs = [line for line in again.lines if line.get("step") in (6, 7) and not line.get("skipped")]
    assert installs == []
    assert tour.run("call", "formatter.check_format", "-p", "code=a;", "-p", "language=babel").code == 0


def test_an_agent_in_a_bare_busybox_serves_a_shell_tool(tour: Stage, runtime: str) -> None:
    if runtime != "sandbox":
        lacks = tour.run("exec", "files", "--", "sh", "-c", "command -v python3 node perl", code=None)
        assert lacks.out == ""
    found = tour.run("call", "files.read_lines", "-p", "path=welcome.md", "-p", "count=1")
    assert found.out.strip() == "1  # Welcome"
