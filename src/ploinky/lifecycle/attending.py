"""An agent that runs, under watch: its launcher's states, its readiness and its liveness, side by side.

Knows one connection to one launcher. What it learns goes to ``say``; what must be done about the sandbox
itself is left to the caller, told by the ``Verdict`` that ends the watch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import Channel
from ploinky.channel.model import LauncherState, LauncherStatus
from ploinky.lifecycle.probes import Check, ending_words
from ploinky.lifecycle.pulse import Attempts, Pulse
from ploinky.lifecycle.status import Health

_LOG = logging.getLogger(__name__)
_IMPATIENT_S = 0.5
_FIRST_PAUSE_S = 0.05
_RESTART_S = 60.0


@dataclass(frozen=True)
class Condition:
    """What changed about a running agent; None: as before."""

    health: Health | None = None
    reason: str = ""
    pid: int | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Verdict:
    """Why a watch ended: the launcher went away, or (``hopeless``) the agent keeps failing."""

    reason: str
    hopeless: bool = False


Say = Callable[[Condition], None]


class Attendance:
    """The watch over one running agent, from its launch or adoption to its end."""

    def __init__(self, key: str, channel: Channel, say: Say, endings: Attempts) -> None:
        self._key = key
        self._channel = channel
        self._say = say
        self._endings = endings
        self._launcher: LauncherStatus | None = None
        self._prod = anyio.Event()
        self._moved = anyio.Event()
        self._verdict: Verdict | None = None
        self._scope = anyio.CancelScope()

    async def watch(self, readiness: Check, liveness: Check | None) -> Verdict:
        """Watch until there is a verdict; cancel it when it is no longer wanted."""
        pulse = Pulse(readiness)
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            tasks.start_soon(self._follow, pulse)
            tasks.start_soon(self._ask_readiness, pulse)
            if liveness is not None:
                tasks.start_soon(self._ask_liveness, Pulse(liveness), pulse)
        assert self._verdict is not None, "only a verdict ends the watch from inside"
        return self._verdict

    def _end(self, verdict: Verdict) -> None:
        self._verdict = self._verdict or verdict
        self._scope.cancel()

    async def _follow(self, readiness: Pulse) -> None:
        try:
            async for status in self._channel.watch():
                self._take(status, readiness)
        except PloinkyError as error:
            _LOG.info("agent %s: its launcher is gone: %s", self._key, error.message)
        self._end(Verdict("its sandbox ended"))

    def _take(self, status: LauncherStatus, readiness: Pulse) -> None:
        before, self._launcher = self._launcher, status
        self._moved.set()
        self._moved = anyio.Event()
        ended = status.state in (LauncherState.BACKOFF, LauncherState.ENDED)
        again = before is not None and status.restarts > before.restarts
        if ended or again:
            readiness.begin_again()
        if ended:
            how = f"its command {ending_words(status.last_code, status.last_signal)}"
            self._tell(Health.RESTARTING, how)
            self._endings.next_pause_s()
            if self._endings.exhausted:
                self._end(Verdict(f"{how} ({self._endings.count} times)", hopeless=True))
        elif before is None or status.main_pid != before.main_pid:
            self._tell(None)
            self._prod.set()

    async def _ask_readiness(self, pulse: Pulse) -> None:
        began = anyio.current_time()
        pause_s = _FIRST_PAUSE_S
        while True:
            answer = await pulse.check.answer(self._channel)
            pulse.take(answer, age_s=anyio.current_time() - began)
            if self._launcher is None or self._launcher.state is not LauncherState.BACKOFF:
                self._tell_readiness(pulse)
            pause_s = _FIRST_PAUSE_S if pulse.well else min(pause_s * 2, _IMPATIENT_S)
            await self._pause(pulse.check.interval_s if pulse.well else min(pause_s, pulse.check.interval_s))

    async def _pause(self, seconds: float) -> None:
        """Wait, or be woken because the agent's command was started again."""
        with anyio.move_on_after(seconds):
            await self._prod.wait()
        self._prod = anyio.Event()

    async def _ask_liveness(self, pulse: Pulse, readiness: Pulse) -> None:
        began = anyio.current_time()
        while True:
            await anyio.sleep(pulse.check.interval_s)
            pulse.take(await pulse.check.answer(self._channel), age_s=anyio.current_time() - began)
            if pulse.well is not False or not pulse.is_certain:
                continue
            why = f"its liveness probe failed: {pulse.reason}"
            pause_s = self._endings.next_pause_s()
            if self._endings.exhausted:
                self._end(Verdict(f"{why} ({self._endings.count} times)", hopeless=True))
                return
            readiness.begin_again()
            self._tell(Health.RESTARTING, why)
            await anyio.sleep(pause_s)
            await self._restart_main()
            pulse.begin_again()
            began = anyio.current_time()

    async def _restart_main(self) -> None:
        """Restart the agent's command and wait until it runs again: one that is down has no pulse."""
        before = self._launcher.main_pid if self._launcher is not None else None
        try:
            await self._channel.restart_main()
        except PloinkyError as error:
            _LOG.warning("agent %s: cannot restart its command: %s", self._key, error.message)
            return
        with anyio.move_on_after(_RESTART_S):
            while self._launcher is None or self._launcher.main_pid in (None, before):
                await self._moved.wait()

    def _tell_readiness(self, pulse: Pulse) -> None:
        if pulse.well:
            self._tell(Health.READY)
        elif pulse.well is None:
            self._tell(Health.STARTING, pulse.reason)
        else:
            self._tell(Health.NOT_READY, pulse.reason)

    def _tell(self, health: Health | None, reason: str = "") -> None:
        status = self._launcher
        pid = status.main_pid if status is not None else None
        self._say(Condition(health, reason, pid, status.restarts if status is not None else 0))
