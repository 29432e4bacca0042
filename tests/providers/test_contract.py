"""What every provider promises, shown on each of them against a server or program made by others."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.folding import TurnFold, read_turn
from ploinky.providers.protocol import (
    Done,
    Message,
    Provider,
    StopReason,
    SystemMessage,
    TextDelta,
    Tool,
    ToolChoice,
    ToolMessage,
    TurnOptions,
    Usage,
    UserMessage,
)
from tests.providers.subjects import CALL, ENVIRON, SUBJECTS, Stage

OPTIONS = TurnOptions(deadline_s=120, idle_timeout_s=60, retry_budget_s=0)
HELLO: list[Message] = [SystemMessage("You live in a harbour."), UserMessage("hello")]
FOREVER: list[Message] = [UserMessage("forever")]
TOOL = Tool(
    CALL[0],
    "Find files by a pattern.",
    {"type": "object", "properties": {"pattern": {"type": "string"}}, "required": ["pattern"]},
)


@pytest.fixture(scope="module", params=SUBJECTS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with SUBJECTS[request.param]() as running:
        yield running


@pytest.fixture
async def provider(stage: Stage) -> AsyncIterator[Provider]:
    made, models = stage.make()
    yield made
    await models.aclose()


async def turn(
    provider: Provider, messages: list[Message], tools: tuple[Tool, ...] = (), options: TurnOptions = OPTIONS
) -> TurnFold:
    return await read_turn(provider.stream_turn(messages, tools, options))


async def test_an_answer_is_streamed_byte_for_byte_and_ends_with_who_served(
    stage: Stage, provider: Provider
) -> None:
    async with aclosing(provider.stream_turn(HELLO, (), OPTIONS)) as events:
        told = [event async for event in events]
    pieces = [event.text for event in told if isinstance(event, TextDelta)]
    assert "".join(pieces) == stage.greeting
    assert len(pieces) > 1
    done = told[-1]
    assert isinstance(done, Done)
    assert done.reason is StopReason.END
    assert done.served.model_id == ("good" if stage.others else "tested")
    assert done.served.provider
    assert done.served.model
    usages = [event for event in told if isinstance(event, Usage)]
    assert len(usages) == (1 if stage.tells_usage else 0)


async def test_a_tool_is_called_by_our_name_and_its_result_answered(stage: Stage, provider: Provider) -> None:
    if stage.answer is None:
        assert (await turn(provider, HELLO, (TOOL,))).message.text == stage.greeting  # not offered, not lost
        return
    fold = await turn(provider, HELLO, (TOOL,))
    assert fold.require_done().reason is StopReason.TOOL_CALLS
    (call,) = fold.message.tool_calls
    assert (call.name, call.arguments, call.malformed) == (CALL[0], CALL[1], None)
    assert call.id
    result = ToolMessage(call.id, call.name, "a.md\nb.md")
    answered = await turn(provider, [*HELLO, fold.message, result], (TOOL,))
    assert answered.message.text == stage.answer
    assert answered.require_done().reason is StopReason.END


async def test_no_tool_is_offered_where_none_may_be_called(stage: Stage, provider: Provider) -> None:
    if stage.answer == stage.greeting:
        return  # a program that says one thing only
    options = TurnOptions(deadline_s=120, tool_choice=ToolChoice.NONE)
    assert (await turn(provider, HELLO, (TOOL,), options)).message.text == stage.greeting


async def test_many_turns_run_side_by_side(stage: Stage, provider: Provider) -> None:
    folds = await asyncio.gather(*(turn(provider, HELLO) for _ in range(8)))
    assert {fold.message.text for fold in folds} == {stage.greeting}


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_an_answer_that_nobody_wants_any_more_ends(stage: Stage, provider: Provider, how: str) -> None:
    heard = asyncio.Event()

    async def listen() -> None:
        async with aclosing(provider.stream_turn(FOREVER, (), OPTIONS)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    heard.set()
                    if how == "close":
                        return

    task = asyncio.create_task(listen())
    await asyncio.wait_for(heard.wait(), 60)
    if how == "cancel":
        task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.done()
    assert (await turn(provider, HELLO)).message.text == stage.greeting


async def test_an_answer_without_end_runs_into_the_deadline(provider: Provider) -> None:
    with pytest.raises(ProviderError) as caught:
        await turn(provider, FOREVER, (), TurnOptions(deadline_s=0.8, idle_timeout_s=30))
    assert caught.value.code == ProviderCode.TIMEOUT


async def test_models_are_listed_and_known(stage: Stage, provider: Provider) -> None:
    if not stage.others:  # of which one is away
        assert set(stage.models) <= {model.name for model in await provider.list_models()}
    assert (await provider.model_info()).name
    if stage.unknown:
        with pytest.raises(ProviderError) as caught:
            await provider.model_info("no-such-model")
        assert caught.value.code == ProviderCode.MODEL_NOT_FOUND


async def test_a_closed_provider_says_so_and_closes_twice(stage: Stage) -> None:
    provider, models = stage.make()
    await turn(provider, HELLO)
    await models.aclose()
    await provider.aclose()
    if stage.closes:
        with pytest.raises(ProviderError) as caught:
            await turn(provider, HELLO)
        assert caught.value.code == ProviderCode.CLOSED


async def test_nothing_of_a_provider_shows_a_secret(stage: Stage) -> None:
    provider, models = stage.make()
    await turn(provider, HELLO)
    shown = repr(provider) + repr(vars(provider)) + repr(models)
    await models.aclose()
    for name in ("MODEL_KEY", "OTHER_SECRET"):
        assert ENVIRON[name] not in shown


async def test_nothing_is_left_when_a_turn_is_dropped_half_way(provider: Provider) -> None:
    events = provider.stream_turn(FOREVER, (), OPTIONS)
    await anext(events)
    await events.aclose()
    del events
    gc.collect()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task for task in others if "ploinky" in repr(task.get_coro())] == []
