"""Jobs of one assistant as they are kept: when, what, how often it was tried, and how it went."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from ploinky.assistants.autonomy.schedule import Schedule, stored_schedule
from ploinky.base.database import Database
from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject

_COLUMNS = (
    "id, name, schedule, action, enabled, missed, retries, created_at, created_by, next_at, attempt, running"
)


@dataclass(frozen=True)
class Action:
    """What a job does: says ``message`` to the assistant, or calls ``tool``, in a session."""

    session: str
    message: str | None = None
    tool: str | None = None
    arguments: JsonObject | None = None

    def wire(self) -> JsonObject:
        if self.tool is not None:
            return {"sessionId": self.session, "tool": self.tool, "arguments": self.arguments or {}}
        return {"sessionId": self.session, "message": self.message}


@dataclass(frozen=True)
class Job:
    """A job. ``next_at`` None: it will not run again. ``attempt`` counts failures in a row, ``running`` is
    the
    time that the run under way was due."""

    id: str
    name: str
    schedule: Schedule
    action: Action
    enabled: bool
    missed: str
    retries: int
    created_at: str
    created_by: str
    next_at: str | None
    attempt: int = 0
    running: str | None = None

    def wire(self) -> JsonObject:
        return {
            "id": self.id,
            "name": self.name,
            "schedule": json.loads(self.schedule.text),
            "action": self.action.wire(),
            "enabled": self.enabled,
            "missed": self.missed,
            "retries": self.retries,
            "createdAt": self.created_at,
            "createdBy": self.created_by,
            "nextAt": self.next_at,
            "attempt": self.attempt,
            "running": self.running is not None,
        }


@dataclass(frozen=True)
class JobRun:
    """How one run of a job went: ``done``, ``failed``, ``refused``, ``missed`` or ``interrupted``."""

    job: str
    due_at: str
    started_at: str
    ended_at: str | None
    attempt: int
    outcome: str
    detail: str | None
    run_id: str | None

    def wire(self) -> JsonObject:
        return {
            "jobId": self.job,
            "dueAt": self.due_at,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "attempt": self.attempt,
            "outcome": self.outcome,
            "detail": self.detail,
            "runId": self.run_id,
        }


class JobStore:
    """The jobs in ``database``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Job]:
        """All jobs, the oldest first."""

        def work(db: sqlite3.Connection) -> list[Job]:
            query = f"SELECT {_COLUMNS} FROM jobs ORDER BY created_at, rowid"  # noqa: S608
            return [_job(row) for row in db.execute(query)]

        return self._database.read(work)

    def require(self, job_id: str) -> Job:
        """Raises NotFoundError ``NO_JOB``."""
        found = next((job for job in self.all() if job.id == job_id), None)
        if found is None:
            raise NotFoundError(
                "NO_JOB",
                "There is no such job of this assistant.",
                hint="See: ploinky cron list",
                details={"field": "id"},
            )
        return found

    async def put(self, job: Job) -> None:
        """Keep a job as it is now."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                f"INSERT OR REPLACE INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * 12)})",  # noqa: S608
                (
                    job.id,
                    job.name,
                    job.schedule.text,
                    json.dumps(job.action.wire(), ensure_ascii=False),
                    job.enabled,
                    job.missed,
                    job.retries,
                    job.created_at,
                    job.created_by,
                    job.next_at,
                    job.attempt,
                    job.running,
                ),
            )

        await self._database.commit(work)

    async def remove(self, job_id: str) -> None:
        """Forget a job with its history. Raises NotFoundError ``NO_JOB``."""
        self.require(job_id)

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            db.execute("DELETE FROM job_runs WHERE job = ?", (job_id,))

        await self._database.commit(work)

    async def record(self, run: JobRun, *, keep: int) -> None:
        """Add to a job's history, of which the newest ``keep`` rows stay."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO job_runs (job, due_at, started_at, ended_at, attempt, outcome, detail, run_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run.job,
                    run.due_at,
                    run.started_at,
                    run.ended_at,
                    run.attempt,
                    run.outcome,
                    run.detail,
                    run.run_id,
                ),
            )
            db.execute(
                "DELETE FROM job_runs WHERE job = ?1 AND id NOT IN"
                " (SELECT id FROM job_runs WHERE job = ?1 ORDER BY id DESC LIMIT ?2)",
                (run.job, keep),
            )

        await self._database.commit(work)

    def history(self, job_id: str | None, limit: int) -> list[JobRun]:
        """How runs went, the newest first."""

        def work(db: sqlite3.Connection) -> list[JobRun]:
            rows = db.execute(
                "SELECT job, due_at, started_at, ended_at, attempt, outcome, detail, run_id FROM job_runs"
                " WHERE ?1 IS NULL OR job = ?1 ORDER BY id DESC LIMIT ?2",
                (job_id, limit),
            )
            return [JobRun(*row) for row in rows]

        return self._database.read(work)

    def fact(self, name: str) -> str | None:
        """A small thing to remember over restarts."""

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return None if row is None else str(row[0])

        return self._database.read(work)

    async def set_fact(self, name: str, value: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

        await self._database.commit(work)


def iso(moment: datetime) -> str:
    """As times are stored: UTC with a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job(row: tuple[object, ...]) -> Job:
    job_id, name, schedule, action, enabled, missed, retries, created, by, next_at, attempt, running = row
    asked = json.loads(str(action))
    return Job(
        id=str(job_id),
        name=str(name),
        schedule=stored_schedule(str(schedule)),
        action=Action(asked["sessionId"], asked.get("message"), asked.get("tool"), asked.get("arguments")),
        enabled=bool(enabled),
        missed=str(missed),
        retries=int(str(retries)),
        created_at=str(created),
        created_by=str(by),
        next_at=None if next_at is None else str(next_at),
        attempt=int(str(attempt)),
        running=None if running is None else str(running),
    )
