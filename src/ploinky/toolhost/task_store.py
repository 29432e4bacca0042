"""Tasks on disk: one SQLite file per workspace, read again after the gateway was killed.

A task's arguments are kept until it begins, and taken away with its beginning, which happens once: a task is
never run twice. To change the table: one more migration.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from ploinky.base.database import Database, Migration
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.mcp.traces import trace_in
from ploinky.toolhost.task import Order, Task, TaskState

MOST_ENDED = 5000  # per agent
_MIGRATIONS = (
    Migration(
        "tasks",
        (
            """CREATE TABLE tasks (
                id TEXT PRIMARY KEY, agent TEXT NOT NULL, tool TEXT NOT NULL, owner TEXT NOT NULL,
                state TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, ttl_ms INTEGER NOT NULL,
                ended INTEGER NOT NULL DEFAULT 0, message TEXT, result TEXT, error TEXT,
                log TEXT NOT NULL DEFAULT '', the_order TEXT
            ) STRICT""",
            "CREATE INDEX tasks_by_agent ON tasks (agent, state, created)",
            "CREATE INDEX tasks_by_owner ON tasks (owner, agent, created)",
        ),
    ),
)
_UPDATE = """UPDATE tasks SET state = ?, updated = ?, ended = ?, message = ?, result = ?, error = ?, log = ?,
    the_order = CASE WHEN ? THEN NULL ELSE the_order END WHERE id = ? AND ended = 0"""
_TOO_MANY = """DELETE FROM tasks WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER
    (PARTITION BY agent ORDER BY created DESC) AS n FROM tasks WHERE ended = 1) WHERE n > ?)"""


class TaskStore:
    """All tasks of a workspace. Every method blocks for a moment; writes belong into a thread."""

    def __init__(self, path: Path) -> None:
        """Raises:
        PloinkyError: as ``Database``.
        """
        self._database = Database(path, _MIGRATIONS)

    def close(self) -> None:
        self._database.close()

    def add(self, task: Task, order: Order) -> None:
        """Keep a new task, QUEUED; when this returns it will be found whatever happens."""
        said = {"arguments": order.arguments, "able": sorted(order.able)}
        if order.trace is not None:
            said["trace"] = order.trace.words
        given = orjson.dumps(said).decode()
        row = (
            task.id,
            task.agent,
            task.tool,
            task.owner,
            task.state,
            task.created,
            task.updated,
            task.ttl_ms,
        )

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO tasks (id, agent, tool, owner, state, created, updated, ttl_ms, the_order)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, given),
            )

        self._database.write(work)

    def begin(self, task_id: str) -> tuple[Task, Order] | None:
        """Make a QUEUED task RUNNING and take its order out; None if it is no longer QUEUED."""

        def work(db: sqlite3.Connection) -> tuple[Task, Order] | None:
            found = db.execute(
                "SELECT the_order FROM tasks WHERE id = ? AND state = ?", (task_id, TaskState.QUEUED)
            ).fetchone()
            if found is None or found[0] is None:
                return None
            db.execute(
                "UPDATE tasks SET state = ?, updated = ?, the_order = NULL WHERE id = ?",
                (TaskState.RUNNING, time.time(), task_id),
            )
            task = _find(db, task_id)
            assert task is not None
            given = orjson.loads(found[0])
            able, trace = frozenset(given["able"]), trace_in({"_meta": given.get("trace", {})})
            return task, Order(task.tool, given["arguments"], task.owner, able, task.ttl_ms, trace)

        return self._database.write(work)

    def save(self, task: Task) -> None:
        """Keep the present moment of a task; one that has ended is left as it ended."""

        row = (task.message, _dumped(task.result), _dumped(task.error), task.log)
        ended = task.state.is_final

        def work(db: sqlite3.Connection) -> None:
            db.execute(_UPDATE, (task.state, task.updated, ended, *row, ended, task.id))

        self._database.write(work)

    def find(self, task_id: str) -> Task | None:
        return self._database.read(lambda db: _find(db, task_id))

    def listed(self, agent: str, owner: str, before: float, most: int) -> list[Task]:
        """An owner's tasks at an agent, the newest first, created before that moment."""
        return self._database.read(
            lambda db: _tasks(
                db,
                "SELECT * FROM tasks WHERE agent = ? AND owner = ? AND created < ?"
                " ORDER BY created DESC, rowid DESC LIMIT ?",
                (agent, owner, before, most),
            )
        )

    def recent(self, most: int) -> list[Task]:
        """Tasks of all owners at all agents: those that have not ended first, then the newest."""
        return self._database.read(
            lambda db: _tasks(
                db, "SELECT * FROM tasks ORDER BY ended, created DESC, rowid DESC LIMIT ?", (most,)
            )
        )

    def queued(self, agent: str) -> list[str]:
        """The ids of tasks that have not begun, the oldest first."""

        def work(db: sqlite3.Connection) -> list[str]:
            rows = db.execute(
                "SELECT id FROM tasks WHERE agent = ? AND state = ? ORDER BY created, rowid",
                (agent, TaskState.QUEUED),
            )
            return [row[0] for row in rows]

        return self._database.read(work)

    def fail_interrupted(self, error: JsonObject) -> int:
        """End as FAILED what ran when the gateway ended; how many those were."""

        row = (TaskState.FAILED, time.time(), str(error["message"]), _dumped(error))

        def work(db: sqlite3.Connection) -> int:
            return db.execute(
                "UPDATE tasks SET ended = 1, state = ?, updated = ?, message = ?, error = ?"
                " WHERE state IN (?, ?)",
                (*row, TaskState.RUNNING, TaskState.INPUT_REQUIRED),
            ).rowcount

        return self._database.write(work)

    def prune(self) -> int:
        """Forget ended tasks whose time is over, and of too many the oldest; how many those were.

        A task that has not begun when its time is over ends as CANCELLED.
        """

        def work(db: sqlite3.Connection) -> int:
            old = db.execute(
                "DELETE FROM tasks WHERE ended = 1 AND created + ttl_ms / 1000.0 < ?", (time.time(),)
            ).rowcount
            many = db.execute(_TOO_MANY, (MOST_ENDED,)).rowcount
            db.execute(
                "UPDATE tasks SET ended = 1, state = ?, message = ?, the_order = NULL"
                " WHERE state = ? AND created + ttl_ms / 1000.0 < ?",
                (TaskState.CANCELLED, "It waited too long to begin.", TaskState.QUEUED, time.time()),
            )
            return old + many

        return self._database.write(work)


def _find(db: sqlite3.Connection, task_id: str) -> Task | None:
    found = _tasks(db, "SELECT * FROM tasks WHERE id = ?", (task_id,))
    return found[0] if found else None


def _tasks(db: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Task]:
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    return [
        Task(
            id=row["id"],
            agent=row["agent"],
            tool=row["tool"],
            owner=row["owner"],
            state=TaskState(row["state"]),
            created=row["created"],
            updated=row["updated"],
            ttl_ms=row["ttl_ms"],
            message=row["message"],
            result=_loaded(row["result"]),
            error=_loaded(row["error"]),
            log=row["log"],
        )
        for row in cursor.execute(query, tuple(values))
    ]


def _dumped(value: JsonObject | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _loaded(text: str | None) -> JsonObject | None:
    if text is None:
        return None
    value: JsonValue = orjson.loads(text)
    return value if isinstance(value, dict) else None
