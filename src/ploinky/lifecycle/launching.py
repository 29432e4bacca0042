"""Step 12: the launch signal with the environment, and the wait until the agent is ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.base.redaction import Redactor
from ploinky.channel.client import Channel
from ploinky.channel.model import LauncherState
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.failures import keeps_ending, not_ready
from ploinky.lifecycle.planner import StartPlan
from ploinky.lifecycle.probes import Answer, Asking, ending_words, readiness_check
from ploinky.lifecycle.variables import merged_environment
from ploinky.secrets.audit import record_given

_BASE_FILE = "/proc/self/environ"
_MOST_BASE_BYTES = 256 * 1024
_LOG_LINES = 20
_LOG_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_MOST_ENDINGS = 4
_LAUNCHED = frozenset({LauncherState.RUNNING, LauncherState.SERVING, LauncherState.BACKOFF})


async def base_environment(channel: Channel) -> dict[str, str]:
    """What the image sets, as the launcher found it when it became the first process."""
    try:
        found = await channel.read_file(_BASE_FILE, _MOST_BASE_BYTES)
    except PloinkyError as error:
        if error.code != "REMOTE_FILE":
            raise
        found = None  # a kernel that hides it; the platform's own PATH must do then
    if found is None:
        return {}
    pairs = (item.partition("=") for item in found.data.decode("utf-8", "replace").split("\0"))
    return {name: value for name, equals, value in pairs if name and equals}


async def full_environment(channel: Channel, values: Mapping[str, str], work_dir: Path) -> dict[str, str]:
    """``values`` over what the image sets, with what the agent installed on PATH."""
    return merged_environment(await base_environment(channel), values, work_dir)


async def is_launched(channel: Channel) -> bool:
    """Whether the launch signal was given since the sandbox started."""
    return (await channel.status()).state in _LAUNCHED


async def launch(ctx: LifecycleContext, plan: StartPlan, channel: Channel) -> None:
    """Give the launch signal: command and environment travel in the frame, and an audit line is written."""
    work_dir = ctx.layout.work_dir(plan.key).resolve()
    environment = await full_environment(channel, plan.environment.values, work_dir)
    record_given(ctx.layout, plan.key, plan.environment)
    await channel.launch(replace(plan.launch, env=tuple(sorted(environment.items()))))


@dataclass(frozen=True)
class ReadyWait:
    """Waiting for one agent's first readiness. ``redactor`` cleans the log lines of its error."""

    ctx: LifecycleContext
    plan: StartPlan
    redactor: Redactor
    timeout_s: float

    async def run(self, channel: Channel) -> None:
        """Return once the agent is ready.

        Raises:
            PloinkyError: HEALTH_CHECK_TIMEOUT; AGENT_CRASHED if its command keeps ending.
        """
        check = readiness_check(self.plan.config, await self._asking(channel))
        answer = Answer(False, "it has not answered yet")
        with anyio.move_on_after(self.timeout_s):
            good, pause_s = 0, _FIRST_PAUSE_S
            while True:
                answer = await check.answer(channel)
                good = good + 1 if answer.ok else 0
                if good >= check.success_threshold:
                    return
                await self._give_up_if_it_ends(channel)
                await anyio.sleep(min(pause_s, check.interval_s))
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)
        raise not_ready(self.plan.key, answer.reason, self.timeout_s, await self._log())

    async def _give_up_if_it_ends(self, channel: Channel) -> None:
        status = await channel.status()
        if status.state is LauncherState.ENDED or status.restarts >= _MOST_ENDINGS:
            how = ending_words(status.last_code, status.last_signal)
            raise keeps_ending(self.plan.key, how, max(1, status.restarts), await self._log())

    async def _asking(self, channel: Channel) -> Asking:
        work_dir = self.ctx.layout.work_dir(self.plan.key).resolve()
        environment = await full_environment(channel, self.plan.environment.values, work_dir)
        return Asking(self.plan.location.folder, self.plan.config.main_port, environment)

    async def _log(self) -> tuple[str, ...]:
        lines: deque[str] = deque(maxlen=_LOG_LINES)
        with anyio.move_on_after(_LOG_TIMEOUT_S):
            try:
                chunks = [
                    chunk async for chunk in self.ctx.runtime.logs(self.plan.spec.name, tail=_LOG_LINES)
                ]
            except PloinkyError as error:
                return (f"(no log: {error.message})",)
            text = b"".join(chunks).decode("utf-8", "replace")
            lines.extend(self.redactor.scrub(text).splitlines())
        return tuple(lines)
