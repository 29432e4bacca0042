"""Where conversations stand whose clients name no session: by a digest of all that was said.

Kept in the store. A place is known once: who goes on from it takes it along. What a digest is made of is the
caller's to say.
"""

from __future__ import annotations

import sqlite3

from ploinky.base.clock import now_iso
from ploinky.base.database import Database

MOST = 4096


class Continuations:
    """The places in ``database``; the oldest are forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, digest: bytes) -> str | None:
        """The session that stands at ``digest``, which is forgotten; None if there is none."""

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute(
                "DELETE FROM continuations WHERE digest = ? RETURNING session", (digest,)
            ).fetchone()
            return None if row is None else str(row[0])

        return await self._database.commit(work)

    async def keep(self, digest: bytes, session: str) -> None:
        """Let ``session`` stand at ``digest``."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO continuations (digest, session, at) VALUES (?, ?, ?)",
                (digest, session, now_iso()),
            )
            db.execute(
                "DELETE FROM continuations WHERE digest IN"
                " (SELECT digest FROM continuations ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (MOST,),
            )

        await self._database.commit(work)
