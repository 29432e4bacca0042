"""What outlives a request: runs that wait for their clients' next turn, and tasks. One per gateway."""

from __future__ import annotations

from dataclasses import dataclass

from ploinky.toolhost.parked import ParkedRuns
from ploinky.toolhost.tasks import TaskDesk


@dataclass(frozen=True)
class Backroom:
    """``desk`` is None where no task is kept; async tools are waited for then."""

    parked: ParkedRuns
    desk: TaskDesk | None = None

    async def sweep(self) -> None:
        """Give up and forget what is too old."""
        self.parked.sweep()
        if self.desk is not None:
            await self.desk.sweep()
