"""Where Podman listens: an address that is given, the system's socket, or a service of our own.

Our own service lies in a folder that all commands of this user share: the first one starts it, the others
adopt it, and it ends by itself when nobody has asked it anything for ``IDLE_S``. Containers do not depend
on it: they outlive it, and the next call starts it again (some 70 ms).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from ploinky.base.files import FileLock, read_text, write_atomic
from ploinky.base.processes import ProcessId
from ploinky.base.waits import wait_until
from ploinky.runtimes.engine_api import EngineAddress, is_socket, who_answers
from ploinky.runtimes.errors import runtime_unavailable

IDLE_S = 30
START_TIMEOUT_S = 15.0
PROBE_TIMEOUT_S = 5.0
LONGEST_SOCKET_PATH = 107

INSTALL_HINT = "Install it (Debian, Ubuntu: apt install podman; Fedora: dnf install podman)."


class PodmanEndpoint:
    """Finds Podman, or starts it in ``folder`` (private to the user, short path, made if missing)."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._own = OwnService(folder, environ)

    @property
    def kind(self) -> str:
        return "podman"

    async def open(self) -> EngineAddress:
        """A Podman that answers.

        Raises:
            PloinkyError: RUNTIME_UNAVAILABLE.
        """
        given = self._environ.get("CONTAINER_HOST")
        if given:
            return await self._require(given)
        for socket in system_sockets(self._environ):
            found = await _podman_at(f"unix://{socket}")
            if found is not None:
                return found
        return await self._own.ensure()

    async def _require(self, url: str) -> EngineAddress:
        found = await _podman_at(url) if url.startswith(("unix://", "tcp://")) else None
        if found is not None:
            return found
        raise runtime_unavailable(
            "podman",
            f"no Podman answers at CONTAINER_HOST ({url}).",
            hint="Start it there, or unset CONTAINER_HOST; unix:// and tcp:// addresses are understood.",
        )


class OwnService:
    """The service in ``folder``: ``podman.sock``, ``podman.pid``, ``podman.log``."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self.socket = folder / "podman.sock"
        self._pid_file = folder / "podman.pid"
        self._log = folder / "podman.log"
        self._children: set[int] = set()

    async def ensure(self) -> EngineAddress:
        """Adopt the service that runs, or start it.

        Raises:
            PloinkyError: RUNTIME_UNAVAILABLE if Podman is missing or does not come up.
        """
        url = f"unix://{self.socket}"
        self._reap()
        if len(str(self.socket).encode()) > LONGEST_SOCKET_PATH:
            raise runtime_unavailable(
                "podman", f"the path {self.socket} is too long for a socket.", hint="Set XDG_RUNTIME_DIR."
            )
        found = await _podman_at(url)
        if found is not None:
            return found
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._folder / "podman.lock", timeout_s=START_TIMEOUT_S)
        await anyio.to_thread.run_sync(lock.__enter__)
        try:
            # Another command may have started it meanwhile.
            return await _podman_at(url) or await self._start(url)
        finally:
            lock.__exit__(None, None, None)

    def find(self) -> ProcessId | None:
        """The running service, or None."""
        recorded = (read_text(self._pid_file) or "").split()
        if len(recorded) != 2 or not all(word.isdigit() for word in recorded):
            return None
        service = ProcessId(int(recorded[0]), int(recorded[1]))
        return service if service.alive else None

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """End the service now and remove its files; what it started lives on."""
        service = self.find()
        if service is not None and service.signal(signal.SIGTERM):

            async def gone() -> bool:
                self._reap()
                return not service.alive

            await wait_until(gone, what="the Podman service to end", timeout_s=timeout_s)
        for file in (self.socket, self._pid_file, self._log, self._folder / "oom"):
            file.unlink(missing_ok=True)

    async def _start(self, url: str) -> EngineAddress:
        program = shutil.which("podman", path=self._environ.get("PATH"))
        if program is None:
            raise runtime_unavailable("podman", "podman is not installed.", hint=INSTALL_HINT)
        await self._end_deaf()
        self.socket.unlink(missing_ok=True)
        service_args = [program, "system", "service", "--time", str(IDLE_S), url]
        # conmon leaves a file "oom" where it was started when a container ran out of memory.
        arguments = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(self._folder), *service_args]
        pid = _spawn_detached(arguments, self._environ, self._log)
        self._children.add(pid)
        service = ProcessId.find(pid)
        if service is not None:
            write_atomic(self._pid_file, f"{service.pid} {service.started}\n".encode(), mode=0o600)

        found: EngineAddress | None = None

        async def answers_or_ended() -> bool:
            nonlocal found
            self._reap()
            found = await _podman_at(url)
            return found is not None or service is None or not service.alive

        await wait_until(answers_or_ended, what="Podman's service to answer", timeout_s=START_TIMEOUT_S)
        if found is None:
            raise runtime_unavailable(
                "podman", f"its service ended at once: {self._last_words()}", hint="Try: podman info"
            )
        return found

    async def _end_deaf(self) -> None:
        """End a service of ours that runs but does not answer; two must not share one socket."""
        service = self.find()
        if service is not None:
            service.signal(signal.SIGKILL)

    def _reap(self) -> None:
        """Collect services that ended and were our own children, so that they do not stay zombies."""
        for pid in tuple(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return lines[-1][-400:]
        return "it said nothing."


def system_sockets(environ: Mapping[str, str]) -> list[Path]:
    """Where a system's Podman service listens: of this user only."""
    if os.geteuid() == 0:
        return [Path("/run/podman/podman.sock")]
    runtime = environ.get("XDG_RUNTIME_DIR")
    return [Path(runtime) / "podman" / "podman.sock"] if runtime else []


async def _podman_at(url: str) -> EngineAddress | None:
    if url.startswith("unix://") and not is_socket(Path(url.removeprefix("unix://"))):
        return None
    found = await who_answers(url, timeout_s=PROBE_TIMEOUT_S)
    return found if found is not None and found.kind == "podman" else None


def _spawn_detached(argv: list[str], environ: Mapping[str, str], log: Path) -> int:
    """Start a program in a session of its own that outlives this process; its pid.

    Not by ``subprocess``: nobody waits for it, and its object would complain of that.
    """
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), log_flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(argv[0], argv, dict(environ), file_actions=actions, setsid=True)
