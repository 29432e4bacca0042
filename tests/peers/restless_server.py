"""A session server on its pipes that floods, streams without end, keeps state and asks.

Written by hand, so that nothing slows it down.

``restless_server.py FOLDER``: every process writes its pid into a file of that folder.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

TOOLS = ("flood", "scatter", "steps", "remember", "recall", "who", "touch")
ANSWERS: dict[str, Any] = {}
ANSWERED = threading.Condition()
WRITING = threading.Lock()
KEPT: list[str] = []


def say(message: dict[str, Any]) -> None:
    line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
    with WRITING:
        sys.stdout.write(line)
        sys.stdout.flush()


def tell(method: str, **params: Any) -> None:
    say({"method": method, "params": params})


def flood(arguments: dict[str, Any], token: Any) -> str:
    """Log messages, which belong to the call."""
    for number in range(arguments["count"]):
        tell("notifications/message", level="info", data=f"{number} " + "x" * arguments["size"])
    KEPT.append("flooded")
    return "flooded"


def scatter(arguments: dict[str, Any], token: Any) -> str:
    """News of resources, which belong to no call."""
    for number in range(arguments["count"]):
        tell("notifications/resources/updated", uri=f"restless://{number}/" + "x" * arguments["size"])
    return "scattered"


def steps(arguments: dict[str, Any], token: Any) -> str:
    """Progress without end."""
    number = 0
    while True:
        number += 1
        tell("notifications/progress", progressToken=token, progress=number)
        time.sleep(0.02)


def remember(arguments: dict[str, Any], token: Any) -> str:
    KEPT.append(arguments["what"])
    return recall({}, None)


def recall(arguments: dict[str, Any], token: Any) -> str:
    return json.dumps(KEPT)


def who(arguments: dict[str, Any], token: Any) -> str:
    """Ask the client by its person and by its model."""
    form = {"type": "object", "properties": {"name": {"type": "string"}}}
    person = ask("elicitation/create", message="who?", requestedSchema=form)
    prompt = [{"role": "user", "content": {"type": "text", "text": "who?"}}]
    model = ask("sampling/createMessage", messages=prompt, maxTokens=10)
    return f"{person['content']['name']} {model['content']['text']}"


def touch(arguments: dict[str, Any], token: Any) -> str:
    tell("notifications/resources/updated", uri="restless://own")
    return "touched"


def ask(method: str, **params: Any) -> Any:
    question = f"q{len(ANSWERS)}-{time.monotonic_ns()}"
    say({"id": question, "method": method, "params": params})
    with ANSWERED:
        ANSWERED.wait_for(lambda: question in ANSWERS)
    return ANSWERS[question]


def answer(message: dict[str, Any]) -> None:
    method, params = message["method"], message.get("params", {})
    result: dict[str, Any] = {}
    if method == "initialize":
        capabilities: dict[str, Any] = {"tools": {}, "logging": {}, "resources": {"subscribe": True}}
        info = {"name": "restless", "version": "1"}
        version = params["protocolVersion"]
        result = {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    elif method == "resources/list":
        result = {"resources": [{"uri": "restless://own", "name": "own"}]}
    elif method == "resources/templates/list":
        result = {"resourceTemplates": []}
    elif method == "resources/read":
        result = {"contents": [{"uri": params["uri"], "text": f"of {os.getpid()}"}]}
    elif method == "tools/call":
        token = params.get("_meta", {}).get("progressToken")
        text = globals()[params["name"]](params.get("arguments", {}), token)
        result = {"content": [{"type": "text", "text": text}]}
    say({"id": message["id"], "result": result})


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / f"{os.getpid()}.pid").write_text(str(os.getpid()), encoding="ascii")
    for line in sys.stdin:
        message = json.loads(line)
        if "method" not in message:
            with ANSWERED:
                ANSWERS[message["id"]] = message.get("result")
                ANSWERED.notify_all()
        elif "id" in message:
            threading.Thread(target=answer, args=(message,), daemon=True).start()


if __name__ == "__main__":
    main()
