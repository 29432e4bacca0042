"""Iterators of events made of coroutines: order, errors, early ends."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from ploinky.lifecycle.emitting import Emit, as_events
from ploinky.wire.events import Notice


async def say(emit: Emit, text: str) -> None:
    await emit(notice(text))


def notice(text: str) -> Notice:
    return Notice(message=text)


async def test_work_never_runs_ahead_of_its_consumer() -> None:
    done: list[str] = []

    async def work(emit: Emit) -> None:
        for name in ("one", "two"):
            await emit(notice(name))
            done.append(name)

    seen: list[list[str]] = []
    async for _ in as_events(work):
        await anyio.wait_all_tasks_blocked()
        seen.append(list(done))
    assert seen == [[], ["one"]]
    assert done == ["one", "two"]


async def test_an_error_comes_after_the_events_before_it_and_as_itself() -> None:
    async def work(emit: Emit) -> None:
        await emit(notice("first"))
        raise ValueError("broken")

    events = as_events(work)
    assert await anext(events) == notice("first")
    with pytest.raises(ValueError, match="broken"):
        await anext(events)


async def test_closing_early_cancels_the_work_and_runs_its_clean_up() -> None:
    cleaned = anyio.Event()

    async def work(emit: Emit) -> None:
        try:
            await emit(notice("first"))
            await anyio.sleep_forever()
        finally:
            cleaned.set()

    async with aclosing(as_events(work)) as events:
        async for _ in events:
            break
    assert cleaned.is_set()


async def test_tasks_side_by_side_emit_one_event_each_at_a_time() -> None:
    async def work(emit: Emit) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(say, emit, str(number))

    texts = [event.message async for event in as_events(work) if isinstance(event, Notice)]
    assert sorted(texts, key=int) == [str(number) for number in range(20)]
