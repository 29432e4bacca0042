"""Approval requests and grants of one assistant, kept in its store, so that they survive a restart.

A request names the exact tool, the exact arguments and their hash, why and how risky; it waits until a person
resolves it or its time is over. A grant lets calls through without asking: bound to one hash, or to a stated
pattern, with a number of uses and an expiry. What no grant covers is denied.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

import anyio
import anyio.to_thread

from ploinky.assistants.ids import call_digest, new_id
from ploinky.assistants.journal import EventJournal, EventKind
from ploinky.assistants.toolkit import Risk
from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue

_COLUMNS = (
    "id, run_id, session, tool, arguments, digest, why, risk, status, created_at, expires_at, resolved_at,"
    " resolved_by, reason"
)


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Approval:
    """One request; ``arguments`` are exactly those that will be used."""

    id: str
    run_id: str | None
    session: str
    tool: str
    arguments: JsonObject
    digest: str
    why: str
    risk: Risk
    status: ApprovalStatus
    created_at: str
    expires_at: str
    resolved_at: str | None = None
    resolved_by: str | None = None
    reason: str | None = None

    def wire(self) -> JsonObject:
        return {
            "id": self.id,
            "runId": self.run_id,
            "sessionId": self.session,
            "tool": self.tool,
            "arguments": self.arguments,
            "digest": self.digest,
            "why": self.why,
            "risk": self.risk.value,
            "status": self.status.value,
            "createdAt": self.created_at,
            "expiresAt": self.expires_at,
            "resolvedAt": self.resolved_at,
            "resolvedBy": self.resolved_by,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class GrantRequest:
    """A grant to be made. Exactly one of ``digest`` (this very call) and ``pattern`` (a glob per argument,
    ``{}`` for any arguments) says which calls; ``uses`` None is without number, ``lasts_s`` None without
    end."""

    tool: str
    digest: str | None = None
    pattern: Mapping[str, str] | None = None
    uses: int | None = 1
    lasts_s: float | None = None


@dataclass(frozen=True)
class Grant:
    """Calls that need not be asked for."""

    id: str
    tool: str
    digest: str | None
    pattern: Mapping[str, str] | None
    uses_left: int | None
    expires_at: str | None
    created_at: str
    created_by: str

    def covers(self, tool: str, arguments: Mapping[str, JsonValue]) -> bool:
        """Whether it is for this call; says nothing of uses and time. Every argument must be named by the
        pattern, and each pattern of it must fit."""
        if self.digest is not None:
            return self.digest == call_digest(tool, arguments)
        if self.pattern is None or self.tool != tool:
            return False
        if not self.pattern:
            return True
        texts = {
            key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()
        }
        return texts.keys() == self.pattern.keys() and all(
            fnmatchcase(texts[key], glob) for key, glob in self.pattern.items()
        )

    def wire(self) -> JsonObject:
        return {
            "id": self.id,
            "tool": self.tool,
            "digest": self.digest,
            "pattern": None if self.pattern is None else dict(self.pattern),
            "usesLeft": self.uses_left,
            "expiresAt": self.expires_at,
            "createdAt": self.created_at,
            "createdBy": self.created_by,
        }


@dataclass(frozen=True)
class Ask:
    """What a run wants to do and why it must ask."""

    run_id: str
    session: str
    tool: str
    arguments: JsonObject
    why: str
    risk: Risk


class Approvals:
    """The requests and grants in ``database``; runs wait here."""

    def __init__(self, database: Database, journal: EventJournal) -> None:
        self._database = database
        self._journal = journal
        self._waiters: dict[str, anyio.Event] = {}

    async def request(self, ask: Ask, *, timeout_s: float) -> Approval:
        """Keep a request and tell whoever watches; one of the same run that still waits is taken up again."""
        digest = call_digest(ask.tool, ask.arguments)
        approval = Approval(
            id=new_id("apr"),
            run_id=ask.run_id,
            session=ask.session,
            tool=ask.tool,
            arguments=ask.arguments,
            digest=digest,
            why=ask.why,
            risk=ask.risk,
            status=ApprovalStatus.PENDING,
            created_at=now_iso(),
            expires_at=_later(timeout_s),
        )

        def work(db: sqlite3.Connection) -> tuple[Approval, bool]:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM approvals WHERE run_id = ? AND digest = ?"  # noqa: S608
                " AND (status = 'pending' OR (status = 'approved' AND used = 0))",
                (ask.run_id, digest),
            ).fetchone()
            if row is not None:
                return _approval(row), False
            _insert(db, approval)
            return approval, True

        kept, is_new = await self._database.commit(work)
        if is_new:
            await self._journal.append(
                kept.session, EventKind.APPROVAL_NEEDED, kept.wire(), run_id=kept.run_id
            )
        return kept

    async def wait(self, approval: Approval) -> Approval:
        """The request once it is resolved or its time is over."""
        left_s = (_time(approval.expires_at) - datetime.now(UTC)).total_seconds()
        waiter = self._waiters.setdefault(approval.id, anyio.Event())
        found = self.require(approval.id)
        if found.status is ApprovalStatus.PENDING:
            with anyio.move_on_after(max(0.0, left_s)):
                await waiter.wait()
            found = self.require(approval.id)
        self._waiters.pop(approval.id, None)
        if found.status is ApprovalStatus.PENDING:
            return await self._settle(found.id, ApprovalStatus.EXPIRED, "the clock", None)
        await self._database.commit(lambda db: _use(db, found.id))
        return found

    async def resolve(
        self, approval_id: str, *, approve: bool, by: str, reason: str | None = None
    ) -> Approval:
        """Say yes or no to exactly this call.

        Raises:
            NotFoundError: ``NO_APPROVAL``. UsageError: ``APPROVAL_OVER`` if it is resolved or expired.
        """
        status = ApprovalStatus.APPROVED if approve else ApprovalStatus.DENIED
        return await self._settle(approval_id, status, by, reason)

    async def withdraw_run(self, run_id: str) -> None:
        """The run has ended: its requests need no answer any more."""
        ids = [each.id for each in self.recent(ApprovalStatus.PENDING) if each.run_id == run_id]
        for approval_id in ids:
            await self._settle(approval_id, ApprovalStatus.EXPIRED, "the run", None)

    def require(self, approval_id: str) -> Approval:
        """Raises NotFoundError ``NO_APPROVAL``."""

        def work(db: sqlite3.Connection) -> Approval | None:
            row = db.execute(f"SELECT {_COLUMNS} FROM approvals WHERE id = ?", (approval_id,)).fetchone()  # noqa: S608
            return None if row is None else _approval(row)

        found = self._database.read(work)
        if found is None:
            raise _none_such("NO_APPROVAL", "approval request")
        return found

    def recent(self, status: ApprovalStatus | None = None, *, limit: int = 200) -> list[Approval]:
        """Requests, the newest first."""

        def work(db: sqlite3.Connection) -> list[Approval]:
            where = "WHERE status = ?1" if status is not None else "WHERE ?1 IS NULL"
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM approvals {where} ORDER BY created_at DESC, rowid DESC LIMIT ?2",  # noqa: S608
                (status, limit),
            )
            return [_approval(row) for row in rows]

        return self._database.read(work)

    async def grant(self, wanted: GrantRequest, *, by: str) -> Grant:
        """Make a grant.

        Raises:
            UsageError: ``BAD_GRANT``.
        """
        if (wanted.digest is None) == (wanted.pattern is None):
            raise UsageError("BAD_GRANT", "A grant is bound to a digest or to a pattern, not to both.")
        if wanted.uses is not None and wanted.uses < 1:
            raise UsageError("BAD_GRANT", "A grant has at least one use.", details={"field": "uses"})
        expires = None if wanted.lasts_s is None else _later(wanted.lasts_s)
        made = Grant(
            new_id("grt"), wanted.tool, wanted.digest, wanted.pattern, wanted.uses, expires, now_iso(), by
        )
        pattern = None if made.pattern is None else json.dumps(dict(made.pattern))

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO grants (id, tool, digest, pattern, uses_left, expires_at, created_at,"
                " created_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (made.id, made.tool, made.digest, pattern, made.uses_left, expires, made.created_at, by),
            )

        await self._database.commit(work)
        return made

    async def take_grant(self, tool: str, arguments: Mapping[str, JsonValue]) -> Grant | None:
        """Use a grant that covers this call once, or None if none does."""

        def work(db: sqlite3.Connection) -> Grant | None:
            for grant in _open_grants(db):
                if grant.covers(tool, arguments):
                    db.execute("UPDATE grants SET uses_left = uses_left - 1 WHERE id = ?", (grant.id,))
                    return grant
            return None

        return await self._database.commit(work)

    def grants(self) -> list[Grant]:
        """The grants that still let something through."""
        return self._database.read(_open_grants)

    async def revoke(self, grant_id: str | None = None) -> list[str]:
        """Take back one grant, or (None) all; the ids.

        Raises:
            NotFoundError: ``NO_GRANT``.
        """

        def work(db: sqlite3.Connection) -> list[str]:
            ids = [grant.id for grant in _open_grants(db) if grant_id in (None, grant.id)]
            if grant_id is not None and not ids:
                raise _none_such("NO_GRANT", "grant")
            db.executemany(
                "UPDATE grants SET revoked_at = ? WHERE id = ?", [(now_iso(), each) for each in ids]
            )
            return ids

        return await self._database.commit(work)

    async def _settle(
        self, approval_id: str, status: ApprovalStatus, by: str, reason: str | None
    ) -> Approval:
        def work(db: sqlite3.Connection) -> None:
            row = db.execute(
                "SELECT status, expires_at FROM approvals WHERE id = ?", (approval_id,)
            ).fetchone()
            if row is None:
                raise _none_such("NO_APPROVAL", "approval request")
            late = status is not ApprovalStatus.EXPIRED and _time(row[1]) < datetime.now(UTC)
            if row[0] != ApprovalStatus.PENDING or late:
                state = "expired" if late else row[0]
                raise UsageError("APPROVAL_OVER", f"That request is {state} already.", hint="Ask again.")
            db.execute(
                "UPDATE approvals SET status = ?, resolved_at = ?, resolved_by = ?, reason = ? WHERE id = ?",
                (status.value, now_iso(), by, reason, approval_id),
            )

        await self._database.commit(work)
        settled = self.require(approval_id)
        waiter = self._waiters.get(approval_id)
        if waiter is not None:
            waiter.set()
        await self._journal.append(settled.session, EventKind.APPROVAL_RESOLVED, settled.wire())
        return settled


def _use(db: sqlite3.Connection, approval_id: str) -> None:
    """A person's word counts once."""
    db.execute("UPDATE approvals SET used = 1 WHERE id = ?", (approval_id,))


def _open_grants(db: sqlite3.Connection) -> list[Grant]:
    rows = db.execute(
        "SELECT id, tool, digest, pattern, uses_left, expires_at, created_at, created_by FROM grants"
        " WHERE revoked_at IS NULL AND (uses_left IS NULL OR uses_left > 0)"
        " AND (expires_at IS NULL OR expires_at > ?) ORDER BY created_at",
        (now_iso(),),
    )
    return [
        Grant(number, tool, digest, None if pattern is None else json.loads(pattern), uses, expires, at, by)
        for number, tool, digest, pattern, uses, expires, at, by in rows
    ]


def _insert(db: sqlite3.Connection, approval: Approval) -> None:
    db.execute(
        f"INSERT INTO approvals ({_COLUMNS}) VALUES ({', '.join('?' * 14)})",  # noqa: S608
        (
            approval.id,
            approval.run_id,
            approval.session,
            approval.tool,
            json.dumps(approval.arguments, ensure_ascii=False),
            approval.digest,
            approval.why,
            approval.risk.value,
            approval.status.value,
            approval.created_at,
            approval.expires_at,
            None,
            None,
            None,
        ),
    )


def _approval(row: tuple[str, ...]) -> Approval:
    number, run_id, session, tool, arguments, digest, why, risk, status, *times = row
    created, expires, resolved, by, reason = times
    given = json.loads(arguments)
    state = ApprovalStatus(status)
    return Approval(
        number,
        run_id,
        session,
        tool,
        given,
        digest,
        why,
        Risk(risk),
        state,
        created,
        expires,
        resolved,
        by,
        reason,
    )


def _later(span_s: float) -> str:
    then = datetime.now(UTC) + timedelta(seconds=min(span_s, 3650 * 86400))
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _none_such(code: str, what: str) -> NotFoundError:
    return NotFoundError(code, f"There is no such {what} of this assistant.", hint="See: ploinky approvals")
