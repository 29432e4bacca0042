"""Notice what happens to sandboxes, whoever made it happen.

The kernel tells of a death at once (pidfd); starts and removals by other processes are found by comparing
the records, a few times a second.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.runtimes.bubblewrap_process import monitor_gone
from ploinky.runtimes.bubblewrap_records import Record, RecordStore, Run
from ploinky.runtimes.protocol import RuntimeEvent, RuntimeEventKind

_POLL_S = 0.2


@dataclass(frozen=True)
class _View:
    """A sandbox at one look: the id tells it from a later one of the same name."""

    id: str
    run: Run | None
    alive: bool


class RecordWatcher:
    """Compares the records of one workspace with how they were; the first look is at construction."""

    def __init__(self, store: RecordStore, workspace: str) -> None:
        self._store = store
        self._workspace = workspace
        self._known: dict[str, tuple[object, Record | None, Run | None]] = {}
        self._seen = self._look()

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        while True:
            before, now = self._seen, self._look()
            self._seen = now
            for name in sorted({*before, *now}):
                for kind in _changes(before.get(name), now.get(name)):
                    yield await self._event(kind, name)
            await self._wait()

    def _look(self) -> dict[str, _View]:
        return dict(self._views())

    def _views(self) -> Iterator[tuple[str, _View]]:
        names = self._store.names()
        for name in names:
            record, run = self._read(name)
            if record is not None and record.spec.workspace == self._workspace:
                yield name, _View(record.id, run, run is not None and run.alive)
        for gone in set(self._known) - set(names):
            del self._known[gone]

    def _read(self, name: str) -> tuple[Record | None, Run | None]:
        """The files of a sandbox, parsed only when they have changed."""
        folder = self._store.folder(name)
        version = (_version(folder.record_file), _version(folder.run_file))
        known = self._known.get(name)
        if known is None or known[0] != version:
            try:
                known = (version, folder.record(), folder.run())
            except PloinkyError:
                known = (version, None, None)  # damaged: whoever touches it gets the error
            self._known[name] = known
        return known[1], known[2]

    async def _event(self, kind: RuntimeEventKind, name: str) -> RuntimeEvent:
        if kind is not RuntimeEventKind.DIED:
            return RuntimeEvent(kind, name)
        folder = self._store.folder(name)
        with contextlib.suppress(PloinkyError):  # without the exit code, then
            await monitor_gone(folder)
        return RuntimeEvent(kind, name, folder.monitor_status().exit_code)

    async def _wait(self) -> None:
        """Until something dies, at most for a moment."""
        with select.epoll() as deaths:
            descriptors = []
            try:
                for view in self._seen.values():
                    if view.run is not None and view.alive:
                        try:
                            descriptors.append(os.pidfd_open(view.run.pid))
                        except ProcessLookupError:
                            return
                        deaths.register(descriptors[-1], select.EPOLLIN)
                with anyio.move_on_after(_POLL_S):
                    await anyio.wait_readable(deaths.fileno())
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _changes(before: _View | None, now: _View | None) -> list[RuntimeEventKind]:
    """What happened between two looks, in order."""
    same = before is not None and now is not None and before.id == now.id
    changes = []
    if before is not None and before.alive and not (same and now and now.alive and now.run == before.run):
        changes.append(RuntimeEventKind.DIED)
    if before is not None and not same:
        changes.append(RuntimeEventKind.REMOVED)
    started = now is not None and now.alive and not (same and before and before.run == now.run)
    if started:
        changes.append(RuntimeEventKind.STARTED)
    return changes
