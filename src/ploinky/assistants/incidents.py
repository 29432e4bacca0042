"""Incidents: the red button. While one is open, nothing proactive is sent, grants are gone, and every tool
above low risk is shut; the bundle tells what happened. ``clear`` opens again; grants stay revoked.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ploinky.assistants.approvals import Approvals
from ploinky.assistants.ids import new_id
from ploinky.assistants.journal import EventJournal, EventKind
from ploinky.assistants.runs import RunStore
from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject, JsonValue

_RUNS = 50
_APPROVALS = 100
_EVENTS = 500


@dataclass(frozen=True)
class Incident:
    """One incident; ``revoked`` are the grants that it took."""

    id: str
    reason: str
    opened_at: str
    opened_by: str
    revoked: Sequence[str]
    cleared_at: str | None = None
    cleared_by: str | None = None

    def wire(self) -> JsonObject:
        return {
            "id": self.id,
            "reason": self.reason,
            "openedAt": self.opened_at,
            "openedBy": self.opened_by,
            "revokedGrants": list(self.revoked),
            "clearedAt": self.cleared_at,
            "clearedBy": self.cleared_by,
        }


class Incidents:
    """The incidents in ``database``."""

    def __init__(
        self, database: Database, journal: EventJournal, approvals: Approvals, runs: RunStore
    ) -> None:
        self._database = database
        self._journal = journal
        self._approvals = approvals
        self._runs = runs
        self._open = self._find_open()

    @property
    def current(self) -> Incident | None:
        """The incident that is open now."""
        return self._open

    async def bundle(self, reason: str, *, by: str) -> JsonObject:
        """Open an incident (or take up the open one) and hand out what happened lately."""
        if self._open is None:
            revoked = await self._approvals.revoke()
            made = Incident(new_id("inc"), reason, now_iso(), by, revoked)

            def work(db: sqlite3.Connection) -> None:
                db.execute(
                    "INSERT INTO incidents (id, reason, opened_at, opened_by, revoked) VALUES (?, ?, ?, ?,"
                    " ?)",
                    (made.id, reason, made.opened_at, by, json.dumps(list(revoked))),
                )

            await self._database.commit(work)
            self._open = made
            await self._journal.append("", EventKind.INCIDENT, made.wire())
        last = self._journal.last_id()
        runs: list[JsonValue] = [run.wire() for run in self._runs.recent(_RUNS)]
        asked: list[JsonValue] = [each.wire() for each in self._approvals.recent(limit=_APPROVALS)]
        events: list[JsonValue] = [each.wire() for each in self._journal.page(max(0, last - _EVENTS))]
        return {"incident": self._open.wire(), "runs": runs, "approvals": asked, "events": events}

    async def clear(self, *, by: str) -> Incident:
        """Close the open incident.

        Raises:
            NotFoundError: ``NO_INCIDENT``.
        """
        if self._open is None:
            raise NotFoundError("NO_INCIDENT", "No incident is open.", hint="See: incident.bundle")
        opened = self._open
        now = now_iso()

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE incidents SET cleared_at = ?, cleared_by = ? WHERE id = ?", (now, by, opened.id)
            )

        await self._database.commit(work)
        self._open = None
        done = Incident(opened.id, opened.reason, opened.opened_at, opened.opened_by, opened.revoked, now, by)
        await self._journal.append("", EventKind.INCIDENT, done.wire())
        return done

    def _find_open(self) -> Incident | None:
        def work(db: sqlite3.Connection) -> Incident | None:
            row = db.execute(
                "SELECT id, reason, opened_at, opened_by, revoked FROM incidents WHERE cleared_at IS NULL"
            ).fetchone()
            if row is None:
                return None
            number, reason, at, by, revoked = row
            return Incident(number, reason, at, by, tuple(json.loads(revoked)))

        return self._database.read(work)
