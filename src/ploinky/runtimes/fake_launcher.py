"""A launcher without processes: it speaks the launcher's protocol on a real socket, and its programs are
functions.

For tests of everything that talks to a sandbox through ``ploinky.channel``. Tunnels are refused; a program
gets all of its input at once and gives all of its output at its end.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import SocketStream, TaskGroup

from ploinky.channel.frames import (
    CHUNK_BYTES,
    PROTOCOL_VERSION,
    WINDOW_BYTES,
    ErrorCode,
    FrameReader,
    FrameType,
    MalformedError,
    ReplyTag,
    RequestTag,
    SpawnFlag,
    decode_entries,
    encode_frame,
    entry,
    integer,
)
from ploinky.channel.model import LauncherState

_STATES = tuple(LauncherState)
_FIRST_PID = 2


@dataclass(frozen=True)
class ProgramCall:
    """A program that somebody runs in a fake sandbox; ``main`` for the agent's own command."""

    agent: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    stdin: bytes = b""
    main: bool = False


@dataclass(frozen=True)
class ProgramResult:
    """How it ends: a code, or a signal that killed it."""

    code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    signal: int | None = None


class NoSuchProgramError(Exception):
    """Raised by a ``Programs`` function for a program that the fake sandbox does not have."""


Programs = Callable[[ProgramCall], Awaitable[ProgramResult]]


async def succeed(_call: ProgramCall) -> ProgramResult:
    """Every program ends well and prints nothing."""
    return ProgramResult()


@dataclass
class _Program:
    """A program of one connection: input so far, and how much output its client takes now."""

    request: dict[int, list[bytes]]
    stdin: bytearray = field(default_factory=bytearray)
    input_ended: anyio.Event = field(default_factory=anyio.Event)
    credit: int = WINDOW_BYTES
    more_credit: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    killed: bool = False


class FakeLauncher:
    """Serves one fake sandbox. ``calls`` are the programs that were run, the main command's launch among
    them; ``files`` can be read by path. Tests move the main command by ``enter``."""

    def __init__(self, agent: str, programs: Programs) -> None:
        self.agent = agent
        self.programs = programs
        self.files: dict[str, bytes] = {}
        self.calls: list[ProgramCall] = []
        self.state = LauncherState.WAITING
        self.restarts = 0
        self.last_code: int | None = None
        self._watchers: list[tuple[_Connection, int]] = []
        self._next_pid = _FIRST_PID
        self.stopping = anyio.Event()

    async def serve(self, socket: Path, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Answer on ``socket`` until cancelled; the socket is removed."""
        listener = await anyio.create_unix_listener(socket, mode=0o600)
        try:
            async with listener, anyio.create_task_group() as tasks:
                task_status.started()
                await listener.serve(lambda stream: _Connection(self, stream).serve())
                tasks.cancel_scope.cancel()
        finally:
            _unlink(socket)

    async def enter(self, state: LauncherState, *, last_code: int | None = None, restarts: int = 0) -> None:
        """Put the main command into a state and tell everyone who watches."""
        self.state = state
        self.last_code = self.last_code if last_code is None else last_code
        self.restarts += restarts
        for connection, channel in list(self._watchers):
            await connection.send(FrameType.STATE, channel, self.status_payload())

    async def run(self, call: ProgramCall) -> ProgramResult:
        self.calls.append(call)
        return await self.programs(call)

    def watch(self, connection: _Connection, channel: int) -> None:
        self._watchers.append((connection, channel))

    def unwatch(self, connection: _Connection, channel: int | None = None) -> None:
        self._watchers = [
            each for each in self._watchers if each[0] is not connection or channel not in (None, each[1])
        ]

    def new_pid(self) -> int:
        self._next_pid += 1
        return self._next_pid

    def status_payload(self) -> bytes:
        parts = [
            entry(ReplyTag.STATE, _STATES.index(self.state)),
            entry(ReplyTag.RESTARTS, self.restarts),
            entry(ReplyTag.UPTIME_MS, 0),
        ]
        if self.state is LauncherState.RUNNING:
            parts.append(entry(ReplyTag.PID, _FIRST_PID))
        if self.last_code is not None:
            parts.append(entry(ReplyTag.LAST_CODE, self.last_code))
        return b"".join(parts)


class _Connection:
    """One client."""

    def __init__(self, launcher: FakeLauncher, stream: SocketStream) -> None:
        self._launcher = launcher
        self._stream = stream
        self._programs: dict[int, _Program] = {}
        self._sending = anyio.Lock()
        self._handlers: dict[int, Callable[[int, bytes, TaskGroup], Awaitable[None]]] = {
            FrameType.HELLO: self._hello,
            FrameType.SPAWN: self._spawn,
            FrameType.STDIN: self._stdin,
            FrameType.STDIN_EOF: self._stdin_eof,
            FrameType.SIGNAL: self._kill,
            FrameType.KILL: self._kill,
            FrameType.WINDOW: self._window,
            FrameType.LAUNCH: self._launch,
            FrameType.RESTART: self._restart,
            FrameType.STATUS: self._status,
            FrameType.WATCH: self._watch,
            FrameType.SHUTDOWN: self._shutdown,
            FrameType.READ_FILE: self._read_file,
            FrameType.CONNECT: self._connect,
        }

    async def serve(self) -> None:
        reader = FrameReader()
        try:
            async with self._stream, anyio.create_task_group() as tasks:
                async for data in self._stream:
                    for kind, channel, payload in reader.feed(data):
                        handler = self._handlers.get(kind)
                        if handler is not None:
                            await handler(channel, payload, tasks)
                tasks.cancel_scope.cancel()
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError, MalformedError):
            pass  # the client went away, or is none of ours
        finally:
            self._launcher.unwatch(self)

    async def send(self, kind: FrameType, channel: int, payload: bytes = b"") -> None:
        async with self._sending:
            await self._stream.send(encode_frame(kind, channel, payload))

    async def _refuse(self, channel: int, code: ErrorCode, message: str = "") -> None:
        payload = entry(ReplyTag.CODE, int(code)) + entry(ReplyTag.MESSAGE, message)
        await self.send(FrameType.ERROR, channel, payload)

    async def _hello(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        facts = entry(ReplyTag.VERSION, PROTOCOL_VERSION) + entry(ReplyTag.PID, 1)
        facts += entry(ReplyTag.ARCH, "fake") + entry(ReplyTag.WINDOW, WINDOW_BYTES)
        await self.send(FrameType.HELLO_OK, channel, facts)

    async def _spawn(self, channel: int, payload: bytes, tasks: TaskGroup) -> None:
        program = _Program(_all_entries(payload))
        if _number(program.request, RequestTag.FLAGS) & SpawnFlag.NO_STDIN:
            program.input_ended.set()
        self._programs[channel] = program
        tasks.start_soon(self._run, channel, program)

    async def _run(self, channel: int, program: _Program) -> None:
        try:
            await self.send(FrameType.STARTED, channel, entry(ReplyTag.PID, self._launcher.new_pid()))
            result = ProgramResult(signal=15)
            with program.scope:
                await program.input_ended.wait()
                call = _call(self._launcher.agent, program.request, bytes(program.stdin))
                result = await self._launcher.run(call)
                await self._output(FrameType.STDOUT, channel, program, result.stdout)
                await self._output(FrameType.STDERR, channel, program, result.stderr)
            await self.send(FrameType.EXIT, channel, _exit_payload(result))
        except NoSuchProgramError:
            await self.send(FrameType.EXIT, channel, entry(ReplyTag.CODE, 127))
        finally:
            self._programs.pop(channel, None)

    async def _output(self, kind: FrameType, channel: int, program: _Program, data: bytes) -> None:
        view = memoryview(data)
        while view:
            while program.credit <= 0:
                program.more_credit = anyio.Event()
                await program.more_credit.wait()
            piece = view[: min(program.credit, CHUNK_BYTES)]
            program.credit -= len(piece)
            await self.send(kind, channel, bytes(piece))
            view = view[len(piece) :]

    async def _stdin(self, channel: int, payload: bytes, _tasks: TaskGroup) -> None:
        if channel in self._programs:
            self._programs[channel].stdin += payload
            await self.send(FrameType.WINDOW, channel, len(payload).to_bytes(4, "little"))

    async def _stdin_eof(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        if channel in self._programs:
            self._programs[channel].input_ended.set()

    async def _kill(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        if channel in self._programs:
            self._programs[channel].scope.cancel()
        self._launcher.unwatch(self, channel)

    async def _window(self, channel: int, payload: bytes, _tasks: TaskGroup) -> None:
        if channel in self._programs:
            self._programs[channel].credit += int.from_bytes(payload, "little")
            self._programs[channel].more_credit.set()

    async def _launch(self, channel: int, payload: bytes, tasks: TaskGroup) -> None:
        launcher = self._launcher
        if launcher.state is not LauncherState.WAITING:
            await self._refuse(channel, ErrorCode.LAUNCHED)
            return
        call = _call(launcher.agent, _all_entries(payload), b"", main=True)
        await launcher.enter(LauncherState.RUNNING if call.argv else LauncherState.SERVING)
        launcher.calls.append(call)
        await self.send(FrameType.STATE, channel, launcher.status_payload())

    async def _restart(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        if self._launcher.state not in (LauncherState.RUNNING, LauncherState.BACKOFF, LauncherState.ENDED):
            await self._refuse(channel, ErrorCode.NOT_LAUNCHED)
            return
        await self._launcher.enter(LauncherState.RUNNING, restarts=1)
        await self.send(FrameType.STATE, channel, self._launcher.status_payload())

    async def _status(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        await self.send(FrameType.STATE, channel, self._launcher.status_payload())

    async def _watch(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        self._launcher.watch(self, channel)
        await self.send(FrameType.STATE, channel, self._launcher.status_payload())

    async def _shutdown(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        self._launcher.state = LauncherState.STOPPING
        await self.send(FrameType.STATE, channel, self._launcher.status_payload())
        self._launcher.stopping.set()

    async def _read_file(self, channel: int, payload: bytes, _tasks: TaskGroup) -> None:
        facts = decode_entries(payload)
        data = self._launcher.files.get(facts.get(RequestTag.PATH, b"").decode())
        if data is None:
            await self._refuse(channel, ErrorCode.NO_FILE)
            return
        most = integer(facts, RequestTag.MAX_BYTES) or 0
        found = entry(ReplyTag.SIZE, len(data)) + entry(ReplyTag.MTIME_NS, time.time_ns())
        await self.send(FrameType.FILE, channel, found)
        await self.send(FrameType.DATA, channel, data[: min(most, WINDOW_BYTES)])
        await self.send(FrameType.EOF, channel)

    async def _connect(self, channel: int, _payload: bytes, _tasks: TaskGroup) -> None:
        await self._refuse(channel, ErrorCode.CONNECT, "a fake sandbox has no ports")


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _all_entries(payload: bytes) -> dict[int, list[bytes]]:
    """Every entry of a request by tag, in order."""
    found: dict[int, list[bytes]] = {}
    position = 0
    while position < len(payload):
        size = int.from_bytes(payload[position + 1 : position + 5], "little")
        found.setdefault(payload[position], []).append(payload[position + 5 : position + 5 + size])
        position += 5 + size
    return found


def _number(request: dict[int, list[bytes]], tag: RequestTag) -> int:
    return int.from_bytes(request.get(tag, [b""])[-1], "little")


def _call(agent: str, request: dict[int, list[bytes]], stdin: bytes, *, main: bool = False) -> ProgramCall:
    def words(tag: RequestTag) -> list[str]:
        return [each.decode("utf-8", "surrogateescape") for each in request.get(tag, [])]

    env = dict(each.partition("=")[::2] for each in words(RequestTag.ENV))
    cwd = (words(RequestTag.CWD) or ["/"])[-1]
    return ProgramCall(agent, tuple(words(RequestTag.ARGV)), env, cwd, stdin, main)


def _exit_payload(result: ProgramResult) -> bytes:
    if result.signal is not None:
        return entry(ReplyTag.SIGNAL, result.signal) + entry(ReplyTag.FLAGS, 0)
    return entry(ReplyTag.CODE, result.code) + entry(ReplyTag.FLAGS, 0)
