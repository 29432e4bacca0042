"""Programs that are kept (``"mode": "persistent"``): processes that answer line by line.

For programs whose start costs more than their work. A line in is a line out; calls of one process take
turns, a ``WorkerPool`` has several. A line that is a JSON string stands for its text, an object with
``error`` for a failure, anything else for itself. A process that ends is started again by the next call;
one that is late, or whose caller went away, is ended, because its answer would be taken for the next call's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import anyio
import orjson

from ploinky.base.jsontypes import JsonValue
from ploinky.channel.client import Channel
from ploinky.channel.model import Exit, SpawnRequest
from ploinky.channel.program import Program
from ploinky.toolhost.output import OutputReader
from ploinky.toolhost.results import Ended
from ploinky.toolhost.said import StderrReader

_WELL, _FAILED = Exit(0, None), Exit(1, None)
MAX_ANSWER_BYTES = 8 * 1024 * 1024
Start = Callable[[Channel, SpawnRequest], Awaitable[Program]]


class WorkerPool:
    """The processes of one program, at most ``most``; a call takes the one that was last free."""

    def __init__(self, start: Start, most: int) -> None:
        self._free = deque(Worker(start) for _ in range(most))
        self._workers = tuple(self._free)
        self._slots = anyio.Semaphore(most)
        self.on_free: Callable[[], None] = lambda: None

    async def ask(self, channel: Channel, request: SpawnRequest, line: bytes, output: OutputReader) -> Ended:
        """See ``Worker.ask``; waits for a free process first."""
        async with self._slots:
            worker = self._free.pop()
            try:
                return await worker.ask(channel, request, line, output)
            finally:
                self._free.append(worker)
                asyncio.get_running_loop().call_soon(self.on_free)

    def take_idle(self) -> Worker | None:
        """A process that runs and waits for a line, for a call that waits for nothing; see ``give_back``."""
        if not self._free or not self._free[-1].is_idle:
            return None
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return None
        return self._free.pop()

    def give_back(self, worker: Worker) -> None:
        """The process is free again."""
        self._free.append(worker)
        self._slots.release()

    @property
    def has_busy(self) -> bool:
        """Whether a process is at work."""
        return len(self._free) < len(self._workers)

    @property
    def has_waiting(self) -> bool:
        """Whether a call that can wait waits for a process."""
        return self._slots.statistics().tasks_waiting > 0

    async def close(self) -> None:
        """End the processes; one that is at work is lost to its call."""
        for worker in self._workers:
            await worker.close()


class Worker:
    """One process, started by the first call; used by one call at a time. ``start`` spawns a program."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._program: Program | None = None
        self._made_for: tuple[Channel, SpawnRequest] | None = None

    @property
    def is_idle(self) -> bool:
        program = self._program
        return program is not None and program.exit is None and program.link.failure is None

    @property
    def program(self) -> Program | None:
        return self._program

    def discard(self) -> Program | None:
        """Let go of the process, which is the caller's to end."""
        program, self._program = self._program, None
        return program

    async def ask(self, channel: Channel, request: SpawnRequest, line: bytes, output: OutputReader) -> Ended:
        """Hand over one line and wait for one; the caller sets the deadline.

        A changed environment or connection means a new process. The result looks like that of a program
        that ran once: exit 0 and the answer, or how it ended instead of answering.

        Raises:
            PloinkyError: it cannot be started, or the agent went away.
        """
        program = await self._running(channel, request)
        answered = False
        try:
            await _drop_waiting(program)
            await program.send(line)
            ended = await _answer(program, output)
            answered = program.exit is None and not ended.exit.output_limited
            return ended
        finally:
            if not answered:
                await self.close()

    async def close(self) -> None:
        """End the process, if there is one."""
        program, self._program = self._program, None
        if program is not None:
            await program.aclose()

    async def _running(self, channel: Channel, request: SpawnRequest) -> Program:
        if self._program is not None and (
            self._program.exit is not None or self._made_for != (channel, request)
        ):
            await self.close()
        if self._program is None:
            self._program = await self._start(channel, request)
            self._made_for = (channel, request)
        return self._program


async def _answer(program: Program, output: OutputReader) -> Ended:
    async for chunk in program:
        await output.take(chunk, program)
        line, found, _ = bytes(output.stdout).partition(b"\n") if b"\n" in chunk.data else (b"", b"", b"")
        if found:
            return _ended(line, output)
        if len(output.stdout) > MAX_ANSWER_BYTES:
            return Ended(Exit(None, None, output_limited=True), b"", output.stderr.text)
    assert program.exit is not None
    if program.exit.ok:
        return Ended(Exit(1, None), b'{"error": "The program ended without an answer."}', "")
    return Ended(program.exit, bytes(output.stdout), output.stderr.text)


async def _drop_waiting(program: Program) -> None:
    """Drop what was written after the last answer: it belongs to no call."""
    while program.has_output:
        await anext(program, None)


def _ended(line: bytes, output: OutputReader) -> Ended:
    return ended_line(line, output.stderr)


def ended_line(line: bytes, stderr: StderrReader) -> Ended:
    """What a line of an answer stands for."""
    failed = False
    if line[:1] in (b'"', b"{"):
        value = _parsed(line)
        if isinstance(value, str):
            line = value.encode()
        failed = isinstance(value, dict) and value.get("error") is not None
    return Ended(_FAILED if failed else _WELL, line, stderr.text)


def _parsed(line: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value
