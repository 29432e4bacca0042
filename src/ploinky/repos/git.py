"""The git binary: argument lists, a safe environment, runs with deadlines, progress line by line.

Git never asks for a password, never uses transports that run commands, and takes no address for an option.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.abc

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.processes import Completed, run
from ploinky.base.redaction import Redactor

_SAFE = (
    "-c", "protocol.ext.allow=never",
    "-c", "protocol.file.allow=always",
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "advice.detachedHead=false",
    "-c", "gc.auto=0",
)  # fmt: skip
T = TypeVar("T")
# what people set on purpose; GIT_DIR and its kin, which a git hook leaves behind, would mislead git
_KEPT_VARIABLES = frozenset(
    {"GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_PROXY_SSL_CAINFO"}
)
_LINE_END = re.compile(rb"[\r\n]+")
_KEPT_LINES = 12
QUERY_TIMEOUT_S = 30.0


def clone_args(url: str, folder: Path, *, branch: str | None) -> list[str]:
    """``git`` arguments that clone ``url`` into ``folder``."""
    chosen = ["--branch", branch] if branch else []
    return ["clone", "--progress", "--template=", "--no-recurse-submodules", *chosen, "--", url, str(folder)]


class Git:
    """Runs git in the given environment (normally the process's own)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        kept = {name: value for name, value in environ.items() if _is_kept(name)}
        self._env = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **kept}
        self._env |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

    async def query(self, folder: Path, *args: str, timeout_s: float = QUERY_TIMEOUT_S) -> Completed:
        """Run a short git command in ``folder``; its exit code is for the caller to judge.

        Raises:
            PloinkyError: ``GIT_MISSING``.
            DeadlineError: ``COMMAND_TIMEOUT``.
        """
        try:
            return await run(["git", *_SAFE, "-C", str(folder), *args], timeout_s=timeout_s, env=self._env)
        except PloinkyError as error:
            raise _missing(error) from error

    async def follow(
        self, args: Sequence[str], *, what: str, timeout_s: float, redactor: Redactor
    ) -> AsyncGenerator[str, None]:
        """Run a long git command and yield what it tells, line by line, scrubbed.

        The process group ends with this iterator, also when it is closed early.

        Raises:
            PloinkyError: ``GIT_FAILED`` with git's last lines; ``GIT_MISSING``.
            DeadlineError: ``GIT_TIMEOUT``.
        """
        process = await self._open(["git", *_SAFE, *args])
        deadline = time.monotonic() + timeout_s
        kept: list[str] = []
        try:
            assert process.stderr is not None
            async with aclosing(_lines(process.stderr, deadline)) as lines:
                async for raw in lines:
                    line = redactor.scrub(raw)
                    kept = [*kept, line][-_KEPT_LINES:]
                    yield line
            code = await _within(process.wait, deadline)
        except TimeoutError as error:
            raise DeadlineError(what, timeout_s, code="GIT_TIMEOUT", hint="Check the network.") from error
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.aclose()
        if code != 0:
            raise git_failed(what, "\n".join(kept))

    async def _open(self, argv: Sequence[str]) -> anyio.abc.Process:
        try:
            return await anyio.open_process(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._env,
                start_new_session=True,
            )
        except OSError as error:
            raise _missing(PloinkyError("COMMAND_NOT_FOUND", str(error))) from error


def git_failed(what: str, said: str) -> PloinkyError:
    """The error for a git command that ended badly; ``said`` are its last lines, already scrubbed."""
    shown = "\n".join(f"  {line}" for line in said.splitlines() if line.strip())
    return PloinkyError(
        "GIT_FAILED",
        f"git could not {what}:\n{shown}" if shown else f"git could not {what}.",
        hint="Check the address, the network and your access rights.",
    )


async def _lines(stream: anyio.abc.ByteReceiveStream, deadline: float) -> AsyncGenerator[str, None]:
    rest = b""
    while True:
        try:
            rest += await _within(stream.receive, deadline)
        except anyio.EndOfStream:
            break
        *whole, rest = _LINE_END.split(rest)
        for line in whole:
            if line.strip():
                yield line.decode("utf-8", "replace").rstrip()
    if rest.strip():
        yield rest.decode("utf-8", "replace").rstrip()


async def _within(call: Callable[[], Awaitable[T]], deadline: float) -> T:
    """``call()`` or TimeoutError at ``deadline``; a scope of its own, because none may span a yield."""
    with anyio.fail_after(max(0.0, deadline - time.monotonic())):
        return await call()


def _is_kept(name: str) -> bool:
    return not name.startswith("GIT_") or name in _KEPT_VARIABLES or name.startswith("GIT_CONFIG_")


def _missing(error: PloinkyError) -> PloinkyError:
    if error.code != "COMMAND_NOT_FOUND":
        return error
    return PloinkyError("GIT_MISSING", "The git program cannot be run.", hint="Install git and try again.")
