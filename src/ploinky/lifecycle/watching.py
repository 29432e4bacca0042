"""One agent as the gateway follows it: found, brought back, watched, given up.

A watcher is handed its entry and its sandbox by the reconciler and asks again itself before it acts.
Whoever holds the agent's lock is not interfered with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import anyio
import anyio.to_thread

from ploinky.base.errors import NeedsApprovalError, PloinkyError
from ploinky.channel.client import Channel, open_channel
from ploinky.lifecycle.attending import Attendance, Condition, Verdict
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.journal import JournalFile, agent_lock, is_locked
from ploinky.lifecycle.launching import full_environment, is_launched
from ploinky.lifecycle.options import usual_options
from ploinky.lifecycle.planner import resolve_agent
from ploinky.lifecycle.probes import Asking, liveness_check, readiness_check
from ploinky.lifecycle.pulse import RESTART_PATIENCE, Attempts, Patience
from ploinky.lifecycle.records import change_entry, move, without_sandbox
from ploinky.lifecycle.recovery import recover
from ploinky.lifecycle.sandboxes import require_same_runtime, socket_folder
from ploinky.lifecycle.starting import start
from ploinky.lifecycle.status import AgentStatus, Health, status_of
from ploinky.runtimes.protocol import Sandbox, SandboxState
from ploinky.runtimes.spec import SOCKET_NAME
from ploinky.wire.events import Event
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState, Desired

_LOG = logging.getLogger(__name__)
_BUSY_PAUSE_S = 0.1
_ERROR_PAUSE_S = 1.0
_STOP_GRACE_S = 3.0
_LOCK_S = 10.0
_IDLE_S = 300.0
_CLAIMS = frozenset({AgentState.RUNNING, AgentState.STARTING, AgentState.CREATING})
_ADOPTED = frozenset({AgentState.STOPPED, AgentState.FAILED, AgentState.STARTING})
Publish = Callable[[AgentStatus], None]


class Watcher:
    """Follows one agent until ``run`` is cancelled; every change of its status goes to ``publish``."""

    def __init__(
        self,
        ctx: LifecycleContext,
        entry: RegistryEntry,
        publish: Publish,
        *,
        patience: Patience = RESTART_PATIENCE,
    ) -> None:
        self._ctx = ctx
        self._key = entry.key
        self._entry = entry
        self._sandbox: Sandbox | None = None
        self._publish = publish
        self._news = anyio.Event()
        self._restarts = Attempts(patience)
        self._endings = Attempts(replace(patience, most=2 * patience.most))
        self._last_failure = ""
        self._status = status_of(entry, None, ctx.runtime.kind)

    @property
    def status(self) -> AgentStatus:
        """What is known by now; not ready until the agent was asked."""
        return self._status

    def see(self, entry: RegistryEntry, sandbox: Sandbox | None) -> None:
        """Take notice of what the registry and the engine say; the watcher wakes if it is news."""
        if (entry, sandbox) != (self._entry, self._sandbox):
            self._entry, self._sandbox = entry, sandbox
            self._news.set()

    async def run(self) -> None:
        """Work until cancelled; an error is logged, shown as the reason, and the agent is looked at again."""
        while True:
            self._news = anyio.Event()
            try:
                pause_s = await self._look()
            except PloinkyError as error:
                _LOG.warning("agent %s: %s", self._key, error.message)
                self._say(health=Health.NOT_READY, ready=False, reason=error.message.splitlines()[0])
                pause_s = _ERROR_PAUSE_S
            with anyio.move_on_after(pause_s):
                await self._news.wait()

    async def _look(self) -> float:
        """Look and do what is to do; seconds after which to look again unless there is news before."""
        if is_locked(self._ctx.layout, self._key):
            self._say_busy()
            return _BUSY_PAUSE_S
        await self._ask_anew()
        require_same_runtime(self._ctx, self._entry)
        if JournalFile(self._ctx.layout, self._key).read() is not None:
            await self._finish_off()
            return 0.0
        if self._sandbox is not None and self._sandbox.state is SandboxState.RUNNING:
            return await self._follow()
        if self._entry.desired is Desired.RUNNING and self._entry.state is not AgentState.FAILED:
            return await self._bring_back("its sandbox does not run")
        await self._note_gone()
        return _IDLE_S

    async def _ask_anew(self) -> None:
        """What the reconciler handed in may be older than what was done since."""
        entry = self._ctx.registry.get(self._key)
        if entry is not None:
            self._entry = entry
        if self._entry.container_name:
            self._sandbox = await self._ctx.runtime.inspect(self._entry.container_name)

    async def _finish_off(self) -> None:
        async with agent_lock(self._ctx.layout, self._key, timeout_s=_LOCK_S):
            await recover(self._ctx, self._key)

    async def _note_gone(self) -> None:
        """The engine wins: what does not run is not running, whatever the file says."""
        if self._entry.state in _CLAIMS:
            vanished = self._sandbox is None
            state = AgentState.ENABLED if vanished else AgentState.STOPPED
            reason = "its sandbox vanished" if vanished else "its sandbox ended"
            if vanished:
                await change_entry(self._ctx, self._key, without_sandbox)
            self._entry = await move(self._ctx, self._key, state, reason)
        self._status = status_of(self._entry, self._sandbox, self._ctx.runtime.kind)
        self._publish(self._status)

    async def _bring_back(self, why: str) -> float:
        """Start what should run. When that was tried too often in short time, the agent is FAILED."""
        why = f"{why} ({self._last_failure})" if self._last_failure else why
        if self._restarts.exhausted:
            await self._give_up(f"{why}, after {self._restarts.count} restarts")
            return _IDLE_S
        pause_s = self._restarts.next_pause_s()
        _LOG.info("agent %s: %s; starting it in %g s", self._key, why, pause_s)
        self._say(health=Health.RESTARTING, ready=False, reason=why, pid=None)
        with anyio.move_on_after(pause_s):
            await self._news.wait()
            if not self._still_wanted():
                return 0.0
            await anyio.sleep_forever()
        try:
            ctx = self._ctx.as_last_started(self._entry)
            await start(ctx, self._key, usual_options(ctx.settings), _to_nobody)
        except NeedsApprovalError as error:
            self._say(health=Health.STOPPED, ready=False, reason=error.message.splitlines()[0])
            return _IDLE_S
        except PloinkyError as error:
            await self._try_again(error)
        else:
            self._last_failure = ""
        return 0.0

    def _still_wanted(self) -> bool:
        entry = self._ctx.registry.get(self._key)
        return entry is not None and entry.desired is Desired.RUNNING

    async def _try_again(self, error: PloinkyError) -> None:
        """A start that failed left FAILED behind; until the tries are used up that is not the last word."""
        reason = error.message.splitlines()[0]
        _LOG.warning("agent %s: restart failed: %s", self._key, reason)
        self._last_failure = reason
        if self._still_wanted():
            await move(self._ctx, self._key, AgentState.STOPPED, f"will be tried again: {reason}")

    async def _give_up(self, reason: str) -> None:
        async with agent_lock(self._ctx.layout, self._key, timeout_s=_LOCK_S):
            if self._entry.container_name:
                await self._ctx.runtime.stop(self._entry.container_name, grace_s=_STOP_GRACE_S)
            self._entry = await move(self._ctx, self._key, AgentState.FAILED, reason)
        self._restarts.forget()
        self._endings.forget()
        self._last_failure = ""
        self._status = status_of(self._entry, None, self._ctx.runtime.kind)
        self._publish(self._status)

    async def _follow(self) -> float:
        """A running sandbox, whoever started it: launch the agent if nobody did, then watch it."""
        async with open_channel(socket_folder(self._ctx, self._key) / SOCKET_NAME) as channel:
            if not await is_launched(channel):
                launched = False
            else:
                launched = True
                await self._adopt()
                verdict = await self._watch(channel)
        if not launched:
            return await self._bring_back("its sandbox runs, but not the agent")
        if verdict is not None and verdict.hopeless:
            await self._give_up(verdict.reason)
            return _IDLE_S
        if verdict is not None:
            self._say(health=Health.RESTARTING, ready=False, reason=verdict.reason, pid=None)
        return 0.0

    async def _adopt(self) -> None:
        """Started by hand or by a command that died: from now on it is ours to keep running."""
        if self._entry.state in _ADOPTED:

            def found(entry: RegistryEntry) -> RegistryEntry:
                moved = entry.moved_to(AgentState.RUNNING, "found running")
                return moved.model_copy(update={"desired": Desired.RUNNING})

            self._entry = await change_entry(self._ctx, self._key, found)

    async def _watch(self, channel: Channel) -> Verdict | None:
        """Watch until the agent's end, or (None) until the registry or the engine has news."""
        agent = await anyio.to_thread.run_sync(
            resolve_agent, self._ctx.as_last_started(self._entry), self._entry
        )
        work_dir = self._ctx.layout.work_dir(self._key).resolve()
        environment = await full_environment(channel, agent.environment.values, work_dir)
        asking = Asking(agent.location.folder, agent.config.main_port, environment)
        attendance = Attendance(self._key, channel, self._take, self._endings)
        verdict: Verdict | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_news, tasks.cancel_scope)
            verdict = await attendance.watch(
                readiness_check(agent.config, asking), liveness_check(agent.config, asking)
            )
            tasks.cancel_scope.cancel()
        return verdict

    async def _until_news(self, scope: anyio.CancelScope) -> None:
        await self._news.wait()
        scope.cancel()

    # telling

    def _take(self, condition: Condition) -> None:
        changes: dict[str, object] = {"pid": condition.pid, "restarts": condition.restarts}
        if condition.health is not None:
            ready = condition.health is Health.READY
            changes |= {"health": condition.health, "ready": ready, "reason": condition.reason}
        self._say(**changes)

    def _say_busy(self) -> None:
        """Another command works on the agent. One that should go on running stays as it is till then."""
        entry = self._ctx.registry.get(self._key)
        if entry is None or (entry.state is AgentState.RUNNING and entry.desired is Desired.RUNNING):
            return
        self._entry = entry
        self._status = status_of(entry, self._sandbox, self._ctx.runtime.kind)
        self._publish(self._status)

    def _say(self, **changes: object) -> None:
        known = status_of(self._entry, self._sandbox, self._ctx.runtime.kind)
        runs = self._sandbox is not None and self._sandbox.state is SandboxState.RUNNING
        facts: dict[str, object] = {
            "state": known.state,
            "ports": known.ports,
            "image": known.image,
            "runtime": known.runtime,
            "started_at": known.started_at,
            "socket_path": socket_folder(self._ctx, self._key) / SOCKET_NAME if runs else None,
        }
        self._status = replace(self._status, **{**facts, **changes})  # type: ignore[arg-type]
        self._publish(self._status)


async def _to_nobody(event: Event) -> None:
    """Events of restarts have no reader; what matters of them is in the registry and the start log."""
