"""An MCP server of the session era in one file of the standard library: for sandboxes that have no SDK."""

from __future__ import annotations

import json
import os
import sys

TOOL = {"name": "whereami", "description": "Says where it runs.", "inputSchema": {"type": "object"}}
CALLS: list[str] = []


def result_of(method: str) -> object:
    if method == "initialize":
        info = {"name": "pipe", "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        CALLS.append(method)
        said = {"calls": len(CALLS), "greeting": os.environ.get("GREETING"), "uid": os.getuid()}
        return {"content": [{"type": "text", "text": json.dumps(said)}]}
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": result_of(message["method"])}
        print(json.dumps(answer), flush=True)
