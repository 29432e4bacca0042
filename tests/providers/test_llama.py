"""llama.cpp's own server when things go wrong: too much context, a client that leaves, a server that dies."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from ploinky.base.jsontypes import JsonValue
from ploinky.base.waits import wait_until
from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.folding import read_turn
from ploinky.providers.protocol import Message, Provider, StopReason, TextDelta, TurnOptions, UserMessage
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script

OPTIONS = TurnOptions(deadline_s=60, retry_budget_s=0)
KINDS = pytest.mark.parametrize("kind", ["openai-compatible", "anthropic"])
FOREVER: list[Message] = [UserMessage("forever")]


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    with running_llama(Script(greeting="Good morning."), context=65536, parallel=1) as running:
        yield running


def make(server: LlamaServer, kind: str) -> Provider:
    entry: dict[str, JsonValue] = {"provider": kind, "baseURL": server.openai_url, "model": MODEL}
    return ProviderRegistry.installed().make(ModelConfig.model_validate(entry), ProviderContext("m"))


@KINDS
async def test_more_than_the_window_holds_is_an_overflow_and_no_cut_prompt(kind: str) -> None:
    with running_llama(Script(), context=512) as small:
        provider = make(small, kind)
        assert (await provider.model_info()).context_tokens == 512
        with pytest.raises(ProviderError) as caught:
            await read_turn(provider.stream_turn([UserMessage("tide " * 1000)], (), OPTIONS))
        await provider.aclose()
    assert caught.value.code == ProviderCode.CONTEXT_OVERFLOW


@KINDS
async def test_the_server_stops_generating_when_nobody_listens(server: LlamaServer, kind: str) -> None:
    provider = make(server, kind)
    async with aclosing(provider.stream_turn(FOREVER, (), OPTIONS)) as turn:
        async for event in turn:
            if isinstance(event, TextDelta):
                break

    async def idle() -> bool:
        with urllib.request.urlopen(f"{server.url}/slots", timeout=30) as answer:
            return not any(slot["is_processing"] for slot in json.load(answer))

    await wait_until(idle, what="the server to stop", timeout_s=30)
    fold = await read_turn(provider.stream_turn([UserMessage("hello")], (), OPTIONS))  # its only slot is free
    assert fold.message.text == "Good morning."
    await provider.aclose()


@KINDS
async def test_an_answer_is_as_long_as_it_may_be(server: LlamaServer, kind: str) -> None:
    provider = make(server, kind)
    options = TurnOptions(max_output_tokens=7, deadline_s=60)
    fold = await read_turn(provider.stream_turn(FOREVER, (), options))
    await provider.aclose()
    assert fold.message.text == "tick tock " * 7
    assert fold.require_done().reason is StopReason.MAX_TOKENS
    assert fold.usage is not None
    assert fold.usage.output_tokens == 7


@KINDS
async def test_a_server_that_dies_in_the_middle_cuts_the_answer(kind: str) -> None:
    with running_llama(Script(), context=65536) as mortal:
        provider = make(mortal, kind)
        said: list[str] = []

        async def listen() -> None:
            async with aclosing(provider.stream_turn(FOREVER, (), OPTIONS)) as turn:
                async for event in turn:
                    if isinstance(event, TextDelta):
                        said.append(event.text)
                        if len(said) == 10:
                            mortal.die()

        with pytest.raises(ProviderError) as caught:
            await listen()
        assert caught.value.code == ProviderCode.STREAM_CUT
        assert "".join(said).startswith("tick tock " * 5)
        with pytest.raises(ProviderError) as again:
            await read_turn(provider.stream_turn(FOREVER, (), OPTIONS))
        assert again.value.code == ProviderCode.UNREACHABLE
        await provider.aclose()
