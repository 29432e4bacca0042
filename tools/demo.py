"""The demo: a workspace of the example agents, running, called by the official MCP client.

``demo.py start`` makes it in ``demo/`` (again or for the first time) and ``demo.py stop`` ends all that
runs. Everything is done by the ``ploinky`` command that users have; only the last part, the client,
is not: it is the official MCP SDK, as any other program would use it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

PROJECT = Path(__file__).resolve().parents[1]
WORKSPACE = PROJECT / "demo"
EXAMPLES = PROJECT / "examples"
PLOINKY = Path(sys.executable).with_name("ploinky")
CALLS: tuple[tuple[str, dict[str, object]], ...] = (
    ("find_files", {"pattern": "*.md"}),
    ("git_log", {"count": 3}),
    ("pdf_search", {"text": "tide"}),
    ("format_code", {"code": "const a={b:1,  c:[1,2]}", "language": "babel"}),
)


def say(text: str) -> None:
    print(f"[demo] {text}", flush=True)


def ploinky(*words: str, capture: bool = False) -> str:
    """Run ``ploinky`` in the demo's workspace, showing the command; its output if ``capture``."""
    if not capture:
        say(f"$ ploinky {' '.join(words)}")
    done = subprocess.run(
        [PLOINKY, *words],
        cwd=WORKSPACE,
        check=False,
        text=True,
        stdout=subprocess.PIPE if capture else None,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        say(f"'ploinky {' '.join(words)}' failed with exit code {done.returncode}; see above.")
        sys.exit(done.returncode)
    return done.stdout or ""


def free_port() -> int:
    """8080, or the next port that nobody listens on."""
    for port in range(8080, 8180):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit("No port between 8080 and 8179 is free.")


def make_workspace() -> None:
    """The folder with sample files, a git history of its own, and the examples as a repository."""
    WORKSPACE.mkdir(exist_ok=True)
    if not (WORKSPACE / ".ploinky").is_dir():
        say(f"making a workspace in {WORKSPACE}")
        ploinky("init")
        settings = {"gateway": {"port": free_port()}}
        (WORKSPACE / ".ploinky" / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        shutil.copytree(EXAMPLES / "tour" / "sample", WORKSPACE, dirs_exist_ok=True)
    if not (WORKSPACE / ".git").is_dir():
        git = ["git", "-C", str(WORKSPACE)]
        author = ["-c", "user.name=Demo", "-c", "user.email=demo@localhost"]
        subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, *author, "commit", "--quiet", "-m", "A small workspace"], check=True)
    if not (WORKSPACE / ".ploinky" / "repos" / "examples").is_dir():
        ploinky("add", "repo", "examples", str(EXAMPLES))


async def call_as_a_client(url: str, token: str) -> None:
    """List and call tools by the official MCP client, as Claude or Cursor would."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        tools = (await client.list_tools()).tools
        say(f"{url} offers {len(tools)} tools (MCP {client.protocol_version}):")
        for tool in tools:
            print(f"    {tool.name:14} {tool.description or ''}")
        for name, arguments in CALLS:
            say(f"calling {name} {json.dumps(arguments)}")
            answer = await client.call_tool(name, arguments)
            for part in answer.content:
                if isinstance(part, TextContent):
                    print("    " + part.text.strip().replace("\n", "\n    "))
            if answer.is_error:
                say(f"{name} failed")
                sys.exit(1)


def start(runtime: str) -> None:
    began = time.monotonic()
    make_workspace()
    ploinky("--runtime", runtime, "start", "tour")
    ploinky("status")
    facts = json.loads(ploinky("--json", "status", capture=True))
    url = facts["router"]["url"]
    token = ploinky("token", capture=True).strip()
    anyio.run(call_as_a_client, f"{url}/mcp", token)
    folder = os.path.relpath(WORKSPACE)
    executable = os.path.relpath(PLOINKY)
    say(f"ready after {time.monotonic() - began:.1f} s")
    print(f"""
  MCP server   {url}/mcp  (one agent alone: {url}/mcps/<agent>/mcp)
  Web UI       {executable} --workspace {folder} open --print  (a link that logs a browser in)
  Token        {executable} --workspace {folder} token
  Claude       {executable} --workspace {folder} mcp config claude
  Cursor       {executable} --workspace {folder} mcp config cursor
  By hand      {executable} --workspace {folder} call git.git_status
  Stop         make stop
""")


def stop() -> None:
    if not (WORKSPACE / ".ploinky").is_dir():
        say("nothing to stop")
        return
    ploinky("shutdown")
    say("stopped; the workspace stays in demo/ for the next 'make demo'")


def main() -> None:
    parser = argparse.ArgumentParser(description="Start or stop the demo workspace.")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--runtime", choices=["sandbox", "podman", "docker"], default="sandbox")
    options = parser.parse_args()
    if options.action == "start":
        start(options.runtime)
    else:
        stop()


if __name__ == "__main__":
    main()
