"""Compare what should run with what does, for as long as the gateway lives.

The registry says what should run, the engine what does. Both are looked at when they change, when somebody
pokes, and every few seconds anyway, because events get lost. Each agent has a watcher of its own, so that a
slow one delays no other.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.abc
import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.pulse import RESTART_PATIENCE, Patience
from ploinky.lifecycle.status import AgentStatus
from ploinky.lifecycle.watching import Watcher
from ploinky.runtimes.log_files import bound_log
from ploinky.runtimes.protocol import RuntimeEvent
from ploinky.workspace.registry import RegistryEntry

_LOG = logging.getLogger(__name__)
_REGISTRY_POLL_S = 0.25
_REJOIN_PAUSE_S = 1.0
_LOGS_PAUSE_S = 1.0


class Reconciler:
    """Adopts running agents, notices what vanished, died or was started by hand, restarts what should
    run, watches liveness and readiness of every agent side by side."""

    def __init__(
        self, ctx: LifecycleContext, *, interval_s: float = 5.0, patience: Patience = RESTART_PATIENCE
    ) -> None:
        self._ctx = ctx
        self._interval_s = interval_s
        self._patience = patience
        self._wake = anyio.Event()
        self._watchers: dict[str, tuple[Watcher, anyio.CancelScope]] = {}
        self._statuses: dict[str, AgentStatus] = {}
        self._changed = anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled; what runs goes on running. Started once it has looked at everything."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_engine)
            tasks.start_soon(self._follow_registry)
            tasks.start_soon(self._bound_logs)
            await self._try_to_look(tasks)
            task_status.started()
            while True:
                with anyio.move_on_after(self._interval_s):
                    await self._wake.wait()
                await self._try_to_look(tasks)

    async def _try_to_look(self, tasks: anyio.abc.TaskGroup) -> None:
        self._wake = anyio.Event()
        try:
            await self._look(tasks)
        except PloinkyError as error:
            _LOG.warning("cannot compare registry and engine: %s", error.message)

    def poke(self) -> None:
        """Look at everything now; called when somebody changed the registry or a sandbox."""
        self._wake.set()

    def statuses(self) -> Mapping[str, AgentStatus]:
        """The latest status of every enabled agent, by key."""
        return dict(self._statuses)

    async def changes(self) -> AsyncIterator[Mapping[str, AgentStatus]]:
        """The statuses now and after every change, without end; changes in quick succession come as one."""
        while True:
            changed = self._changed
            yield self.statuses()
            await changed.wait()

    async def _look(self, tasks: anyio.abc.TaskGroup) -> None:
        entries = await anyio.to_thread.run_sync(self._ctx.registry.read)
        sandboxes = {each.name: each for each in await self._ctx.runtime.list(self._ctx.layout.id)}
        for key in [key for key in self._watchers if key not in entries]:
            _, scope = self._watchers.pop(key)
            scope.cancel()
            if self._statuses.pop(key, None) is not None:
                self._tell()
        for key, entry in entries.items():
            if key not in self._watchers:
                self._begin(tasks, entry)
            self._watchers[key][0].see(entry, sandboxes.get(entry.container_name))

    def _begin(self, tasks: anyio.abc.TaskGroup, entry: RegistryEntry) -> None:
        watcher = Watcher(self._ctx, entry, self._publish, patience=self._patience)
        scope = anyio.CancelScope()
        self._watchers[entry.key] = (watcher, scope)
        self._publish(watcher.status)
        tasks.start_soon(self._run_watcher, entry.key, watcher, scope)

    async def _run_watcher(self, key: str, watcher: Watcher, scope: anyio.CancelScope) -> None:
        """One boundary per agent: an unforeseen error of one ends the watch of none but itself."""
        with scope:
            while True:
                try:
                    await watcher.run()
                except Exception:
                    _LOG.exception("agent %s: its watcher failed and begins again", key)
                    await anyio.sleep(_REJOIN_PAUSE_S)

    def _publish(self, status: AgentStatus) -> None:
        if status.key in self._watchers and self._statuses.get(status.key) != status:
            self._statuses[status.key] = status
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _follow_engine(self) -> None:
        while True:
            try:
                async for event in self._ctx.runtime.events(self._ctx.layout.id):
                    self._note(event)
            except PloinkyError as error:
                _LOG.warning("the engine's events broke off: %s", error.message)
            await anyio.sleep(_REJOIN_PAUSE_S)

    def _note(self, event: RuntimeEvent) -> None:
        _LOG.debug("engine: %s %s", event.kind.value, event.name)
        self.poke()

    async def _follow_registry(self) -> None:
        """The registry is a file that other processes replace: look at its facts, they cost nothing."""
        before = self._registry_facts()
        while True:
            await anyio.sleep(_REGISTRY_POLL_S)
            facts = self._registry_facts()
            if facts != before:
                before = facts
                self.poke()

    async def _bound_logs(self) -> None:
        """Keep what agents print from filling the disk, also while they run."""
        while True:
            await anyio.sleep(_LOGS_PAUSE_S)
            for key in tuple(self._watchers):
                try:
                    await anyio.to_thread.run_sync(bound_log, self._ctx.layout.agent_log(key))
                except (OSError, PloinkyError) as error:
                    _LOG.warning("the log of agent %s cannot be bounded: %s", key, error)

    def _registry_facts(self) -> tuple[int, int] | None:
        try:
            facts = self._ctx.layout.registry_file.stat()
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_mtime_ns
