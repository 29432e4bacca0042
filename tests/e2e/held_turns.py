"""Turns that a test holds wherever it likes: an assistant that asks a real model through a witness."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.stage import Stage, give_back, make_stage
from tests.e2e.test_assistant_loop import kill_gateway, settings
from tests.gateway.web import Web, web_of
from tests.models.llama import running_llama
from tests.models.scripted_gguf import Script
from tests.models.witness import Witness, witnessed

ANSWER = "It was said over the water."
SCRIPT = Script(calls=[("echo__say", {"text": "ahoy"})], answer=ANSWER, greeting="Good morning to you.")


@contextmanager
def holding_workspace(folder: Path) -> Iterator[tuple[Stage, Witness]]:
    """The workspace in ``folder`` with ``echo`` started, and the witness that can hold its model."""
    runtime = Path(tempfile.mkdtemp(prefix="pq-", dir="/tmp"))
    with running_llama(SCRIPT, context=16384) as server, witnessed(server.url) as witness:
        stage = make_stage(folder, runtime)
        tools = {"allow": ["echo.*"], "trust": ["echo.*"]}
        config = {**settings(f"{witness.url}/v1"), "tools": tools}
        stage.layout.config_file.write_text(json.dumps(config), encoding="utf-8")
        stage.run("start", "echo")
        try:
            yield stage, witness
        finally:
            give_back(stage)
    shutil.rmtree(runtime)


def thread(web: Web, session: str) -> list[tuple[str, str]]:
    messages = web.call("chat.getThread", sessionId=session)["messages"]
    return [(message["role"], message["content"]) for message in messages]


def killed(stage: Stage, witness: Witness) -> Web:
    kill_gateway(stage)
    witness.release()
    return web_of(stage)


def interrupted(web: Web, run_id: str) -> dict[str, Any]:
    ended: dict[str, Any] = web.call("agent.wait", runId=run_id)
    assert (ended["status"], ended["error"]["code"]) == ("interrupted", "RUN_INTERRUPTED")
    return ended
