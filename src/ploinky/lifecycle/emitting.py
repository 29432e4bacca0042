"""From coroutines that emit events to async iterators of events.

Inside this package work is a coroutine with an ``emit`` parameter, so that task groups and deadlines
never surround a ``yield``. ``as_events`` makes the public iterators of them, in one place.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from ploinky.wire.events import Event

Emit = Callable[[Event], Awaitable[None]]
Events = AsyncGenerator[Event, None]


@dataclass
class _Handed:
    """An event on its way, and the moment when its receiver came back for the next."""

    event: Event
    taken: anyio.Event = field(default_factory=anyio.Event)


async def as_events(work: Callable[[Emit], Awaitable[None]]) -> Events:
    """Run ``work`` and yield what it emits; ``emit`` returns when the next event is asked for.

    So ``work`` never runs ahead of its consumer. What ``work`` raises is raised here, after its events.
    Iterate to the end, or close the generator (``contextlib.aclosing``) in the task that iterates: that
    cancels ``work``.
    """
    failures: list[Exception] = []
    send, receive = anyio.create_memory_object_stream[_Handed](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run, work, send, failures)
        async with receive:
            async for handed in receive:
                try:
                    yield handed.event
                except GeneratorExit:  # must not pass through the task group, which would wrap it
                    break
                handed.taken.set()
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


async def _run(
    work: Callable[[Emit], Awaitable[None]],
    send: MemoryObjectSendStream[_Handed],
    failures: list[Exception],
) -> None:
    async def emit(event: Event) -> None:
        handed = _Handed(event)
        await send.send(handed)
        await handed.taken.wait()

    async with send:
        try:
            await work(emit)
        except Exception as error:
            failures.append(error)
