"""A program that acts as ``cursor-agent`` does: lines of JSON on its output, by what it is told.

With ``-p`` it takes a prompt as text and answers in ``stream-json``; without, it takes one line with a whole
turn and answers in that dialect. It knows ``forever``, ``deaf`` (ignores TERM), ``child PATH``, ``say JSON``
(writes that line), ``crash``, ``environment PATH`` and ``tool``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path


def say(event: object) -> None:
    print(event if isinstance(event, str) else json.dumps(event), flush=True)


def misbehave(text: str) -> None:
    """What has nothing to do with an answer."""
    if "deaf" in text:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if found := re.search(r"child (\S+)", text):
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        Path(found[1]).write_text(str(child.pid))
    if found := re.search(r"environment (\S+)", text):
        Path(found[1]).write_text(json.dumps({"env": dict(os.environ), "argv": sys.argv}))
    if "crash" in text:
        print(f"not signed in {os.environ.get('CURSOR_API_KEY', '')}", file=sys.stderr, flush=True)
        sys.exit(7)


def print_mode() -> None:
    text = sys.stdin.read()
    misbehave(text)
    say({"type": "system", "subtype": "init", "model": "Composer 2", "session_id": "s"})
    say({"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]}})
    say({"type": "thinking", "subtype": "delta", "text": "Is it morning?"})
    say({"type": "thinking", "subtype": "completed"})
    for line in re.findall(r"^say (.*)$", text, re.MULTILINE):
        say(line)
    if "tool" in text:
        call: dict[str, object] = {"args": {"path": "map"}}
        for subtype in ("started", "completed"):
            told = {
                "type": "tool_call",
                "subtype": subtype,
                "call_id": "c-1",
                "tool_call": {"readToolCall": call},
            }
            say(told)
            call["result"] = {"success": {}}
    pieces = ["Good ", "morn", "ing."]
    for piece in pieces:
        say(
            {
                "type": "assistant",
                "message": {"content": [{"type": "text", "text": piece}]},
                "timestamp_ms": 1,
            }
        )
    while "forever" in text:
        say(
            {
                "type": "assistant",
                "message": {"content": [{"type": "text", "text": "tick "}]},
                "timestamp_ms": 1,
            }
        )
        time.sleep(0.01)
    say({"type": "assistant", "message": {"content": [{"type": "text", "text": "".join(pieces)}]}})
    usage = {"inputTokens": 24, "outputTokens": 6, "cacheReadTokens": 4}
    say(
        {"type": "result", "subtype": "success", "is_error": False, "result": "".join(pieces), "usage": usage}
    )


def turn_mode() -> None:
    turn = json.loads(sys.stdin.readline())
    last = turn["messages"][-1]
    misbehave(last["content"])
    say({"type": "protocol", "data": {"version": "1.0"}})
    for line in re.findall(r"^say (.*)$", last["content"], re.MULTILINE):
        say(line)
    if turn["tools"] and last["role"] == "user":
        say(
            {
                "type": "tool_call",
                "data": {"id": "c-1", "name": turn["tools"][0]["name"], "args": {"pattern": "*.md"}},
            }
        )
        say({"type": "usage", "data": {"promptTokens": 20, "completionTokens": 2}})
        say({"type": "done", "data": {}})
        return
    for piece in ("All ", "done."):
        say({"type": "assistant_delta", "data": {"content": piece}})
    if "say " not in last["content"]:
        say({"type": "assistant_delta", "data": {"content": "All done.", "isFullMessage": True}})
    while "forever" in last["content"]:
        say({"type": "assistant_delta", "data": {"content": "tick "}})
        time.sleep(0.01)
    say({"type": "done", "data": {}})


if __name__ == "__main__":
    print_mode() if "-p" in sys.argv else turn_mode()
