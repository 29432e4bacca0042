"""A program that serves as a provider: started for a turn, spoken to by lines, ended with its whole group.

It inherits few variables of the gateway: what finds programs, homes and proxies, not the gateway's secrets.
What it says on standard error is kept only to explain a failure.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import anyio

from ploinky.providers.errors import ProviderCode, ProviderError, quoted
from ploinky.providers.framing import LONGEST_RECORD, too_large
from ploinky.providers.pace import Pace

KEPT_ERRORS = 8 * 1024
PAUSE_AT = 4 * 1024 * 1024
GRACE_S = 2.0
EXIT_S = 10.0
KILLED_S = 10.0
_INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    }
)
_INHERITED_PREFIXES = ("LC_", "XDG_")


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program gets of the gateway's environment."""
    return {
        name: value
        for name, value in environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


@contextmanager
def working_folder(folder: Path | None) -> Iterator[Path]:
    """Where a program works: ``folder``, made if it is missing, or an empty one for as long as it runs."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="ploinky-program-") as empty:
        yield Path(empty)


class _Pipes(asyncio.SubprocessProtocol):
    """Collects what a program writes; no task is needed, so a generator may own it."""

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque()
        self.errors = bytearray()
        self.ended = False
        self.news = asyncio.Event()
        self.exited = asyncio.Event()
        self._held = bytearray()
        self._waiting = 0
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # by its methods, not by its class: the gateway's loop (uvloop) has transports of its own
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.errors += data
            del self.errors[:-KEPT_ERRORS]
            return
        self._held += data
        if b"\n" in data:
            *whole, rest = bytes(self._held).split(b"\n")
            self._held = bytearray(rest)
            self.lines.extend(whole)
            self._waiting += sum(len(line) for line in whole)
        if self._waiting > PAUSE_AT:
            self._reading().pause_reading()
        self.news.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            if self._held:
                self.lines.append(bytes(self._held))
                self._held.clear()
            self.ended = True
            self.news.set()

    def process_exited(self) -> None:
        self.exited.set()

    @property
    def unfinished(self) -> int:
        return len(self._held)

    def take(self) -> bytes:
        line = self.lines.popleft()
        self._waiting -= len(line)
        if self._waiting <= PAUSE_AT and not self.ended:
            self._reading().resume_reading()
        if not self.lines and not self.ended:
            self.news.clear()
        return line

    def _reading(self) -> asyncio.ReadTransport:
        assert self._transport is not None
        return cast("asyncio.ReadTransport", self._transport.get_pipe_transport(1))


class Program:
    """A running program. Whoever starts one ends it."""

    def __init__(self, name: str, transport: asyncio.SubprocessTransport, pipes: _Pipes) -> None:
        self._name = name
        self._transport = transport
        self._pipes = pipes

    @classmethod
    async def start(cls, argv: Sequence[str], *, env: Mapping[str, str], folder: Path) -> Program:
        """Start a program as the leader of a group of its own.

        Raises:
            ProviderError: ``PROVIDER_NOT_INSTALLED``.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, pipes = await loop.subprocess_exec(
                _Pipes, *argv, env=dict(env), cwd=folder, start_new_session=True
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise ProviderError(
                ProviderCode.NOT_INSTALLED, f"Cannot run {argv[0]!r}: {error.strerror}."
            ) from error
        return cls(Path(argv[0]).name, transport, pipes)

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Write to its standard input, which ends after the ``last`` data. A program may ignore it."""
        pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)
            if last:
                pipe.write_eof()

    async def line(self, pace: Pace) -> bytes | None:
        """The next line of its standard output without its end; None when there are no more.

        Raises:
            ProviderError: it is silent for too long, or the line is too long.
        """
        pipes = self._pipes
        while not pipes.lines and not pipes.ended:
            if pipes.unfinished > LONGEST_RECORD:
                raise too_large()
            pipes.news.clear()
            await pace.wait(pipes.news.wait(), what=f"{self._name} to say something")
        if not pipes.lines:
            return None
        line = pipes.take()
        if len(line) > LONGEST_RECORD:
            raise too_large()
        return line.removesuffix(b"\r")

    async def ended_well(self, pace: Pace) -> bool:
        """Wait until it has exited; whether it did with 0."""
        await pace.wait(self._pipes.exited.wait(), what=f"{self._name} to end")
        return self._transport.get_returncode() == 0

    async def failure(self, *secrets: str) -> ProviderError:
        """Why a program ended before its answer was complete."""
        await self._exited_within(EXIT_S)
        code = self._transport.get_returncode()
        words = quoted(bytes(self._pipes.errors).decode("utf-8", "replace"), *secrets)
        said = f" It said: {words}" if words else ""
        if code == 0:
            return ProviderError(
                ProviderCode.STREAM_CUT, f"{self._name} ended before its answer was complete.{said}"
            )
        how = (
            "did not end"
            if code is None
            else (f"exited with {code}" if code > 0 else f"died by signal {-code}")
        )
        return ProviderError(ProviderCode.PROGRAM_FAILED, f"{self._name} {how}.{said}")

    async def end(self, *, at_once: bool) -> None:
        """End the program and all that it started: let it exit by itself unless ``at_once``, then TERM, KILL.

        Takes a few seconds at most, whatever the program does, and cannot be cancelled.
        """
        with anyio.CancelScope(shield=True):
            if not at_once:
                await self._exited_within(GRACE_S)
            for number, grace_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, KILLED_S)):
                # the group may outlive its leader
                if not _signal_group(self._transport.get_pid(), number):
                    break
                await self._exited_within(grace_s)
            self._transport.close()

    async def _exited_within(self, grace_s: float) -> None:
        with anyio.move_on_after(grace_s):
            await self._pipes.exited.wait()


def _signal_group(pid: int, number: signal.Signals) -> bool:
    """Whether there was somebody to signal."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
