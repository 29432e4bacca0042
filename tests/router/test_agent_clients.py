"""The clients that lie in ``/Agent/client``: Python and Node programs of an agent call another agent."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from ploinky.channel.binary import launcher_folder
from tests.conformance.stage import node
from tests.router.stand import Stand, open_stand

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
EXPECTED = [
    "größe",
    {"n": 2},
    ["say", "count", "fails"],
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
