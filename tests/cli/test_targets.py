"""The targets of the agent model, by the real command.

A busy machine takes its time now and then, so what counts of a short command is the best of a few tries.
"""

from __future__ import annotations

import time
from statistics import median

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.cli.stage import Done, Stage

pytestmark = pytest.mark.bubblewrap


def timed(stage: Stage, *words: str) -> tuple[float, Done]:
    began = time.monotonic()
    done = stage.run(*words)
    return time.monotonic() - began, done


async def test_the_targets_of_the_agent_model_are_met(stage: Stage) -> None:
    enable_s = min(timed(stage, "enable", "agent", f"echo as e{number}")[0] for number in range(5))
    start_s, started = timed(stage, "start", "echo", "--json")
    create_s = next(
        line["seconds"] for line in started.lines if line.get("kind") == "step_done" and line["step"] == 3
    )
    headers = {"Authorization": f"Bearer {stage.run('token').out.strip()}"}
    calls_s = []
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        url = f"http://127.0.0.1:{stage.endpoint.port}/mcps/echo/mcp"
        async with Client(streamable_http_client(url, http_client=http)) as client:
            for _ in range(20):
                began = time.monotonic()
                assert not (await client.call_tool("say", {"text": "x"})).is_error
                calls_s.append(time.monotonic() - began)
    stop_s, _ = timed(stage, "stop", "echo")
    figures = {
        "enable": enable_s,
        "create": create_s,
        "start": start_s,
        "call": median(calls_s),
        "stop": stop_s,
    }
    limits = {"enable": 1.0, "create": 5.0, "start": 10.0, "call": 0.1, "stop": 5.0}
    assert {name: figure for name, figure in figures.items() if figure >= limits[name]} == {}
