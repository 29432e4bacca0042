"""Runs: what was asked of an assistant, kept before anything is done about it.

A run ends once: ``done``, ``failed``, ``cancelled`` or, when the process that worked on it died,
``interrupted``. ``recover`` finds those at the next start; their partial answers are in the journal.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ploinky.assistants.journal import EventKind
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.assistants.threads import append_in
from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # for a person's approval
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


ENDED = frozenset({RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.INTERRUPTED})


class RunKind(StrEnum):
    """Who asked: a person, another assistant, a clock. A person goes first."""

    USER = "user"
    ASSISTANT = "assistant"
    CRON = "cron"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True)
class RunError:
    """Why a run failed, as a client may see it."""

    code: str
    message: str
    hint: str | None = None

    def wire(self) -> JsonObject:
        return {"code": self.code, "message": self.message, "hint": self.hint}


INTERRUPTED = RunError(
    "RUN_INTERRUPTED", "The gateway ended while this run was under way.", "Send the message again."
)


@dataclass(frozen=True)
class Run:
    """One run. ``model`` is the id that served, ``notes`` what was cut from its context and the like."""

    id: str
    session: Session
    kind: RunKind
    status: RunStatus
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    model: str | None = None
    error: RunError | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    notes: tuple[str, ...] = ()
    request: JsonObject = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def wire(self) -> JsonObject:
        usage: JsonObject = {
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "cost": self.cost,
        }
        return {
            "runId": self.id,
            "sessionId": self.session.id,
            "kind": self.kind.value,
            "status": self.status.value,
            "createdAt": self.created_at,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "model": self.model,
            "error": None if self.error is None else self.error.wire(),
            "usage": usage,
            "notes": list(self.notes),
        }


_COLUMNS = (
    "id, session, kind, status, model, created_at, started_at, ended_at, request, error,"
    " input_tokens, output_tokens, cost, notes"
)


class RunStore:
    """The runs in ``database``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, run: Run, said: Sequence[NewMessage] = ()) -> None:
        """Keep a new run and, in the same transaction, what is ``said`` with it in its thread.

        The caller wakes the journal if something was said. Raises as ``threads.append_in``; nothing is kept.
        """

        def work(db: sqlite3.Connection) -> None:
            _put(db, run)
            append_in(db, run.session, said)

        await self._database.commit(work)

    async def update(self, run: Run) -> None:
        """Keep what has become of a run."""
        await self._database.commit(lambda db: _put(db, run))

    @staticmethod
    def keeping(run: Run) -> Callable[[sqlite3.Connection], None]:
        """What keeps ``run`` as it is now, to be done with the events that tell of it."""
        return lambda db: _put(db, run)

    def find(self, run_id: str) -> Run | None:
        def work(db: sqlite3.Connection) -> Run | None:
            row = db.execute(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (run_id,)).fetchone()  # noqa: S608
            return None if row is None else _run(row)

        return self._database.read(work)

    def require(self, run_id: str) -> Run:
        """Like ``find``.

        Raises:
            NotFoundError: ``NO_RUN``.
        """
        run = self.find(run_id)
        if run is None:
            raise NotFoundError(
                "NO_RUN",
                "There is no such run of this assistant.",
                hint="agent.run answers with the runId; give profileId if it is another assistant's.",
                details={"field": "runId"},
            )
        return run

    def recent(self, limit: int, session: str | None = None) -> list[Run]:
        """The newest runs first, of one session or of all."""

        def work(db: sqlite3.Connection) -> list[Run]:
            where = "WHERE session = ?2" if session is not None else ""
            query = f"SELECT {_COLUMNS} FROM runs {where} ORDER BY created_at DESC, rowid DESC LIMIT ?1"  # noqa: S608
            values = (limit, session) if session is not None else (limit,)
            return [_run(row) for row in db.execute(query, values)]

        return self._database.read(work)

    def text(self, run_id: str) -> str:
        """Everything that the run has streamed as its answer so far."""

        def work(db: sqlite3.Connection) -> str:
            return _streamed(db, run_id)

        return self._database.read(work)

    def recover(self) -> tuple[list[Run], list[Run]]:
        """After a restart: the runs that were cut, now ended, and those that can go on, oldest first.

        Those had not begun, or they wait for a person. A cut one whose answer is in the thread already is
        ``done``, any other ``interrupted``: what a model had said is kept in the thread, and a call that has
        no result gets one that says so. Blocks.
        """

        def work(db: sqlite3.Connection) -> tuple[list[Run], list[Run]]:
            marks = ", ".join("?" * len(ENDED))
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM runs WHERE status NOT IN ({marks}) ORDER BY created_at, rowid",  # noqa: S608
                tuple(status.value for status in ENDED),
            )
            left = [_run(row) for row in rows]
            cut = [_end_cut(db, run) for run in left if run.status is RunStatus.RUNNING]
            return cut, [run for run in left if run.status is not RunStatus.RUNNING]

        return self._database.write(work)


def _end_cut(db: sqlite3.Connection, run: Run) -> Run:
    """End a run whose process died."""
    db.execute("UPDATE approvals SET status = 'expired' WHERE run_id = ? AND status = 'pending'", (run.id,))
    _keep_partial(db, run)
    _answer_calls(db, run)
    told: list[tuple[EventKind, JsonObject]] = []
    ended = replace(_with_usage(db, run), status=RunStatus.DONE, ended_at=now_iso())
    if not _has_answered(db, run):
        ended = replace(ended, status=RunStatus.INTERRUPTED, error=INTERRUPTED)
        told.append((EventKind.ERROR, INTERRUPTED.wire()))
    usage = ended.wire()["usage"]
    told.append((EventKind.DONE, {"status": ended.status.value, "model": ended.model, "usage": usage}))
    _put(db, ended)
    seq = db.execute("SELECT coalesce(max(seq), 0) FROM events WHERE run_id = ?", (run.id,)).fetchone()[0]
    for offset, (kind, data) in enumerate(told, start=1):
        db.execute(
            "INSERT INTO events (session, run_id, seq, kind, at, data) VALUES (?, ?, ?, ?, ?, ?)",
            (run.session.id, run.id, seq + offset, kind.value, now_iso(), json.dumps(data)),
        )
    return ended


def _with_usage(db: sqlite3.Connection, run: Run) -> Run:
    """The run with what it used, which was told but not kept with it."""
    told = db.execute(
        "SELECT data FROM events WHERE run_id = ? AND kind = ?", (run.id, EventKind.USAGE.value)
    )
    used = [json.loads(row[0]) for row in told]
    costs = [each["cost"] for each in used if each["cost"] is not None]
    return replace(
        run,
        input_tokens=sum(each["inputTokens"] for each in used),
        output_tokens=sum(each["outputTokens"] for each in used),
        cost=sum(costs) if costs else None,
    )


def _has_answered(db: sqlite3.Connection, run: Run) -> bool:
    """Whether the last message of the run is a whole one that asks for nothing more."""
    row = db.execute(
        "SELECT role, data FROM messages WHERE run_id = ? ORDER BY position DESC LIMIT 1", (run.id,)
    ).fetchone()
    if row is None or row[0] != Role.ASSISTANT.value:
        return False
    data = json.loads(row[1] or "{}")
    return "toolCalls" not in data and "status" not in data


def _keep_partial(db: sqlite3.Connection, run: Run) -> None:
    said = _streamed(db, run.id)
    kept = "".join(
        row[0]
        for row in db.execute(
            "SELECT content FROM messages WHERE run_id = ? AND role = 'assistant' ORDER BY position",
            (run.id,),
        )
    )
    rest = said[len(kept) :]
    if rest:
        message = NewMessage(Role.ASSISTANT, rest, run_id=run.id, data={"status": "interrupted"})
        append_in(db, run.session, [message])


def _answer_calls(db: sqlite3.Connection, run: Run) -> None:
    open_calls: dict[str, str] = {}
    query = "SELECT role, data FROM messages WHERE run_id = ? AND data IS NOT NULL ORDER BY position"
    for role, text in db.execute(query, (run.id,)).fetchall():
        data = json.loads(text)
        if role == "assistant":
            open_calls |= {call["id"]: call["name"] for call in data.get("toolCalls", ())}
        elif role == "tool":
            open_calls.pop(str(data.get("toolCallId")), None)
    append_in(db, run.session, [interrupted_result(run.id, call, name) for call, name in open_calls.items()])


def interrupted_result(run_id: str, call_id: str, name: str) -> NewMessage:
    """What stands in the thread for a call whose result nobody will know."""
    data: JsonObject = {"toolCallId": call_id, "name": name, "isError": True, "status": "interrupted"}
    return NewMessage(
        Role.TOOL, "The run ended before this tool did; it may have run or not.", run_id=run_id, data=data
    )


def _streamed(db: sqlite3.Connection, run_id: str) -> str:
    rows = db.execute(
        "SELECT data FROM events WHERE run_id = ? AND kind = ? ORDER BY id",
        (run_id, EventKind.ASSISTANT_DELTA.value),
    )
    return "".join(json.loads(row[0])["text"] for row in rows)


def _put(db: sqlite3.Connection, run: Run) -> None:
    session = run.session
    request = {
        **run.request,
        "channelKind": session.kind.value,
        "channelId": session.channel,
        "userId": session.user,
    }
    error = None if run.error is None else json.dumps(run.error.wire(), ensure_ascii=False)
    db.execute(
        f"INSERT INTO runs ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608
        " ON CONFLICT (id) DO UPDATE SET status = excluded.status, model = excluded.model,"
        " started_at = excluded.started_at, ended_at = excluded.ended_at, error = excluded.error,"
        " input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, cost = excluded.cost,"
        " notes = excluded.notes",
        (
            run.id,
            session.id,
            run.kind.value,
            run.status.value,
            run.model,
            run.created_at,
            run.started_at,
            run.ended_at,
            json.dumps(request, ensure_ascii=False),
            error,
            run.input_tokens,
            run.output_tokens,
            run.cost,
            json.dumps(run.notes),
        ),
    )


def _run(row: tuple[object, ...]) -> Run:
    (
        run_id,
        session,
        kind,
        status,
        model,
        created,
        started,
        ended,
        request,
        error,
        took_in,
        out,
        cost,
        notes,
    ) = row
    asked = json.loads(str(request))
    fault = json.loads(str(error)) if error is not None else None
    channel = asked.pop("channelId", None)
    user = asked.pop("userId", None)
    return Run(
        id=str(run_id),
        session=Session(str(session), ChannelKind(asked.pop("channelKind", "web")), channel, user),
        kind=RunKind(str(kind)),
        status=RunStatus(str(status)),
        created_at=str(created),
        started_at=None if started is None else str(started),
        ended_at=None if ended is None else str(ended),
        model=None if model is None else str(model),
        error=None if fault is None else RunError(fault["code"], fault["message"], fault.get("hint")),
        input_tokens=int(str(took_in)),
        output_tokens=int(str(out)),
        cost=None if cost is None else float(str(cost)),
        notes=tuple(json.loads(str(notes or "[]"))),
        request=asked,
    )
