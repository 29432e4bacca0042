"""A program that runs in a sandbox, as seen from the host.

At most one window (256 KiB) of its output is kept here; while nobody reads, the launcher stops reading it
too and the program waits in its own write. Other programs of the same connection are not held up by that.
"""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

import anyio

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.channel import errors
from ploinky.channel.frames import (
    CHUNK_BYTES,
    ExitFlag,
    FrameType,
    KillFlag,
    MalformedError,
    ReplyTag,
    RequestTag,
    SpawnFlag,
    decode_entries,
    encode_frame,
    entry,
    integer,
    rlimit_entry,
    size_payload,
)
from ploinky.channel.link import Conversation, FlowWindow, Link
from ploinky.channel.model import Exit, ProgramChunk, SpawnRequest, milliseconds

_MARGIN_S = 5.0  # what a launcher may take beyond a program's own limits before it is given up


class Program(Conversation):
    """A running program. Leaving its ``async with`` block ends it, and waits until it has ended."""

    def __init__(self, link: Link, request: SpawnRequest) -> None:
        super().__init__(link, repr(request.argv[0]))
        self.request = request
        self.pid = 0
        self.exit: Exit | None = None
        self._error: PloinkyError | None = None
        self._chunks: deque[ProgramChunk] = deque()
        self._window = FlowWindow()
        self._discard = False
        self._hear: Callable[[ProgramChunk | None], None] | None = None
        self._input_ended = request.no_stdin
        self._left = request.max_output
        limit_s = request.timeout_s
        self._give_up_at = (
            None if limit_s is None else anyio.current_time() + limit_s + request.grace_s + _MARGIN_S
        )

    @property
    def has_output(self) -> bool:
        """Whether the next piece of output is here already."""
        return bool(self._chunks)

    async def send(self, data: bytes) -> None:
        """Write to the program's input; waits while it does not read. Ignored once it has ended.

        Raises:
            ValueError: after ``end_input``.
        """
        if self._input_ended:
            raise ValueError("the input of this program was ended")
        view = memoryview(data)
        while view and self.exit is None:
            await self._until(lambda: self._window.may_send > 0 or self.exit is not None)
            piece = view[: min(self._window.may_send, CHUNK_BYTES)]
            self._window.sent(len(piece))
            self.emit(FrameType.STDIN, bytes(piece))
            view = view[len(piece) :]
            await self.link.flush()

    def send_now(self, data: bytes) -> bool:
        """Write to the program's input without waiting; False, and nothing is written, if that cannot be."""
        if self.exit is not None or self._input_ended or self.link.failure is not None:
            return False
        if len(data) > min(self._window.may_send, CHUNK_BYTES) or self._chunks:
            return False
        self._window.sent(len(data))
        self.emit(FrameType.STDIN, data)
        return True

    def hear(self, take: Callable[[ProgramChunk | None], None] | None) -> None:
        """Give every further chunk to ``take`` when it comes, and None when the program has ended or is lost;
        with None, keep chunks for the next who reads."""
        self._hear = take

    def on_lost(self) -> None:
        if self._hear is not None:
            self._hear(None)

    async def end_input(self) -> None:
        """Close the program's input (in a terminal: type its end-of-file character). Idempotent."""
        if not self._input_ended:
            self._input_ended = True
            self.emit(FrameType.STDIN_EOF)
            await self.link.flush()

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group; no effect once the program has ended."""
        self.emit(FrameType.SIGNAL, bytes([number]))
        await self.link.flush()

    async def resize(self, rows: int, cols: int) -> None:
        """Change the size of its terminal; the program gets SIGWINCH."""
        self.emit(FrameType.RESIZE, size_payload(rows, cols))
        await self.link.flush()

    async def kill(self) -> None:
        """Ask the group to end (TERM), and kill it when the request's grace is over. Does not wait."""
        self.emit(FrameType.KILL)
        await self.link.flush()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ProgramChunk:
        """The next piece of output; the iteration ends when the program has ended and all was read."""
        await self._until(lambda: bool(self._chunks) or self.exit is not None)
        if not self._chunks:
            raise StopAsyncIteration
        chunk = self._chunks.popleft()
        self._took(len(chunk.data))
        return chunk

    async def wait(self) -> Exit:
        """Wait for the end, dropping output that was not read.

        Raises:
            PloinkyError: ``CHANNEL_LOST`` if the sandbox went away with the program.
            DeadlineError: if the launcher does not report the end of a program with ``timeout_s``.
        """
        self._drop_output()
        await self._until(lambda: self.exit is not None)
        assert self.exit is not None
        return self.exit

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the program if it runs; returns when it has ended, even if the task is cancelled."""
        if self.exit is None and self._error is None and self.link.failure is None:
            self._drop_output()
            self.emit(FrameType.KILL, bytes([KillFlag.DISCARD]))
            with anyio.move_on_after(self.request.grace_s + _MARGIN_S, shield=True):
                with contextlib.suppress(PloinkyError):  # CHANNEL_LOST: the program is gone with it
                    await self.until(lambda: self.exit is not None or self._error is not None)
        self.forget()

    def start(self, first_input: bytes | None) -> None:
        """Send SPAWN, and with it input that is complete (None: input comes later)."""
        frames = encode_frame(FrameType.SPAWN, self.id, _spawn_payload(self.request))
        if first_input is not None:
            self._input_ended = True
            self._window.sent(len(first_input))
            for at in range(0, len(first_input), CHUNK_BYTES):
                frames += encode_frame(FrameType.STDIN, self.id, first_input[at : at + CHUNK_BYTES])
            if not self.request.no_stdin:
                frames += encode_frame(FrameType.STDIN_EOF, self.id)
        self.link.send(frames)

    async def started(self, timeout_s: float) -> None:
        """Wait for STARTED.

        Raises:
            PloinkyError: why the program was not started.
        """
        try:
            await self.until(
                lambda: self.pid != 0 or self._error is not None,
                timeout_s=timeout_s,
                what=f"the launcher to start {self.subject}",
            )
        except BaseException:
            self.emit(FrameType.KILL, bytes([KillFlag.DISCARD]))
            self.forget()
            raise
        if self._error is not None:
            raise self._error

    def on_frame(self, kind: int, payload: bytes) -> None:
        if kind == FrameType.STARTED and self.pid == 0:
            self.pid = integer(decode_entries(payload), ReplyTag.PID) or -1
        elif kind == FrameType.ERROR and self.pid == 0:
            self._error = errors.refusal(payload, self.subject)
            self.forget()
        elif kind == FrameType.WINDOW:
            self._window.granted(payload)
        elif kind == FrameType.STDOUT and self.pid != 0:
            self._print("stdout", payload)
        elif kind == FrameType.STDERR and self.pid != 0:
            self._print("stderr", payload)
        elif kind == FrameType.EXIT and self.pid != 0:
            self.exit = _exit(payload)
            self.forget()
            if self._hear is not None:
                self._hear(None)
        else:
            raise MalformedError("a frame that does not fit its program")

    def _print(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self._window.received(len(data))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise MalformedError("more output than was asked for")
        if self._discard:
            self._took(len(data))
        elif self._hear is not None and data:
            self._took(len(data))
            self._hear(ProgramChunk(stream, data))
        elif data:
            self._chunks.append(ProgramChunk(stream, data))

    def _took(self, size: int) -> None:
        due = self._window.taken(size)
        if due is not None and self.exit is None:
            self.emit(FrameType.WINDOW, due)

    def _drop_output(self) -> None:
        self._discard = True
        while self._chunks:
            self._took(len(self._chunks.popleft().data))

    async def _until(self, ready: Callable[[], bool]) -> None:
        if self._give_up_at is None or ready():
            await self.until(ready)
            return
        left_s = max(0.0, self._give_up_at - anyio.current_time())
        try:
            await self.until(ready, timeout_s=left_s, what=f"the end of {self.subject}")
        except DeadlineError as error:
            raise DeadlineError(f"the end of {self.subject}", self.request.timeout_s or 0.0) from error


def _spawn_payload(request: SpawnRequest) -> bytes:
    flags = SpawnFlag.MERGE if request.merge_stderr else SpawnFlag(0)
    flags |= SpawnFlag.NO_STDIN if request.no_stdin else SpawnFlag(0)
    parts = [entry(RequestTag.ARGV, word) for word in request.argv]
    parts += [entry(RequestTag.ENV, f"{name}={value}") for name, value in request.env]
    parts.append(entry(RequestTag.CWD, request.cwd))
    parts.append(entry(RequestTag.GRACE_MS, milliseconds(request.grace_s)))
    if request.pty is not None:
        flags |= SpawnFlag.PTY
        parts += [entry(RequestTag.ROWS, request.pty[0]), entry(RequestTag.COLS, request.pty[1])]
    if request.timeout_s is not None:
        parts.append(entry(RequestTag.TIMEOUT_MS, max(1, milliseconds(request.timeout_s))))
    if request.max_output is not None:
        parts.append(entry(RequestTag.MAX_OUTPUT, max(1, request.max_output)))
    parts += [rlimit_entry(which, value, value) for which, value in request.limits]
    parts.append(entry(RequestTag.FLAGS, int(flags)))
    return b"".join(parts)


def _exit(payload: bytes) -> Exit:
    entries = decode_entries(payload)
    code, number = integer(entries, ReplyTag.CODE), integer(entries, ReplyTag.SIGNAL)
    flags = integer(entries, ReplyTag.FLAGS) or 0
    if (code is None) == (number is None):
        raise MalformedError("an end with both or neither of code and signal")
    return Exit(code, number, bool(flags & ExitFlag.TIMED_OUT), bool(flags & ExitFlag.OUTPUT_LIMITED))
