"""One run of one program: started, handed its line, listened to, ended by its limit or its caller.

Knows what a program is, not what its answer means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.channel.client import Channel
from ploinky.channel.model import SpawnRequest
from ploinky.channel.program import Program
from ploinky.toolhost.listener import Listener
from ploinky.toolhost.output import OutputReader, Patience
from ploinky.toolhost.place import ToolPlace, spawn_request
from ploinky.toolhost.results import Ended
from ploinky.toolhost.specs import ProgramSpec
from ploinky.toolhost.workers import WorkerPool

_LIMIT_SLACK_S = 5.0
NOT_STARTED = frozenset(
    {"PROGRAM_NOT_FOUND", "PROGRAM_NOT_EXECUTABLE", "PROGRAM_BAD_CWD", "PROGRAM_NOT_STARTED"}
)
GetChannel = Callable[[], Awaitable[Channel]]


@dataclass(frozen=True)
class Run:
    """What to run: the program, its input, further variables, who listens, the kept processes if any."""

    spec: ProgramSpec
    line: bytes
    variables: Mapping[str, str]
    listener: Listener
    pool: WorkerPool | None = None


class Runner:
    """Runs programs of one agent."""

    def __init__(self, place: ToolPlace, channel: GetChannel) -> None:
        self._place = place
        self._channel = channel

    async def run(self, run: Run) -> Ended:
        """Run it to its end; cancelling ends the program's group.

        Raises:
            DeadlineError: it did not end in time. (A program that runs once is ended by the launcher, which
                is no error; this is for a launcher that does not, and for programs that are kept or ask.)
            PloinkyError: one of ``NOT_STARTED``, or the agent is or went away.
        """
        environment = {**await self._place.environment(), **run.variables}
        request = spawn_request(run.spec, self._place, environment)
        channel = await self._channel()
        timed_here = run.pool is not None or bool(run.spec.asks)
        patience = Patience(run.spec.limit_s + (0.0 if timed_here else request.grace_s + _LIMIT_SLACK_S))
        output = OutputReader(run.listener, run.spec.asks, patience)
        with patience.scope:
            return await self._found(run, channel, request, output)
        raise DeadlineError("the program's answer", run.spec.limit_s)

    async def _found(self, run: Run, channel: Channel, request: SpawnRequest, output: OutputReader) -> Ended:
        try:
            return await _end_of(run, channel, request, output)
        except PloinkyError as error:
            if error.code != "PROGRAM_NOT_FOUND" or "/" in run.spec.command:
                raise
        word = replace(request, argv=(run.spec.command, *run.spec.args))
        return await _end_of(run, channel, word, output)


async def _end_of(run: Run, channel: Channel, request: SpawnRequest, output: OutputReader) -> Ended:
    if run.pool is not None:
        return await run.pool.ask(channel, request, run.line, output)
    if run.spec.asks:
        return await _converse(channel, request, run.line, output)
    finished = await channel.run(request, stdin=run.line, on_output=output.take)
    return Ended(finished.exit, bytes(output.stdout), output.stderr.text)


async def _converse(channel: Channel, request: SpawnRequest, line: bytes, output: OutputReader) -> Ended:
    """A program whose input stays open, for the answers to what it asks."""
    async with channel.spawn(request) as program:
        await program.send(line)
        async for chunk in program:
            await output.take(chunk, program)
        exit_ = await program.wait()
    return Ended(exit_, bytes(output.stdout), output.stderr.text)


async def start_kept(channel: Channel, request: SpawnRequest) -> Program:
    """Start a program that is kept: without limits of its own."""
    return await channel.spawn(replace(request, timeout_s=None, max_output=None))
