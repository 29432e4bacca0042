"""What a start was doing when it was killed, so that the next command can put it right.

While somebody works on an agent they hold the agent's lock (the kernel's, released even by SIGKILL) and a
small file in ``.ploinky/running`` says which step they are in. A journal without a holder of the lock is
what a dead command left behind. Programs that a start runs on the host carry ``START_MARK`` in their
environment, by which they are found however they hid.
"""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from ploinky.base.clock import now_iso
from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.files import FileLock, read_text, write_atomic
from ploinky.base.process_id import ProcessId
from ploinky.workspace.layout import Layout

START_MARK = "PLOINKY_START_ID"
_POLL_S = 0.02
_SHORT_WAIT_S = 0.3


@dataclass(frozen=True)
class Journal:
    """The step that a start is in. ``start_id`` marks the programs it runs on the host."""

    key: str
    start_id: str
    sandbox: str
    step: int
    at: str


class JournalFile:
    """The journal of one agent on disk."""

    def __init__(self, layout: Layout, key: str) -> None:
        self._key = key
        self._path = layout.running / f"{key}.start.json"

    def read(self) -> Journal | None:
        """What a start noted, or None. A torn or foreign file counts as an early step: clean up."""
        text = read_text(self._path)
        if text is None:
            return None
        return _parsed(text) or Journal(key=self._key, start_id="", sandbox="", step=0, at=now_iso())

    def note(self, start_id: str, sandbox: str, step: int) -> None:
        journal = Journal(key=self._key, start_id=start_id, sandbox=sandbox, step=step, at=now_iso())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, json.dumps(asdict(journal)).encode(), mode=0o600)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def _parsed(text: str) -> Journal | None:
    """The journal as ``note`` wrote it, or None."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    match found:
        case {
            "key": str(key),
            "start_id": str(start_id),
            "sandbox": str(sandbox),
            "step": int(step),
            "at": str(at),
        }:
            return Journal(key=key, start_id=start_id, sandbox=sandbox, step=step, at=at)
    return None


def new_start_id() -> str:
    return uuid.uuid4().hex


@asynccontextmanager
async def agent_lock(
    layout: Layout, key: str, *, timeout_s: float, on_wait: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[None]:
    """Work on one agent alone, among all processes and tasks. ``on_wait`` is called once if it takes long.

    Raises:
        DeadlineError: AGENT_BUSY after ``timeout_s``.
    """
    try:
        lock = await _wait_for_lock(layout, key, min(timeout_s, _SHORT_WAIT_S))
    except DeadlineError:
        if on_wait is not None:
            await on_wait()
        lock = await _wait_for_lock(layout, key, timeout_s)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def is_locked(layout: Layout, key: str) -> bool:
    """Whether somebody works on the agent at this moment."""
    lock = _try_lock(layout, key)
    if lock is None:
        return True
    lock.__exit__(None, None, None)
    return False


async def _wait_for_lock(layout: Layout, key: str, timeout_s: float) -> FileLock:
    deadline = anyio.current_time() + timeout_s
    while True:
        lock = _try_lock(layout, key)
        if lock is not None:
            return lock
        if anyio.current_time() >= deadline:
            raise DeadlineError(
                f"another command that works on agent '{key}'",
                timeout_s,
                code="AGENT_BUSY",
                hint=f"See what it does: ploinky status {key}",
            )
        await anyio.sleep(_POLL_S)


def _try_lock(layout: Layout, key: str) -> FileLock | None:
    lock = FileLock(layout.lock(f"agent-{key}"[:64]), timeout_s=0)
    try:
        return lock.__enter__()
    except PloinkyError as error:
        if error.code == "FILE_LOCKED":
            return None
        raise


async def kill_marked(start_id: str) -> int:
    """Kill every process of this user that a dead start left on the host; how many there were."""
    if not start_id:
        return 0
    killed = 0
    for process in await anyio.to_thread.run_sync(lambda: list(_marked(start_id))):
        killed += process.signal(signal.SIGKILL)
    return killed


def _marked(start_id: str) -> Iterator[ProcessId]:
    mark = f"{START_MARK}={start_id}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or another user's
            continue
        process = ProcessId.find(int(folder.name)) if mark in variables else None
        if process is not None:
            yield process
