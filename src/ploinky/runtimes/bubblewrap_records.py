"""What bubblewrap sandboxes leave on disk, so that any later process finds them.

A sandbox is a folder ``<state>/<name>/``: ``record.json`` (spec, id), ``run.json`` (the present or last
run), ``status`` (written by bwrap itself: the child's pid, later its exit code), ``lock`` and ``etc/``.
It appears whole by a rename and goes by a rename. While bwrap's monitor lives it holds a lock on
``status``, so a starter killed at any moment leaves something that the next command recognises.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import read_bytes, write_atomic
from ploinky.base.processes import ProcessId
from ploinky.runtimes import errors
from ploinky.runtimes.spec import RunSpec

DAMAGED = "SANDBOX_RECORD"
_LOCK_POLL_S = 0.005
_LOCK_TIMEOUT_S = 60.0
_PARTIAL = ".part-"
_GONE = ".gone-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")

_Model = TypeVar("_Model", bound=BaseModel)


class Record(BaseModel):
    """What ``create`` fixed. ``made_folders`` are mount points made in the host's folders, outermost
    first."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    spec: RunSpec
    made_folders: tuple[Path, ...] = ()


class Run(BaseModel):
    """One run of the launcher. ``pid`` and ``ticks`` (its start time) hold within the boot ``boot``."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    boot: str
    pid: int
    ticks: int
    started_at: str
    log_offset: int
    cgroups: tuple[Path, ...] = ()
    limits: str = ""

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.ticks)

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and self.process.alive


@dataclass(frozen=True)
class MonitorStatus:
    """What bwrap's monitor wrote of its latest run. ``pid_namespace`` is an inode number."""

    child_pid: int | None = None
    pid_namespace: int | None = None
    exit_code: int | None = None

    def child(self) -> ProcessId | None:
        """The launcher if it still runs: a process of this pid in the namespace that was made for it."""
        if self.child_pid is None or self.exit_code is not None:
            return None
        found = ProcessId.find(self.child_pid)
        try:
            namespace = Path(f"/proc/{self.child_pid}/ns/pid").stat().st_ino
        except OSError:
            return None
        return found if namespace == self.pid_namespace else None


class SandboxFolder:
    """The files of one sandbox."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.status_file = path / "status"
        self.etc = path / "etc"
        self.empty_file = path / "empty"
        self.record_file = path / "record.json"
        self.run_file = path / "run.json"

    def record(self) -> Record | None:
        """What was created, or None if there is no such sandbox.

        Raises:
            PloinkyError: ``SANDBOX_RECORD`` if the file cannot be understood.
        """
        return _parsed(self.record_file, Record)

    def run(self) -> Run | None:
        """The latest run that was recorded."""
        return _parsed(self.run_file, Run)

    def save_run(self, run: Run) -> None:
        write_atomic(self.run_file, run.model_dump_json().encode(), mode=0o600)

    def monitor_status(self) -> MonitorStatus:
        """What bwrap said last; a line that is not whole yet does not count."""
        child = namespace = code = None
        for line in (read_bytes(self.status_file) or b"").splitlines():
            try:
                fact = json.loads(line)
            except ValueError:
                continue
            if "child-pid" in fact:
                child, namespace, code = fact["child-pid"], fact.get("pid-namespace"), None
            code = fact.get("exit-code", code)
        return MonitorStatus(child, namespace, code)

    def monitor_alive(self) -> bool:
        """Whether a bwrap monitor of this sandbox (or the shell about to become one) still runs."""
        try:
            descriptor = os.open(self.status_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)  # two who ask do not disturb each other
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[bool]:
        """Keep every other process from changing this sandbox; false if there is no such sandbox.

        Raises:
            DeadlineError: when another process does not let go.
        """
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            with self.try_locked() as locked:
                if locked is not None:
                    yield locked
                    return
            if time.monotonic() > deadline:
                raise errors.runtime_deadline(f"another command that works on {self.name}", _LOCK_TIMEOUT_S)
            await anyio.sleep(_LOCK_POLL_S)

    @contextlib.contextmanager
    def try_locked(self) -> Iterator[bool | None]:
        """Lock now: true (held), false (no such sandbox), None (somebody else holds it)."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            yield False
            return
        try:
            if not _try_lock(descriptor):
                yield None
            else:
                yield self._is_current(descriptor)
        finally:
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Whether the locked file is still the one at its path, not that of a removed sandbox."""
        try:
            return os.path.samestat(os.fstat(descriptor), (self.path / "lock").stat())
        except FileNotFoundError:
            return False


class RecordStore:
    """All sandboxes whose folders lie in ``state``."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def folder(self, name: str) -> SandboxFolder:
        return SandboxFolder(self.state / _checked(name))

    def names(self) -> list[str]:
        """The names of all sandboxes, sorted."""
        try:
            return sorted(each.name for each in self.state.iterdir() if not each.name.startswith("."))
        except FileNotFoundError:
            return []

    def add(self, record: Record) -> SandboxFolder:
        """Make the folder of a new sandbox: whole or not at all.

        Raises:
            PloinkyError: ``NAME_IN_USE``.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _checked(record.spec.name)
        part = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{name}-", dir=self.state))
        try:
            descriptor = os.open(part / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _try_lock(descriptor)
                (part / "etc").mkdir(mode=0o755)
                (part / "empty").touch(mode=0o444)
                write_atomic(part / "record.json", record.model_dump_json().encode(), mode=0o600)
                part.rename(self.state / name)
            finally:
                os.close(descriptor)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            if (self.state / name).exists():
                raise errors.name_in_use(name) from error
            raise errors.create_failed(name, f"{self.state}: {error.strerror}.") from error
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return self.folder(name)

    def discard(self, folder: SandboxFolder) -> None:
        """Remove a sandbox's folder; its name is free at once."""
        gone = self.state / f"{_GONE}{folder.name}-{secrets.token_hex(4)}"
        with contextlib.suppress(FileNotFoundError):
            folder.path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)  # somebody may be sweeping it up already

    def sweep(self) -> None:
        """Remove what creators and removers that were killed left half done."""
        if not self.state.is_dir():
            return
        for gone in self.state.glob(f"{_GONE}*"):
            shutil.rmtree(gone, ignore_errors=True)
        for part in self.state.glob(f"{_PARTIAL}*"):
            old = time.time() - _mtime(part) > 5.0
            with SandboxFolder(part).try_locked() as locked:
                if locked or (locked is False and old):
                    shutil.rmtree(part, ignore_errors=True)


def boot_id() -> str:
    """What tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _checked(name: str) -> str:
    if _NAME.match(name) is None or ".." in name:
        raise UsageError(
            "BAD_NAME",
            f"{name!r} cannot be the name of a sandbox.",
            hint="Use up to 200 letters, digits, '.', '_' or '-', starting with a letter or digit.",
        )
    return name


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parsed(path: Path, model: type[_Model]) -> _Model | None:
    data = read_bytes(path)
    if data is None:
        return None
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise PloinkyError(
            DAMAGED,
            f"{path} cannot be understood ({error.error_count()} faults).",
            hint="It was written by another version or damaged; remove the sandbox and start again.",
            details={"path": str(path)},
        ) from error
