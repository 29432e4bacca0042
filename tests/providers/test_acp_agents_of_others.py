"""An agent made by others over ``acp``: Qwen Code, from npm, in front of a scripted model.

It tells things as our own agent does not: what a tool is only when it asks to be permitted, and the usage
with its pieces. Each turn starts it anew, which takes seconds: few turns, each looked at from all sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ploinky.base.waits import wait_until
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.protocol import (
    Done,
    PermissionAnswer,
    PermissionRequest,
    Provider,
    ProviderTool,
    Served,
    StopReason,
    TextDelta,
    TurnEvent,
    TurnOptions,
    Usage,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from tests.models.aimock import running_aimock
from tests.models.faulty import refusal, running_faulty
from tests.models.qwen_code import SHELL, qwen_code_entry, require_qwen_code

KEY = "sk-planted-0123456789abcdef"
MAKE = {"command": "mkdir harbour", "description": "Make a harbour", "is_background": False}
FIXTURES: list[dict[str, object]] = [
    {"match": {"userMessage": "forever"}, "response": {"content": "tick tock " * 4000}, "latency": 20},
    {
        "match": {"hasToolResult": True},
        "response": {"content": "So be it.", "usage": {"prompt_tokens": 50, "completion_tokens": 5}},
    },
    {
        "match": {"userMessage": "build"},
        "response": {
            "toolCalls": [{"name": SHELL, "arguments": json.dumps(MAKE)}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 4},
        },
    },
    {"match": {"userMessage": "hello"}, "response": {"content": "Good morning, said the sea."}},
]


@dataclass(frozen=True)
class Bench:
    """A home and a working folder for the agent."""

    home: Path
    folder: Path

    def provider(self, url: str, *, key: bool = True) -> Provider:
        entry = qwen_code_entry(url, "env:MODEL_KEY" if key else None)
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "MODEL_KEY": KEY}
        context = ProviderContext("tested", Keyring(None, environ, "main"), environ, folder=self.folder)
        return ProviderRegistry.installed().make(ModelConfig.model_validate(entry), context)


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The gateway's loop."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    require_qwen_code(tmp_path / "home")
    return Bench(tmp_path / "home", tmp_path / "folder")


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with running_aimock(FIXTURES) as server:
        yield server.openai_url


async def hear(provider: Provider, text: str, permit: PermissionAnswer | None = None) -> list[TurnEvent]:
    options = TurnOptions(deadline_s=120, permit=permit)
    async with aclosing(provider.stream_turn([UserMessage(text)], (), options)) as turn:
        return [event async for event in turn]


def said(events: Sequence[TurnEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextDelta)]


async def test_it_answers_piece_by_piece_and_says_who_it_is_and_what_it_took(
    bench: Bench, model: str
) -> None:
    events = await hear(bench.provider(model), "hello")
    assert "".join(said(events)) == "Good morning, said the sea."
    assert len(said(events)) > 1
    usage = [event for event in events if isinstance(event, Usage)]
    assert len(usage) == 1
    assert usage[0].input_tokens > 1000  # its own instructions and tools are counted, too
    assert usage[0].output_tokens > 0
    assert events[-1] == Done(StopReason.END, Served("tested", "acp", "qwen-code"))


async def test_it_does_what_it_is_permitted_once(bench: Bench, model: str) -> None:
    asked: list[PermissionRequest] = []

    async def allow(request: PermissionRequest) -> bool:
        asked.append(request)
        return not (bench.folder / "harbour").exists()

    events = await hear(bench.provider(model), "build", allow)
    assert (bench.folder / "harbour").is_dir()
    assert [(request.kind, request.arguments) for request in asked] == [("execute", MAKE)]
    call_id, title = asked[0].call_id, asked[0].title
    assert "mkdir harbour" in title
    assert [event for event in events if isinstance(event, ProviderTool)] == [
        ProviderTool(call_id, title, "started"),
        ProviderTool(call_id, title, "completed"),
    ]
    assert "".join(said(events)) == "So be it."
    assert [event for event in events if isinstance(event, Usage)] == [Usage(90, 9)]


async def test_it_does_nothing_that_nobody_permits(bench: Bench, model: str) -> None:
    events = await hear(bench.provider(model), "build")
    assert not (bench.folder / "harbour").exists()
    assert not [event for event in events if isinstance(event, ProviderTool)]
    assert "".join(said(events)) == "So be it."


async def test_it_ends_with_its_turn_in_the_middle_of_an_answer(bench: Bench, model: str) -> None:
    provider = bench.provider(model)
    options = TurnOptions(deadline_s=120)
    async with aclosing(provider.stream_turn([UserMessage("forever")], (), options)) as turn:
        async for event in turn:
            if isinstance(event, TextDelta):
                break
        assert _working_in(bench.folder)

    async def gone() -> bool:
        return not _working_in(bench.folder)

    await wait_until(gone, what="the agent to end", timeout_s=30)


async def test_it_says_what_its_model_has_against_it_without_the_key(bench: Bench) -> None:
    wrong = {"error": {"message": f"The key {KEY} has expired"}}
    async with running_faulty(refusal(401, wrong)) as server:
        with pytest.raises(ProviderError, match="has expired") as caught:
            await hear(bench.provider(server.openai_url), "hello")
        assert f"authorization: bearer {KEY}" in server.exchanges[0].head.lower()
    assert caught.value.code == ProviderCode.PROGRAM_FAILED
    assert KEY not in str(caught.value)


async def test_it_says_that_it_has_no_key(bench: Bench, model: str) -> None:
    with pytest.raises(ProviderError, match="OPENAI_API_KEY") as caught:
        await hear(bench.provider(model, key=False), "hello")
    assert caught.value.code == ProviderCode.NO_KEY


def _working_in(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder:
                found.append(int(link.parent.name))
        except OSError:
            continue  # ended meanwhile, or another's
    return found
