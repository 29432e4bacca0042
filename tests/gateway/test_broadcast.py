"""Events for many listeners: each gets all from when it came, a slow one loses the oldest."""

from __future__ import annotations

import anyio

from ploinky.gateway.broadcast import KEPT, Broadcast
from ploinky.wire.events import Event, Notice


def said(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


async def collect(
    broadcast: Broadcast, into: list[Event], *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    task_status.started()
    into.extend([event async for event in broadcast.listen()])


async def test_every_listener_gets_every_event_until_the_end() -> None:
    broadcast = Broadcast()
    first: list[Event] = []
    second: list[Event] = []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for into in (first, second):
                await tasks.start(lambda into=into, **status: collect(broadcast, into, **status))
            await anyio.wait_all_tasks_blocked()
            broadcast.send(Notice(message="a"))
            broadcast.send(Notice(message="b"))
            await anyio.wait_all_tasks_blocked()
            broadcast.close()
    assert said(first) == said(second) == ["a", "b"]


async def test_a_slow_listener_loses_the_oldest_and_holds_up_nobody() -> None:
    broadcast = Broadcast()
    got: list[Event] = []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            await tasks.start(lambda **status: collect(broadcast, got, **status))
            await anyio.wait_all_tasks_blocked()
            for number in range(KEPT + 5):
                broadcast.send(Notice(message=str(number)))
            await anyio.wait_all_tasks_blocked()
            broadcast.close()
    assert said(got) == [str(number) for number in range(5, KEPT + 5)]
