"""Compare what should run with what does, for as long as the gateway lives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.status import AgentStatus


class Reconciler:
    """Adopts running agents, notices what vanished, died or was started by hand, restarts what should
    run, watches liveness and readiness of every agent side by side."""

    def __init__(self, ctx: LifecycleContext, *, interval_s: float = 5.0) -> None:
        self._ctx = ctx
        self._interval_s = interval_s

    async def run(self) -> None:
        """Work until cancelled."""
        raise NotImplementedError

    def poke(self) -> None:
        """Look at everything now; called when somebody changed the registry or a sandbox."""
        raise NotImplementedError

    def statuses(self) -> Mapping[str, AgentStatus]:
        """The latest status of every enabled agent, by key."""
        raise NotImplementedError

    def changes(self) -> AsyncIterator[Mapping[str, AgentStatus]]:
        """The statuses now and after every change, without end; changes in quick succession come as one."""
        raise NotImplementedError
