"""How an agent's Python program calls other agents, through the router, as itself.

    import sys; sys.path.insert(0, "/Agent/client")
    from ploinky_client import call_tool, list_tools, get_resource

    print(call_tool("texts.word_count", {"text": "a b"}).text)

Standard library only; address and token come from the environment that every agent has. A name is
``AGENT.TOOL`` (or ``AGENT.`` and a URI), or the name that the thing has at the endpoint of all agents.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

_VERSION = "2026-07-28"
_META = "io.modelcontextprotocol/"


class PloinkyError(Exception):
    """The router or the agent refused; ``code`` is JSON-RPC's, or None if the router could not be asked."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ToolError(PloinkyError):
    """The tool ran and failed; the message is what it said."""


@dataclass(frozen=True)
class ToolResult:
    """``text`` is all text that the tool answered, ``content`` every block, ``structured`` its JSON."""

    text: str
    content: list[dict[str, Any]]
    structured: Any = None


def call_tool(name: str, arguments: dict[str, Any] | None = None, *, timeout_s: float = 600) -> ToolResult:
    """Call a tool and wait for its end.

    Raises:
        ToolError: it failed. PloinkyError: it could not be called.
    """
    agent, tool = _split(name)
    result = _ask(agent, "tools/call", tool, {"name": tool, "arguments": arguments or {}}, timeout_s)
    blocks = result.get("content", [])
    text = "\n".join(block["text"] for block in blocks if "text" in block)
    if result.get("isError"):
        raise ToolError(text or f"The tool {name} failed and said nothing.")
    return ToolResult(text, blocks, result.get("structuredContent"))


def list_tools(agent: str | None = None, *, timeout_s: float = 30) -> list[dict[str, Any]]:
    """The tools that this agent may call: all, or those of one agent by their own names."""
    tools: list[dict[str, Any]] = _ask(agent, "tools/list", None, {}, timeout_s)["tools"]
    return tools


def get_resource(uri: str, agent: str | None = None, *, timeout_s: float = 60) -> str | bytes:
    """What a resource holds: a text, or bytes.

    Raises:
        PloinkyError: there is none, or it cannot be read.
    """
    contents = _ask(agent, "resources/read", uri, {"uri": uri}, timeout_s)["contents"]
    first = contents[0]
    return str(first["text"]) if "text" in first else base64.b64decode(first["blob"])


def _split(name: str) -> tuple[str | None, str]:
    agent, dot, tool = name.partition(".")
    return (agent, tool) if dot else (None, name)


def _ask(
    agent: str | None, method: str, name: str | None, params: dict[str, Any], timeout_s: float
) -> dict[str, Any]:
    url, token = os.environ.get("PLOINKY_ROUTER_URL"), os.environ.get("PLOINKY_AGENT_TOKEN")
    if not url or not token:
        raise PloinkyError(
            "PLOINKY_ROUTER_URL and PLOINKY_AGENT_TOKEN are missing: is this an agent's program?"
        )
    meta = {_META + "protocolVersion": _VERSION, _META + "clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "MCP-Protocol-Version": _VERSION,
        "Mcp-Method": method,
    }
    if name is not None:
        headers["Mcp-Name"] = _header(name)
    if os.environ.get("TRACEPARENT"):
        headers["traceparent"] = os.environ["TRACEPARENT"]
    address = url.rstrip("/") + (f"/mcps/{agent}/mcp" if agent else "/mcp")
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)  # noqa: S310 (the router's)
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if os.environ.get("PLOINKY_ROUTER_SOCKET"):
        handlers.append(_DoorHandler())
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(request, timeout=timeout_s) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
    except OSError as error:
        raise PloinkyError(f"The router at {url} cannot be asked: {error}") from error
    if "error" in answer:
        raise PloinkyError(str(answer["error"].get("message")), answer["error"].get("code"))
    result: dict[str, Any] = answer["result"]
    return result


class _Door(http.client.HTTPConnection):
    """To the router, from an agent without a network: by the socket that lies in it."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.environ["PLOINKY_ROUTER_SOCKET"])

    def send(self, data: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # a refusal may have come before the whole was sent
            super().send(data)


class _DoorHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Door, req)


def _header(name: str) -> str:
    plain = name.isascii() and name.isprintable() and name == name.strip()
    return name if plain else f"=?base64?{base64.b64encode(name.encode()).decode()}?="
