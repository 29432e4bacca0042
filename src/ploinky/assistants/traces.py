"""The trace of one assistant: rows that clients tell, kept in order, the newest ``MOST`` of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject

MOST = 10_000
_LONGEST = 64 * 1024


@dataclass(frozen=True)
class TraceEntry:
    kind: str
    session: str | None = None
    data: JsonObject = field(default_factory=dict)


class Traces:
    """The trace in ``database``; ``scrub`` takes known secrets out of a text."""

    def __init__(self, database: Database, scrub: Callable[[str], str]) -> None:
        self._database = database
        self._scrub = scrub

    async def add(self, entry: TraceEntry) -> int:
        """Keep a row; its id.

        Raises:
            UsageError: ``TRACE_TOO_LONG``.
        """
        text = self._scrub(json.dumps(entry.data, ensure_ascii=False))
        if len(text) > _LONGEST:
            raise UsageError("TRACE_TOO_LONG", f"A row of the trace may have {_LONGEST} characters.")

        def work(db: sqlite3.Connection) -> int:
            values = (now_iso(), self._scrub(entry.kind), entry.session, text)
            cursor = db.execute("INSERT INTO trace (at, kind, session, data) VALUES (?, ?, ?, ?)", values)
            assert cursor.lastrowid is not None
            db.execute("DELETE FROM trace WHERE id <= ?", (cursor.lastrowid - MOST,))
            return cursor.lastrowid

        return await self._database.commit(work)

    def page(self, after: int, limit: int) -> list[JsonObject]:
        """Rows after ``after``, oldest first."""

        def work(db: sqlite3.Connection) -> list[JsonObject]:
            rows = db.execute(
                "SELECT id, at, kind, session, data FROM trace WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            )
            return [
                {"id": number, "at": at, "kind": kind, "sessionId": session, "data": json.loads(data)}
                for number, at, kind, session, data in rows
            ]

        return self._database.read(work)
