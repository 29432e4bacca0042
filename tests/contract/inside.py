"""Look at a sandbox from inside, and at what its engine tells, always with a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from ploinky.channel.client import open_channel
from ploinky.channel.model import Finished, LaunchRequest, RestartPolicy, SpawnRequest
from ploinky.runtimes.protocol import Runtime, RuntimeEvent, RuntimeEventKind
from ploinky.runtimes.spec import RunSpec

ENV = (("PATH", "/usr/local/bin:/usr/bin:/bin"),)
DEADLINE_S = 30.0


async def sh(spec: RunSpec, script: str, *, stdin: bytes = b"") -> Finished:
    """Run a shell script inside to its end."""
    with anyio.fail_after(DEADLINE_S):
        async with open_channel(spec.socket_path) as channel:
            return await channel.run(SpawnRequest(("/bin/sh", "-c", script), env=ENV), stdin)


async def text_of(spec: RunSpec, script: str) -> str:
    """What a script that must end well printed, without the last newline."""
    done = await sh(spec, script)
    assert done.exit.ok, (done.exit, done.stderr)
    return done.stdout.decode().rstrip("\n")


async def launch(
    spec: RunSpec, script: str, *, restart: RestartPolicy = RestartPolicy.NEVER, grace_s: float = 5.0
) -> None:
    """Make a shell script the agent's main command."""
    with anyio.fail_after(DEADLINE_S):
        async with open_channel(spec.socket_path) as channel:
            await channel.launch(
                LaunchRequest(("/bin/sh", "-c", script), env=ENV, restart=restart, grace_s=grace_s)
            )


class Events:
    """Events of a workspace as they come."""

    def __init__(self, received: MemoryObjectReceiveStream[RuntimeEvent]) -> None:
        self._received = received

    async def next(self) -> RuntimeEvent:
        with anyio.fail_after(DEADLINE_S):
            return await self._received.receive()

    async def wait_for(self, kind: RuntimeEventKind, name: str) -> RuntimeEvent:
        """The next event of a kind and name; others before it are dropped."""
        with anyio.fail_after(DEADLINE_S):
            async for event in self._received:
                if (event.kind, event.name) == (kind, name):
                    return event
        raise AssertionError("the stream of events ended")


@asynccontextmanager
async def events_of(runtime: Runtime, workspace: str) -> AsyncIterator[Events]:
    """Listen from now on, while the context is open."""
    sending, receiving = anyio.create_memory_object_stream[RuntimeEvent](1000)
    stream = runtime.events(workspace)

    async def pump() -> None:
        async for event in stream:
            sending.send_nowait(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pump)
        with sending, receiving:
            yield Events(receiving)
            tasks.cancel_scope.cancel()
