"""The clock of one assistant's jobs: runs what is due, also after sleep and restarts, and keeps how it went.

It looks at the wall clock at least every ``LOOK_EVERY_S``, because a sleeping machine stops all timers. A run
that should have been while nothing ran is caught up with once or skipped, as the job says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import anyio

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.autonomy.jobs import Action, Job, JobRun, JobStore, iso
from ploinky.assistants.autonomy.schedule import Schedule
from ploinky.assistants.ids import new_id
from ploinky.assistants.journal import EventKind
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import Run, RunKind, RunStatus
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.base.errors import PloinkyError, UsageError

_log = logging.getLogger(__name__)
LOOK_EVERY_S = 15.0
LATE_S = 60.0
MOST_JOBS = 200
_WAIT_S = 24 * 3600.0
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class JobWish:
    """A job as somebody wants it; None takes the settings' value."""

    name: str
    schedule: Schedule
    action: Action
    missed: Literal["skip", "once"] | None = None
    retries: int | None = None
    enabled: bool = True


class Cron:
    """The jobs of ``assistant``; ``run`` must be running. It looks at ``clock`` every ``look_every_s``."""

    def __init__(
        self, assistant: Assistant, clock: Clock = utc_now, *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._assistant = assistant
        self._clock = clock
        self._look_every_s = look_every_s
        self._changed = anyio.Event()
        self._busy: set[str] = set()
        self.store = JobStore(assistant.database)

    async def add(self, wish: JobWish, *, by: str) -> Job:
        """Keep a new job.

        Raises:
            UsageError: ``TOO_MANY_JOBS``; ``JOB_NEVER`` if it lies in the past.
        """
        if len(self.store.all()) >= MOST_JOBS:
            raise UsageError("TOO_MANY_JOBS", f"An assistant has at most {MOST_JOBS} jobs.")
        return await self._put(wish, new_id("job"), iso(self._clock()), by)

    async def update(self, job_id: str, wish: JobWish) -> Job:
        """Replace a job; its history stays. Raises NotFoundError ``NO_JOB``, and as ``add``."""
        before = self.store.require(job_id)
        return await self._put(wish, before.id, before.created_at, before.created_by)

    async def remove(self, job_id: str) -> None:
        """Raises NotFoundError ``NO_JOB``."""
        await self.store.remove(job_id)
        self._wake()

    async def run_now(self, job_id: str) -> JobRun:
        """Run a job at once, beside its times; how it went."""
        job = self.store.require(job_id)
        outcome = await self._perform(job, iso(self._clock()))
        await self.store.record(outcome, keep=self._assistant.settings.cron.history)
        return outcome

    async def run(self) -> None:
        """Run jobs at their times until cancelled; those of a former process first."""
        await self._recover()
        async with anyio.create_task_group() as tasks:
            while True:
                changed = self._changed
                for job in self._due():
                    self._busy.add(job.id)
                    tasks.start_soon(self._attend, job)
                with anyio.move_on_after(self._pause_s()):
                    await changed.wait()

    def _due(self) -> list[Job]:
        if not self._assistant.settings.cron.enabled:
            return []
        now = iso(self._clock())
        return [
            job
            for job in self.store.all()
            if job.enabled and job.next_at is not None and job.next_at <= now and job.id not in self._busy
        ]

    def _pause_s(self) -> float:
        times = [
            datetime.fromisoformat(job.next_at)
            for job in self.store.all()
            if job.enabled and job.next_at is not None and job.id not in self._busy
        ]
        left = [(each - self._clock()).total_seconds() for each in times]
        return max(0.01, min([self._look_every_s, *left]))

    async def _attend(self, job: Job) -> None:
        try:
            assert job.next_at is not None
            late_s = (self._clock() - datetime.fromisoformat(job.next_at)).total_seconds()
            if late_s > LATE_S and job.missed == "skip" and not job.attempt:
                now = iso(self._clock())
                missed = JobRun(job.id, job.next_at, now, now, 0, "missed", f"{late_s:.0f} s late", None)
                await self._settle(job, missed)
                return
            await self.store.put(replace(job, running=job.next_at))
            await self._settle(job, await self._perform(job, job.next_at))
        except Exception:
            _log.exception("the job %s of %s failed inside", job.id, self._assistant.id)
        finally:
            self._busy.discard(job.id)
            self._wake()

    async def _settle(self, job: Job, outcome: JobRun) -> None:
        """Keep how it went, and when the job is due next."""
        await self.store.record(outcome, keep=self._assistant.settings.cron.history)
        current = next((each for each in self.store.all() if each.id == job.id), None)
        if current is None or current.schedule != job.schedule:
            return  # it was removed or changed meanwhile
        retry = outcome.outcome in ("failed", "interrupted") and job.attempt < job.retries
        if retry:
            pause_s = self._assistant.settings.cron.retry_after * 2**job.attempt
            due: datetime | None = self._clock() + timedelta(seconds=pause_s)
        else:
            due = job.schedule.next_after(self._clock(), anchor=datetime.fromisoformat(job.created_at))
        next_at = None if due is None else iso(due)
        attempt = job.attempt + 1 if retry else 0
        await self.store.put(replace(current, next_at=next_at, attempt=attempt, running=None))

    async def _perform(self, job: Job, due_at: str) -> JobRun:
        started = iso(self._clock())
        run_id: str | None = None
        try:
            self._assistant.spending.require_proactive(self._assistant.settings.budgets)
            run = await self._assistant.start_run(_request(job.action))
            run_id = run.id
            outcome, detail = _outcome(await self._assistant.wait_run(run.id, _WAIT_S))
            await self._assistant.spending.add_proactive(run.id)
        except PloinkyError as error:
            outcome, detail = "refused", f"{error.code}: {error.message}"
            told = f"The job '{job.name}' did not run: {error.message}"
            await self._assistant.notify(job.action.session, EventKind.NOTICE, told)
        return JobRun(job.id, due_at, started, iso(self._clock()), job.attempt, outcome, detail, run_id)

    async def _put(self, wish: JobWish, job_id: str, created_at: str, by: str) -> Job:
        settings = self._assistant.settings.cron
        anchor = datetime.fromisoformat(created_at)
        due = wish.schedule.next_after(self._clock(), anchor=anchor)
        if due is None:
            raise UsageError("JOB_NEVER", "That time has passed; the job would never run.")
        job = Job(
            id=job_id,
            name=wish.name,
            schedule=wish.schedule,
            action=wish.action,
            enabled=wish.enabled,
            missed=wish.missed or settings.missed,
            retries=settings.retries if wish.retries is None else wish.retries,
            created_at=created_at,
            created_by=by,
            next_at=iso(due),
        )
        await self.store.put(job)
        self._wake()
        return job

    async def _recover(self) -> None:
        for job in self.store.all():
            if job.running is not None:
                now = iso(self._clock())
                detail = "the gateway ended meanwhile"
                cut = JobRun(job.id, job.running, job.running, now, job.attempt, "interrupted", detail, None)
                await self._settle(job, cut)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _request(action: Action) -> RunRequest:
    session = Session(action.session, ChannelKind.DM)
    if action.tool is not None:
        return RunRequest(session, (), RunKind.CRON, call=(action.tool, action.arguments or {}))
    message = NewMessage(Role.USER, action.message or "", data={"source": "cron"})
    return RunRequest(session, [message], RunKind.CRON)


def _outcome(run: Run) -> tuple[str, str | None]:
    if run.status is RunStatus.DONE:
        return "done", None
    if run.status is RunStatus.INTERRUPTED:
        return "interrupted", None
    return "failed", run.status.value if run.error is None else f"{run.error.code}: {run.error.message}"
