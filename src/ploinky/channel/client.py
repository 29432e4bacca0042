"""The host's end of a launcher's socket: start programs, launch the agent, watch it, read files, reach ports.

One ``Channel`` is one connection and serves any number of tasks of one event loop at once. It needs no
task of its own. When it closes, the launcher ends every program that was started through it; the agent's
main command and sidecar live on.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import ByteStream

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.channel import errors
from ploinky.channel.dial import connect_tcp_socket, connect_unix_socket
from ploinky.channel.frames import (
    PROTOCOL_VERSION,
    WINDOW_BYTES,
    FrameType,
    ReplyTag,
    RequestTag,
    entry,
    integer,
)
from ploinky.channel.link import Link
from ploinky.channel.model import (
    Exit,
    Finished,
    LauncherState,
    LauncherStatus,
    LaunchRequest,
    Limit,
    ProgramChunk,
    RemoteFile,
    RestartPolicy,
    SpawnRequest,
    milliseconds,
)
from ploinky.channel.program import Program
from ploinky.channel.questions import Answer, Reading, Watch, decode_status, launch_payload
from ploinky.channel.tunnel import Tunnel, TunnelConversation

__all__ = [
    "Channel",
    "Exit",
    "Finished",
    "LaunchRequest",
    "LauncherState",
    "LauncherStatus",
    "Limit",
    "Program",
    "ProgramChunk",
    "RemoteFile",
    "RestartPolicy",
    "SpawnRequest",
    "Tunnel",
    "await_channel",
    "open_channel",
    "open_channel_over",
]

DEFAULT_RUN_OUTPUT = 16 * 1024 * 1024
KEPT_TAIL = 64 * 1024

_STOP_MARGIN_S = 5.0
OnOutput = Callable[[ProgramChunk], Awaitable[None]]


class Spawning:
    """What ``Channel.spawn`` returns: ``await`` it for the program, or use it in ``async with``."""

    def __init__(self, link: Link, request: SpawnRequest, timeout_s: float) -> None:
        self._link = link
        self._request = request
        self._timeout_s = timeout_s
        self._program: Program | None = None

    def __await__(self) -> Generator[object, None, Program]:
        return self._start().__await__()

    async def __aenter__(self) -> Program:
        self._program = await self._start()
        return self._program

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program is not None
        await self._program.aclose()

    async def _start(self) -> Program:
        program = Program(self._link, self._request)
        program.start(None)
        await program.started(self._timeout_s)
        return program


class Channel:
    """A greeted connection. ``reply_timeout_s`` bounds every wait for an answer of the launcher itself."""

    def __init__(self, link: Link, *, reply_timeout_s: float = 10.0) -> None:
        self._link = link
        self._timeout_s = reply_timeout_s

    @classmethod
    async def connect(cls, path: Path, *, timeout_s: float = 5.0) -> Channel:
        """Connect to the launcher's socket at ``path``. Fails at once if nobody listens there.

        Raises:
            PloinkyError: ``CHANNEL_UNREACHABLE``, or ``CHANNEL_PROTOCOL`` if it is no launcher of ours.
            DeadlineError: if the launcher does not answer in time.
        """
        with _deadline(f"the launcher at {path} to answer", timeout_s):
            return await cls._greet(await connect_unix_socket(path), None)

    @classmethod
    async def connect_tcp(cls, host: str, port: int, *, token: str, timeout_s: float = 5.0) -> Channel:
        """Connect to a launcher that listens on TCP.

        Raises:
            PloinkyError: as ``connect``, and ``CHANNEL_REFUSED`` for a wrong token.
        """
        with _deadline(f"the launcher at {host}:{port} to answer", timeout_s):
            return await cls._greet(await connect_tcp_socket(host, port), token)

    @classmethod
    async def over_socket(cls, sock: socket.socket, *, timeout_s: float = 5.0) -> Channel:
        """Use a connected stream socket, which the channel then owns."""
        with _deadline("the launcher to answer", timeout_s):
            return await cls._greet(sock, None)

    @classmethod
    async def _greet(cls, sock: socket.socket, token: str | None) -> Channel:
        channel = cls(Link(sock))
        try:
            payload = entry(RequestTag.VERSION, PROTOCOL_VERSION)
            if token is not None:
                payload += entry(RequestTag.TOKEN, token)
            facts = await channel._ask(FrameType.HELLO, payload, FrameType.HELLO_OK, "the launcher")
        except BaseException:
            channel.close()
            raise
        if integer(facts, ReplyTag.WINDOW) != WINDOW_BYTES:
            channel.close()
            raise errors.violated("another size of window")
        return channel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended, as far as can be known without waiting."""
        return self._link.broken()

    def attend(self) -> None:
        """Let the running event loop read the connection from now on; see ``Link.attend``."""
        self._link.attend()

    def close(self) -> None:
        """Close the connection without waiting; programs started through it are ended. Idempotent."""
        self._link.close()

    async def aclose(self) -> None:
        self.close()

    def spawn(self, request: SpawnRequest) -> Spawning:
        """Start a program: ``async with channel.spawn(request) as program`` (or ``await``).

        Raises:
            PloinkyError: ``PROGRAM_NOT_FOUND``, ``PROGRAM_NOT_EXECUTABLE``, ``PROGRAM_BAD_CWD``,
                ``PROGRAM_NOT_STARTED``, ``CHANNEL_BUSY``, ``SANDBOX_STOPPING``, ``CHANNEL_LOST``.
        """
        return Spawning(self._link, request, self._timeout_s)

    async def run(
        self, request: SpawnRequest, stdin: bytes = b"", on_output: OnOutput | None = None
    ) -> Finished:
        """Run a program to its end with complete input.

        Without ``on_output`` all output is returned; ``max_output`` is 16 MiB unless the request says
        otherwise. With it, every chunk is handed over (a slow receiver slows the program), nothing is
        limited by itself, and the result holds the last 64 KiB of each stream.

        Raises:
            PloinkyError: as ``spawn``. A program that fails is no error; see ``Finished.exit``.
        """
        if on_output is None and request.max_output is None:
            request = replace(request, max_output=DEFAULT_RUN_OUTPUT)
        if not stdin and request.pty is None:
            request = replace(request, no_stdin=True)
        program = Program(self._link, request)
        whole = len(stdin) <= WINDOW_BYTES
        program.start(stdin if whole else None)
        await program.started(self._timeout_s)
        async with program:
            if whole:
                return await _collect(program, on_output)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_feed, program, stdin)
                finished = await _collect(program, on_output)
                tasks.cancel_scope.cancel()
            return finished

    async def launch(self, request: LaunchRequest) -> None:
        """Start the agent's main command and sidecar; returns when the main command was executed.

        Raises:
            PloinkyError: as ``spawn`` if it cannot be (the launcher then waits for another launch);
                ``ALREADY_LAUNCHED``.
        """
        subject = repr(request.main[0]) if request.main else "the agent"
        await self._ask(FrameType.LAUNCH, launch_payload(request), FrameType.STATE, subject)

    async def status(self) -> LauncherStatus:
        return decode_status(await self._ask(FrameType.STATUS, b"", FrameType.STATE, "the launcher"))

    async def watch(self) -> AsyncIterator[LauncherStatus]:
        """The status now and after every change; of many changes that nobody reads the last 64 are kept.

        Raises:
            PloinkyError: ``CHANNEL_LOST`` when the launcher goes away.
        """
        watch = Watch(self._link, "the launcher")
        watch.emit(FrameType.WATCH)
        try:
            while True:
                await watch.until(lambda: bool(watch.seen))
                yield watch.seen.popleft()
        finally:
            watch.emit(FrameType.KILL)
            watch.forget()

    async def restart_main(self) -> None:
        """End the main command (TERM, grace, KILL); it is started again whatever its policy says.

        Raises:
            PloinkyError: ``NOT_LAUNCHED`` if there is none.
        """
        await self._ask(FrameType.RESTART, b"", FrameType.STATE, "the main command")

    async def shutdown(self, grace_s: float) -> None:
        """End everything in the sandbox and the launcher itself; returns when it is gone.

        Raises:
            DeadlineError: if it is still there some seconds after the grace.
        """
        payload = entry(RequestTag.GRACE_MS, milliseconds(grace_s))
        try:
            await self._ask(FrameType.SHUTDOWN, payload, FrameType.STATE, "the launcher")
            idle = Answer(self._link, "the launcher")
            await idle.until(lambda: False, timeout_s=grace_s + _STOP_MARGIN_S, what="the sandbox to stop")
        except PloinkyError as error:
            if error.code != "CHANNEL_LOST":
                raise

    async def read_file(self, path: str, max_bytes: int) -> RemoteFile | None:
        """The first ``max_bytes`` of a regular file of the sandbox, or None if there is none.

        Raises:
            PloinkyError: ``REMOTE_FILE`` if it is no regular file or cannot be read.
        """
        reading = Reading(self._link, path, max_bytes)
        try:
            return await reading.result(self._timeout_s)
        finally:
            reading.end()

    async def connect_port(self, port: int) -> Tunnel:
        """Connect to a TCP port on the sandbox's own loopback.

        Raises:
            PloinkyError: ``PORT_UNREACHABLE`` if nothing listens there.
        """
        conversation = TunnelConversation(self._link, port)
        conversation.emit(FrameType.CONNECT, port.to_bytes(2, "little"))
        try:
            await conversation.until(
                lambda: conversation.connected or conversation.error is not None,
                timeout_s=self._timeout_s,
                what=f"a connection to {conversation.subject} in the sandbox",
            )
        except BaseException:
            conversation.emit(FrameType.KILL)
            conversation.forget()
            raise
        if conversation.error is not None:
            raise conversation.error
        return Tunnel(conversation)

    async def _ask(
        self, kind: FrameType, payload: bytes, expected: FrameType, subject: str
    ) -> dict[int, bytes]:
        answer = Answer(self._link, subject)
        answer.expected = expected
        answer.emit(kind, payload)
        try:
            await answer.until(
                lambda: answer.facts is not None or answer.error is not None,
                timeout_s=self._timeout_s,
                what=f"the launcher to answer {kind.name}",
            )
        finally:
            answer.forget()
        if answer.error is not None:
            raise answer.error
        assert answer.facts is not None
        return answer.facts


@contextlib.asynccontextmanager
async def open_channel(path: Path, *, timeout_s: float = 5.0) -> AsyncIterator[Channel]:
    """``Channel.connect`` as a context that closes the channel at its end."""
    async with await Channel.connect(path, timeout_s=timeout_s) as channel:
        yield channel


@contextlib.asynccontextmanager
async def open_channel_over(stream: ByteStream, *, timeout_s: float = 5.0) -> AsyncIterator[Channel]:
    """A channel over any byte stream (an engine's held-open ``exec -i`` of ``launcher pipe``)."""
    ours, theirs = socket.socketpair()
    other = await anyio.abc.SocketStream.from_socket(theirs)
    async with anyio.create_task_group() as tasks, other:
        tasks.start_soon(_relay, stream, other)
        tasks.start_soon(_relay, other, stream)
        async with await Channel.over_socket(ours, timeout_s=timeout_s) as channel:
            yield channel
        tasks.cancel_scope.cancel()


async def await_channel(path: Path, *, timeout_s: float) -> Channel:
    """Connect to a launcher that may not be up yet: tries again until it answers.

    Raises:
        PloinkyError: ``CHANNEL_UNREACHABLE`` if nobody listened until the deadline.
    """
    pause_s = 0.001
    deadline = anyio.current_time() + timeout_s
    while True:
        left_s = deadline - anyio.current_time()
        try:
            return await Channel.connect(path, timeout_s=max(0.05, left_s))
        except PloinkyError as error:
            if error.code not in ("CHANNEL_UNREACHABLE", "CHANNEL_LOST") or left_s <= 0:
                raise
        await anyio.sleep(min(pause_s, max(0.0, left_s)))
        pause_s = min(0.1, pause_s * 1.5)


async def _relay(source: ByteStream, target: ByteStream) -> None:
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for data in source:
            await target.send(data)
        await target.send_eof()


async def _feed(program: Program, data: bytes) -> None:
    await program.send(data)
    await program.end_input()


async def _collect(program: Program, on_output: OnOutput | None) -> Finished:
    streams = {"stdout": bytearray(), "stderr": bytearray()}
    async for chunk in program:
        kept = streams[chunk.stream]
        kept += chunk.data
        if on_output is not None:
            await on_output(chunk)
            del kept[:-KEPT_TAIL]
    assert program.exit is not None
    return Finished(program.exit, bytes(streams["stdout"]), bytes(streams["stderr"]))


@contextlib.contextmanager
def _deadline(what: str, timeout_s: float) -> Generator[None, None, None]:
    try:
        with anyio.fail_after(timeout_s):
            yield
    except TimeoutError as error:
        raise DeadlineError(what, timeout_s) from error
