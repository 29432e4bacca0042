"""What a provider adds to a model's first token, and how evenly many streams flow through providers.

The servers are real and made by others: llama.cpp's over a scripted model, so that nothing but the path takes
time, and aimock, which sends a piece every 20 ms. The floor asks by a bare HTTP client, in the same run.
"""

from __future__ import annotations

import time
from contextlib import aclosing

import aiohttp
import anyio
from tests.models.aimock import running_aimock
from tests.models.llama import MODEL, running_llama
from tests.models.scripted_gguf import Script

from bench.report import Table, median, percentile, verdict
from ploinky.providers.config import ModelConfig
from ploinky.providers.protocol import Provider, TextDelta, TurnOptions, UserMessage
from ploinky.providers.registry import ProviderContext, ProviderRegistry

TURNS = 300
STREAMS = 100
PIECE_MS = 20
ANSWER = "The harbour is quiet tonight. " * 40
ASK = "How is the harbour?"


def run(runtimes: tuple[str, ...]) -> Table:
    """First token of one turn after another, and the longest stall among a hundred streams at once."""
    return anyio.run(_run)


async def _run() -> Table:
    with running_llama(Script(greeting="All is quiet in the harbour tonight.")) as server:
        openai = _provider("openai-compatible", server.openai_url)
        anthropic = _provider("anthropic", server.url)
        floor = await _bare(server.openai_url)
        firsts = {"openai-compatible": await _firsts(openai), "anthropic": await _firsts(anthropic)}
        await openai.aclose()
        await anthropic.aclose()
    rows = [("bare HTTP client", *_spread(floor), "")]
    for name, figures in firsts.items():
        added = f"{median(figures) - median(floor):+.2f}"
        rows.append((name, *_spread(figures), added))
    stall = await _longest_stall_ms()
    worst = max(median(figures) for figures in firsts.values()) - median(floor)
    return Table(
        "First token through a provider, ms",
        ("way", "p50", "p95", "added at p50"),
        tuple(rows),
        (
            verdict("what a provider adds to the first token", worst, 10, "ms"),
            verdict(f"longest stall of {STREAMS} streams at once", stall, 200, "ms"),
        ),
    )


def _spread(figures: list[float]) -> tuple[str, str]:
    return f"{median(figures):.2f}", f"{percentile(figures, 0.95):.2f}"


def _provider(kind: str, url: str, model: str = MODEL) -> Provider:
    config = ModelConfig.model_validate({"provider": kind, "baseURL": url, "model": model})
    return ProviderRegistry.installed().make(config, ProviderContext("bench"))


async def _bare(url: str) -> list[float]:
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": ASK}]}
    figures = []
    connector = aiohttp.TCPConnector(force_close=True)  # llama.cpp ends a connection after 100 requests
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(TURNS):
            began = time.perf_counter()
            async with session.post(f"{url}/chat/completions", json=body) as response:
                async for line in response.content:
                    if b'"content":"' in line:
                        figures.append((time.perf_counter() - began) * 1000)
                        break
                await response.read()
    return figures


async def _firsts(provider: Provider) -> list[float]:
    figures = []
    for _ in range(TURNS):
        began = time.perf_counter()
        first: float | None = None
        async with aclosing(provider.stream_turn([UserMessage(ASK)], (), TurnOptions())) as turn:
            async for event in turn:
                if first is None and isinstance(event, TextDelta):
                    first = (time.perf_counter() - began) * 1000
        assert first is not None
        figures.append(first)
    return figures


async def _longest_stall_ms() -> float:
    """The longest time between two pieces of any stream beyond what the server waits between them."""
    longest = 0.0
    fixture = {"match": {}, "response": {"content": ANSWER}, "latency": PIECE_MS}

    async def follow(provider: Provider) -> None:
        nonlocal longest
        last: float | None = None
        async with aclosing(provider.stream_turn([UserMessage(ASK)], (), TurnOptions())) as turn:
            async for event in turn:
                if isinstance(event, TextDelta):
                    now = time.perf_counter()
                    longest = max(longest, 0.0 if last is None else (now - last) * 1000 - PIECE_MS)
                    last = now

    with running_aimock([fixture]) as server:
        provider = _provider("openai-compatible", server.openai_url, "gpt-4o")
        async with anyio.create_task_group() as tasks:
            for _ in range(STREAMS):
                tasks.start_soon(follow, provider)
        await provider.aclose()
    return longest
