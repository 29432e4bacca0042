"""The journal of events of one assistant: what runs and threads did, in order, to be followed and resumed.

An event is kept before anybody sees it, so that a follower who names the last id he saw misses none.
``append`` gathers what many runs say at one time into one transaction. Events of other processes are seen by
the database's version, looked at while somebody follows. Old events of ended runs are forgotten.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import anyio
import anyio.to_thread

from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.jsontypes import JsonObject, JsonValue

POLL_S = 0.1
_PAGE = 500


class EventKind(StrEnum):
    """What can happen. The first nine are of runs, the rest of the assistant or a thread."""

    STARTED = "started"
    THINKING = "thinking"
    ASSISTANT_DELTA = "assistant_delta"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    APPROVAL_NEEDED = "approval_needed"
    USAGE = "usage"
    ERROR = "error"
    DONE = "done"
    QUEUED = "queued"
    NOTICE = "notice"
    TOOL_PROGRESS = "tool_progress"
    APPROVAL_RESOLVED = "approval_resolved"
    CREDENTIAL_NEEDED = "credential_needed"
    THREAD = "thread"
    INCIDENT = "incident"


@dataclass(frozen=True)
class KeptEvent:
    """An event with its place: ``id`` orders all of the assistant, ``seq`` (from 1) those of its run."""

    id: int
    session: str
    run_id: str | None
    seq: int | None
    kind: EventKind
    at: str
    data: JsonObject

    def wire(self) -> JsonObject:
        """The event as clients see it."""
        shown: JsonObject = {
            "id": self.id,
            "event": self.kind.value,
            "sessionId": self.session,
            "at": self.at,
        }
        if self.run_id is not None:
            shown |= {"runId": self.run_id, "seq": self.seq}
        return {**shown, "data": self.data}


@dataclass
class _Pending:
    session: str
    run_id: str | None
    seq: int | None
    kind: EventKind
    at: str
    text: str


@dataclass
class _Batch:
    rows: list[_Pending] = field(default_factory=list)
    kept: anyio.Event = field(default_factory=anyio.Event)
    failure: BaseException | None = None


class EventJournal:
    """The events in ``database``. ``run`` must be running for ``append`` to return."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batch = _Batch()
        self._filled = anyio.Event()
        self._wakers: dict[str, anyio.Event] = {}
        self._followers = 0
        self._seqs: dict[str, int] = {}
        self._closed = False

    async def run(self) -> None:
        """Keep what is appended, batch by batch, until cancelled; and look for other processes' events."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_batches)
            tasks.start_soon(self._watch_others)

    async def append(
        self, session: str, kind: EventKind, data: Mapping[str, JsonValue], *, run_id: str | None = None
    ) -> None:
        """Keep an event; returns once it is kept and its followers were woken.

        Events of one run get their ``seq`` in the order of the calls.
        """
        seq = None
        if run_id is not None:
            seq = self._seqs[run_id] = self._last_seq(run_id) + 1
        batch = self._batch
        batch.rows.append(
            _Pending(session, run_id, seq, kind, now_iso(), json.dumps(data, ensure_ascii=False))
        )
        self._filled.set()
        await batch.kept.wait()
        if batch.failure is not None:
            raise batch.failure

    def wake(self, session: str) -> None:
        """Let followers of ``session`` look again; called after a transaction that added events."""
        for key in (session, ""):
            waker = self._wakers.pop(key, None)
            if waker is not None:
                waker.set()

    def last_id(self) -> int:
        """The id of the newest event, 0 if there is none."""
        return self._database.read(_last_id)

    def page(
        self, after: int, *, session: str | None = None, run_id: str | None = None, limit: int = _PAGE
    ) -> list[KeptEvent]:
        """Up to ``limit`` events after ``after``, oldest first."""
        where, values = ["id > ?"], [after]
        more: list[object] = list(values)
        for column, value in (("session", session), ("run_id", run_id)):
            if value is not None:
                where.append(f"{column} = ?")
                more.append(value)

        def work(db: sqlite3.Connection) -> list[KeptEvent]:
            rows = db.execute(
                "SELECT id, session, run_id, seq, kind, at, data FROM events"  # noqa: S608
                f" WHERE {' AND '.join(where)} ORDER BY id LIMIT ?",
                (*more, limit),
            )
            return [_event(row) for row in rows]

        return self._database.read(work)

    async def follow(
        self, after: int, *, session: str | None = None, run_id: str | None = None
    ) -> AsyncGenerator[KeptEvent, None]:
        """Every event after ``after``, those to come included; ends when the journal is closed."""
        self._followers += 1
        try:
            while not self._closed:
                waker = self._wakers.setdefault(session or "", anyio.Event())
                events = self.page(after, session=session, run_id=run_id)
                for event in events:
                    after = event.id
                    yield event
                if not events:
                    await waker.wait()
        finally:
            self._followers -= 1

    def close(self) -> None:
        """End every ``follow``, before the database is closed; what was not given yet comes next time."""
        self._closed = True
        wakers, self._wakers = self._wakers, {}
        for waker in wakers.values():
            waker.set()

    def forget_run(self, run_id: str) -> None:
        """No more events of this run will be appended."""
        self._seqs.pop(run_id, None)

    async def prune(self, before: str) -> int:
        """Forget events from before ``before`` (a time) of runs that have ended; how many."""

        def work(db: sqlite3.Connection) -> int:
            return db.execute(
                "DELETE FROM events WHERE at < ? AND (run_id IS NULL OR run_id NOT IN"
                " (SELECT id FROM runs WHERE ended_at IS NULL))",
                (before,),
            ).rowcount

        return await anyio.to_thread.run_sync(self._database.write, work)

    def _last_seq(self, run_id: str) -> int:
        known = self._seqs.get(run_id)
        if known is not None:
            return known
        query = "SELECT coalesce(max(seq), 0) FROM events WHERE run_id = ?"
        return self._database.read(lambda db: int(db.execute(query, (run_id,)).fetchone()[0]))

    async def _keep_batches(self) -> None:
        while True:
            await self._filled.wait()
            self._filled = anyio.Event()
            batch, self._batch = self._batch, _Batch()
            with anyio.CancelScope(shield=True):
                try:
                    write = functools.partial(_insert_all, rows=batch.rows)
                    await anyio.to_thread.run_sync(self._database.write, write)
                except Exception as error:  # whoever appended must know
                    batch.failure = error
                batch.kept.set()
            for session in {row.session for row in batch.rows}:
                self.wake(session)

    async def _watch_others(self) -> None:
        seen = self._database.version()
        while True:
            await anyio.sleep(POLL_S)
            if not self._followers:
                continue
            version = self._database.version()
            if version != seen:
                seen = version
                for session in list(self._wakers):
                    self.wake(session)


def insert_event(
    db: sqlite3.Connection,
    session: str,
    kind: EventKind,
    data: Mapping[str, JsonValue],
) -> None:
    """Add an event of no run within a transaction of the caller's, who wakes the journal afterwards."""
    _insert_all(db, [_Pending(session, None, None, kind, now_iso(), json.dumps(data, ensure_ascii=False))])


def _insert_all(db: sqlite3.Connection, rows: list[_Pending]) -> None:
    db.executemany(
        "INSERT INTO events (session, run_id, seq, kind, at, data) VALUES (?, ?, ?, ?, ?, ?)",
        [(row.session, row.run_id, row.seq, row.kind.value, row.at, row.text) for row in rows],
    )


def _last_id(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT max(id) FROM events").fetchone()
    return int(row[0] or 0)


def _event(row: tuple[int, str, str | None, int | None, str, str, str]) -> KeptEvent:
    number, session, run_id, seq, kind, at, data = row
    return KeptEvent(number, session, run_id, seq, EventKind(kind), at, json.loads(data))
