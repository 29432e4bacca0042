"""Programs that are kept (``"mode": "persistent"``): one process per tool that answers line by line.

For programs whose start costs more than their work. A line in is a line out; calls take turns. A line that
is a JSON string stands for its text, an object with ``error`` for a failure, anything else for itself. A
process that ends is started again by the next call; one that is late, or whose caller went away, is ended,
because its answer would be taken for the next call's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import orjson

from ploinky.base.jsontypes import JsonValue
from ploinky.channel.client import Channel
from ploinky.channel.model import Exit, SpawnRequest
from ploinky.channel.program import Program
from ploinky.toolhost.output import OutputReader
from ploinky.toolhost.results import Ended

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_STRAGGLERS_S = 0.01
Start = Callable[[Channel, SpawnRequest], Awaitable[Program]]


class Worker:
    """The process of one tool, started by the first call. ``start`` spawns a program."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._turn = anyio.Lock()
        self._program: Program | None = None
        self._made_for: tuple[Channel, SpawnRequest] | None = None

    async def ask(self, channel: Channel, request: SpawnRequest, line: bytes, output: OutputReader) -> Ended:
        """Hand over one line and wait for one; the caller sets the deadline.

        A changed environment or connection means a new process. The result looks like that of a program
        that ran once: exit 0 and the answer, or how it ended instead of answering.

        Raises:
            PloinkyError: it cannot be started, or the agent went away.
        """
        async with self._turn:
            program = await self._running(channel, request)
            answered = False
            try:
                await _take_waiting(program, OutputReader(None), within_s=0)
                await program.send(line)
                ended = await _answer(program, output)
                if output.wants_progress:
                    await _take_waiting(program, output, within_s=_STRAGGLERS_S)
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
        await output.take(chunk)
        line, found, _ = bytes(output.stdout).partition(b"\n") if b"\n" in chunk.data else (b"", b"", b"")
        if found:
            return _ended(line, output)
        if len(output.stdout) > MAX_ANSWER_BYTES:
            return Ended(Exit(None, None, output_limited=True), b"", output.stderr.text)
    assert program.exit is not None
    if program.exit.ok:
        return Ended(Exit(1, None), b'{"error": "The program ended without an answer."}', "")
    return Ended(program.exit, bytes(output.stdout), output.stderr.text)


async def _take_waiting(program: Program, output: OutputReader, *, within_s: float) -> None:
    """Take what was written already: stdout and stderr are two pipes, and neither waits for the other."""
    with anyio.move_on_after(within_s):
        async for chunk in program:
            await output.take(chunk)


def _ended(line: bytes, output: OutputReader) -> Ended:
    value = _parsed(line)
    if isinstance(value, str):
        line = value.encode()
    failed = isinstance(value, dict) and value.get("error") is not None
    return Ended(Exit(1 if failed else 0, None), line, output.stderr.text)


def _parsed(line: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value
