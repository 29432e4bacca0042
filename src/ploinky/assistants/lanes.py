"""The queue of an assistant's runs: one at a time in a session, sessions side by side.

A person's run goes before a clock's, and pushes a heartbeat that is under way aside. Queues are bounded; a
full one is an error that says so. Knows no turn: ``work`` does it.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import anyio.abc

from ploinky.assistants.runs import Run, RunKind, RunStatus
from ploinky.base.errors import PloinkyError

_log = logging.getLogger(__name__)
_PRIORITY = {RunKind.USER: 0, RunKind.ASSISTANT: 1, RunKind.CRON: 2, RunKind.HEARTBEAT: 3}


@dataclass
class Ticket:
    """A run in the queue or under way. ``cancelled_as`` is what it becomes when it is cancelled."""

    run: Run
    depth: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    cancelled_as: RunStatus = RunStatus.INTERRUPTED
    under_way: bool = False


@dataclass
class _Lane:
    waiting: list[tuple[int, int, Ticket]] = field(default_factory=list)


Work = Callable[[Ticket], Awaitable[None]]
"""Does a run. It is also called for one that was cancelled before it began, to end it."""


class Lanes:
    """The queues of one assistant; ``tasks`` runs what is in them."""

    def __init__(self, tasks: anyio.abc.TaskGroup, work: Work) -> None:
        self._tasks = tasks
        self._work = work
        self._lanes: dict[str, _Lane] = {}
        self._tickets: dict[str, Ticket] = {}
        self._numbers = itertools.count()

    def is_idle(self, session: str) -> bool:
        """Whether a run of this session would begin at once."""
        return session not in self._lanes

    def require_room(self, session: str, most: int) -> None:
        """Raises PloinkyError ``QUEUE_FULL`` if ``most`` runs of the session wait."""
        lane = self._lanes.get(session)
        if lane is not None and len(lane.waiting) >= most:
            raise PloinkyError(
                "QUEUE_FULL",
                f"{len(lane.waiting)} messages of this session wait already.",
                hint="Wait for an answer, or cancel a run: agent.cancel",
            )

    def find(self, run_id: str) -> Ticket | None:
        """The ticket of a run that has not ended."""
        return self._tickets.get(run_id)

    def add(self, run: Run, depth: int = 0) -> Ticket:
        """Queue a run; it begins when it is its turn."""
        ticket = Ticket(run, depth)
        self._tickets[run.id] = ticket
        lane = self._lanes.get(run.session.id)
        is_new = lane is None
        if lane is None:
            lane = self._lanes[run.session.id] = _Lane()
        heapq.heappush(lane.waiting, (_PRIORITY[run.kind], next(self._numbers), ticket))
        if run.kind in (RunKind.USER, RunKind.ASSISTANT):
            self._push_aside()
        if is_new:
            self._tasks.start_soon(self._drive, run.session.id, lane)
        return ticket

    def cancel(self, run_id: str, status: RunStatus = RunStatus.CANCELLED) -> bool:
        """End a run, under way or not; whether there was one."""
        ticket = self._tickets.get(run_id)
        if ticket is None:
            return False
        ticket.cancelled_as = status
        ticket.scope.cancel()
        lane = self._lanes.get(ticket.run.session.id)
        if not ticket.under_way and lane is not None:
            lane.waiting = [each for each in lane.waiting if each[2] is not ticket]
            heapq.heapify(lane.waiting)
            self._tasks.start_soon(self._do, ticket)
        return True

    def active(self) -> list[Run]:
        """The runs that are under way or wait."""
        return [ticket.run for ticket in self._tickets.values()]

    def _push_aside(self) -> None:
        for ticket in list(self._tickets.values()):
            if ticket.run.kind is RunKind.HEARTBEAT and ticket.under_way:
                self.cancel(ticket.run.id)

    async def _drive(self, session: str, lane: _Lane) -> None:
        while lane.waiting:
            _, _, ticket = heapq.heappop(lane.waiting)
            await self._do(ticket)
        del self._lanes[session]

    async def _do(self, ticket: Ticket) -> None:
        ticket.under_way = True
        try:
            with ticket.scope:
                await self._work(ticket)
        except Exception:
            _log.exception("the run %s failed inside", ticket.run.id)
        finally:
            self._tickets.pop(ticket.run.id, None)
            ticket.ended.set()
