"""The journal of events of one assistant: what runs and threads did, in order, to be followed and resumed.

An event is kept before anybody sees it, so that a follower who names the last id he saw misses none.
``append`` gathers what many runs say at one time into one transaction. Events of other processes are seen by
the database's version, looked at while somebody follows. Old events of ended runs are forgotten.
"""

from __future__ import annotations

import functools
import itertools
import json
import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import anyio
import anyio.to_thread

from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.jsontypes import JsonObject, JsonValue

POLL_S = 0.1
MOST_RECENT = 5000
_PAGE = 500
_INSERT = "INSERT INTO events (session, run_id, seq, kind, at, data) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT id, session, run_id, seq, kind, at, data FROM events"


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


Told = tuple[EventKind, JsonObject]


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
    data: JsonObject

    @property
    def text(self) -> str:
        return json.dumps(self.data, ensure_ascii=False)


@dataclass
class _Batch:
    rows: list[_Pending] = field(default_factory=list)
    besides: list[Callable[[sqlite3.Connection], None]] = field(default_factory=list)
    kept: anyio.Event = field(default_factory=anyio.Event)
    failure: BaseException | None = None


class _Recent:
    """The newest events in memory, without a gap, so that followers need not ask the database for each.

    ``stale``: there may be newer ones in the database.
    """

    def __init__(self) -> None:
        self.stale = True
        self._before: int | None = None
        self._events: deque[KeptEvent] = deque()

    @property
    def last(self) -> int | None:
        """The id up to which this is complete."""
        return self._events[-1].id if self._events else self._before

    def start(self, last: int) -> None:
        """Begin anew after the event ``last``."""
        self._before = last
        self._events.clear()

    def add(self, event: KeptEvent) -> None:
        self._events.append(event)
        if len(self._events) > MOST_RECENT:
            self._before = self._events.popleft().id

    def after(self, number: int) -> Iterable[KeptEvent] | None:
        """The events after ``number``; None if some of them are no longer here."""
        if self._before is None or number < self._before:
            return None
        newer = itertools.takewhile(lambda event: event.id > number, reversed(self._events))
        return list(newer)[::-1]


class EventJournal:
    """The events in ``database``. ``run`` must be running for ``append`` to return."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batch = _Batch()
        self._filled = anyio.Event()
        self._wakers: dict[str, anyio.Event] = {}
        self._recent = _Recent()
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
        await self._kept(self._add(session, kind, data, run_id))

    async def append_with(
        self, session: str, told: Sequence[Told], *, run_id: str, beside: Callable[[sqlite3.Connection], None]
    ) -> None:
        """Keep events of a run, and what ``beside`` writes, in one transaction.

        Whoever finds the run begun, or ended, finds its events too, whenever the process dies.
        """
        self._batch.besides.append(beside)
        batches = [self._add(session, kind, data, run_id) for kind, data in told]
        await self._kept(batches[-1])

    def _add(
        self, session: str, kind: EventKind, data: Mapping[str, JsonValue], run_id: str | None
    ) -> _Batch:
        seq = None
        if run_id is not None:
            seq = self._seqs[run_id] = self._last_seq(run_id) + 1
        batch = self._batch
        batch.rows.append(_Pending(session, run_id, seq, kind, now_iso(), dict(data)))
        self._filled.set()
        return batch

    async def _kept(self, batch: _Batch) -> None:
        await batch.kept.wait()
        if batch.failure is not None:
            raise batch.failure

    def wake(self, session: str) -> None:
        """Let followers of ``session`` look again; called after a transaction that added events."""
        self._recent.stale = True
        self._wake(session)

    def _wake(self, session: str) -> None:
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
        if self._recent.stale:
            self._catch_up()
        recent = self._recent.after(after)
        if recent is not None:
            fitting = (each for each in recent if _fits(each, session, run_id))
            return list(itertools.islice(fitting, limit))
        where, values = ["id > ?"], [after]
        more: list[object] = list(values)
        for column, value in (("session", session), ("run_id", run_id)):
            if value is not None:
                where.append(f"{column} = ?")
                more.append(value)
        query = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY id LIMIT ?"
        return self._database.read(lambda db: [_event(row) for row in db.execute(query, (*more, limit))])

    def _catch_up(self) -> None:
        """Take up what was written past ``append``: by threads, or by other processes."""
        self._recent.stale = False
        last = self._recent.last
        if last is None:
            self._recent.start(self.last_id())
            return
        query = f"{_SELECT} WHERE id > ? ORDER BY id LIMIT ?"
        found = self._database.read(
            lambda db: [_event(row) for row in db.execute(query, (last, MOST_RECENT))]
        )
        if len(found) == MOST_RECENT:
            self._recent.start(self.last_id())
        for event in found:
            self._recent.add(event)

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

        return await self._database.commit(work)

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
                    last = await self._database.commit(functools.partial(_insert_batch, batch=batch))
                except Exception as error:  # whoever appended must know
                    batch.failure = error
                else:
                    self._remember(batch.rows, last)
                batch.kept.set()
            for session in {row.session for row in batch.rows}:
                self._wake(session)

    def _remember(self, rows: list[_Pending], last: int) -> None:
        """The rows of one transaction have ids in a row, up to ``last``."""
        first = last - len(rows) + 1
        if self._recent.last is None:
            self._recent.start(first - 1)
        elif self._recent.last != first - 1:
            self._catch_up()
            return
        for number, row in enumerate(rows, start=first):
            self._recent.add(KeptEvent(number, row.session, row.run_id, row.seq, row.kind, row.at, row.data))

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
    row = _Pending(session, None, None, kind, now_iso(), dict(data))
    db.execute(_INSERT, _values(row))


def _insert_batch(db: sqlite3.Connection, batch: _Batch) -> int:
    """Insert; the id of the last row."""
    for beside in batch.besides:
        beside(db)
    db.executemany(_INSERT, [_values(row) for row in batch.rows])
    return int(db.execute("SELECT last_insert_rowid()").fetchone()[0])


def _values(row: _Pending) -> tuple[object, ...]:
    return row.session, row.run_id, row.seq, row.kind.value, row.at, row.text


def _fits(event: KeptEvent, session: str | None, run_id: str | None) -> bool:
    return session in (None, event.session) and run_id in (None, event.run_id)


def _last_id(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT max(id) FROM events").fetchone()
    return int(row[0] or 0)


def _event(row: tuple[int, str, str | None, int | None, str, str, str]) -> KeptEvent:
    number, session, run_id, seq, kind, at, data = row
    return KeptEvent(number, session, run_id, seq, EventKind(kind), at, json.loads(data))
