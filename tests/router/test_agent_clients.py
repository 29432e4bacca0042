"""The clients that lie in ``/Agent/client``: Python and Node programs of an agent call another agent."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from ploinky.channel.binary import launcher_folder
from ploinky.gateway.app import Listen, serve
from tests.conformance.stage import node
from tests.router.stand import OWNER_TOKEN, Stand, open_stand

CLIENTS = launcher_folder({}) / "client"
PYTHON = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ploinky_client import PloinkyError, ToolError, call_tool, get_resource, list_tools
def tried(work):
    try: return work()
    except ToolError as error: return ["tool", str(error)]
    except PloinkyError as error: return ["refused", error.code]
print(json.dumps([
    call_tool("beta.say", {"text": "größe"}).text,
    call_tool("count").structured,
    [tool["name"] for tool in list_tools("beta")],
    get_resource("x://grüße", "beta"),
    list(get_resource("x://bytes")),
    tried(lambda: call_tool("beta.fails")),
    tried(lambda: call_tool("gamma.hidden")),
    tried(lambda: call_tool("beta.nothing")),
]))
"""
NODE = """
const { callTool, listTools, getResource, ToolError } = await import(process.argv[2] + "/ploinky_client.mjs");
const told = (error) => (error instanceof ToolError ? ["tool", error.message] : ["refused", error.code]);
const tried = (work) => work().catch(told);
console.log(JSON.stringify([
  (await callTool("beta.say", { text: "größe" })).text,
  (await callTool("count")).structured,
  (await listTools("beta")).map((tool) => tool.name),
  await getResource("x://grüße", "beta"),
  [...(await getResource("x://bytes"))],
  await tried(() => callTool("beta.fails")),
  await tried(() => callTool("gamma.hidden")),
  await tried(() => callTool("beta.nothing")),
]));
"""
HALF = 'echo \'{"progress": 1, "total": 2}\' >&2; sleep 0.8; echo done'
EXPECTED = [
    "größe",
    {"n": 2},
    ["say", "count", "fails", "task"],
    "hello",
    [255, 0],
    ["tool", "no luck"],
    ["refused", -32600],
    ["refused", -32602],
]


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with open_stand("alpha", "beta", "gamma") as each:
        beta, gamma = each.agents["beta"], each.agents["gamma"]
        beta.program("bytes.sh", "printf '\\377\\000'")
        beta.configure(
            beta.tool("say", 'printf "%s\\n" "$INPUT_TEXT"', inputSchema={"text": {"type": "string"}}),
            beta.tool("count", "echo '{\"n\": 2}'", outputSchema={"type": "object"}),
            beta.tool("fails", "echo no luck >&2; exit 1"),
            beta.tool("task", HALF, **{"async": True}),
            resources=[
                {"name": "greeting", "uri": "x://grüße", "text": "hello"},
                {"name": "bytes", "uri": "x://bytes", "command": "bytes.sh"},
            ],
        )
        gamma.configure(gamma.tool("hidden", "echo never"))
        each.agents["alpha"].may_call = frozenset({"beta"})
        await each.look()
        yield each


@pytest.mark.parametrize(
    ("program", "text"), [(sys.executable, PYTHON), (str(node()), NODE)], ids=["python", "node"]
)
async def test_an_agents_program_calls_another_agent(
    stand: Stand, tmp_path: Path, program: str, text: str
) -> None:
    script = tmp_path / ("call.py" if text is PYTHON else "call.mjs")
    script.write_text(text, encoding="utf-8")
    environ = {"PLOINKY_ROUTER_URL": f"http://127.0.0.1:{stand.port}", "PLOINKY_AGENT_TOKEN": "agent:alpha"}
    with anyio.fail_after(30):
        done = await anyio.run_process([program, str(script), str(CLIENTS)], env=environ, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == EXPECTED


@pytest.mark.parametrize(
    ("program", "text"), [(sys.executable, PYTHON), (str(node()), NODE)], ids=["python", "node"]
)
async def test_without_a_network_it_comes_by_the_door_in_the_agent(
    stand: Stand, tmp_path: Path, program: str, text: str
) -> None:
    script = tmp_path / ("call.py" if text is PYTHON else "call.mjs")
    script.write_text(text, encoding="utf-8")
    door, stop = stand.root / "door.sock", anyio.Event()
    environ = {
        "PLOINKY_ROUTER_URL": f"http://127.0.0.1:{stand.port}",
        "PLOINKY_AGENT_TOKEN": "agent:alpha",
        "PLOINKY_ROUTER_SOCKET": str(door),
    }
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve, stand.app(), Listen(uds=str(door)), stop=stop))
        with anyio.fail_after(30):
            words = [program, str(script), str(CLIENTS)]
            done = await anyio.run_process(words, env=environ, check=False)
            door.unlink()
            without = await anyio.run_process(words, env=environ, check=False)
        stop.set()
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == EXPECTED
    assert without.returncode == 1
    assert b"cannot be asked" in without.stderr  # no other way is tried


PAGE = """
const source = await (await fetch(process.argv[2] + "/MCPBrowserClient.js")).text();
const { MCPBrowserClient } = await import("data:text/javascript," + encodeURIComponent(source));
const client = new MCPBrowserClient({ base: process.argv[2], agent: "beta", token: process.argv[3] });
const seen = [];
const failed = await client.callTool("fails").catch((error) => [error.isToolError, error.message]);
console.log(JSON.stringify([
  (await client.callTool("say", { text: "größe" })).text,
  (await client.callTool("task", {}, { onProgress: (message) => seen.push(message) })).text,
  seen,
  (await client.listTools()).length,
  await client.getResource("x://grüße"),
  [...(await client.getResource("x://bytes"))],
  failed,
]));
"""


async def test_a_page_uses_the_module_that_the_gateway_serves(stand: Stand, tmp_path: Path) -> None:
    script = tmp_path / "page.mjs"
    script.write_text(PAGE, encoding="utf-8")
    words = [str(node()), str(script), f"http://127.0.0.1:{stand.port}", OWNER_TOKEN]
    with anyio.fail_after(30):
        done = await anyio.run_process(words, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found == ["größe", "done", ["50 %"], 4, "hello", [255, 0], [True, "no luck"]]
