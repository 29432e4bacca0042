"""What is kept of sessions on disk, so that their clients can go on with the next gateway.

Who opened which, what the client said of itself, and the requests that made its state (log level,
subscriptions). A session's id is the client's secret: only its digest is kept. Calls are never kept.
A damaged file is set aside and a new one begun: its clients initialise again, which costs them little.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from ploinky.base.database import Database, Migration
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.mcp.upstream import ClientFacts

_LOG = logging.getLogger(__name__)
_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_FILES = ("", "-wal", "-shm")
_MIGRATIONS = (
    Migration(
        "sessions",
        (
            """CREATE TABLE sessions (
                digest BLOB PRIMARY KEY, caller TEXT NOT NULL, agent TEXT, client TEXT NOT NULL,
                life INTEGER NOT NULL, made_by TEXT NOT NULL, used REAL NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX sessions_used ON sessions (used)",
        ),
    ),
)
Made = tuple[tuple[str, JsonObject], ...]


@dataclass(frozen=True, slots=True)
class Recalled:
    """A session of a former gateway. ``life`` counts the gateways that it has had; ``made_by`` are the
    requests that made its state: method and params."""

    client: ClientFacts
    life: int
    made_by: Made


class RememberedSessions:
    """One file, used by one gateway; ``idle_s`` is how long a session is of any use."""

    def __init__(self, path: Path, *, idle_s: float, most: int) -> None:
        """Raises:
        PloinkyError: see ``Database``; but a damaged file is set aside, with a warning in the log.
        """
        try:
            self._database = Database(path, _MIGRATIONS)
        except PloinkyError as error:
            if not _is_damage(error):
                raise
            _LOG.warning("%s It is kept as %s; clients begin new sessions.", error.message, _set_aside(path))
            self._database = Database(path, _MIGRATIONS)
        self._idle_s = idle_s
        self._most = most

    def close(self) -> None:
        self._database.close()

    async def keep(self, session_id: str, caller: str, agent: str | None, client: ClientFacts) -> None:
        """A new session; when this returns it will be found whatever happens."""
        said = {"version": client.version, "capabilities": client.capabilities, "info": client.info}
        row = (_digest(session_id), caller, agent, orjson.dumps(said).decode(), time.time())

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, 0, '[]', ?)", row)

        await self._database.commit(work)

    async def note(self, session_id: str, made_by: Made) -> None:
        """The requests that made its state by now."""
        row = (orjson.dumps(made_by).decode(), _digest(session_id))
        await self._database.commit(
            lambda db: db.execute("UPDATE sessions SET made_by = ? WHERE digest = ?", row)
        )

    async def recall(self, session_id: str, caller: str, agent: str | None) -> Recalled | None:
        """The session, if this caller opened it at this endpoint not too long ago; it has one more life."""
        now = time.time()
        row = (now, _digest(session_id), caller, agent, now - self._idle_s)

        def work(db: sqlite3.Connection) -> tuple[str, int, str] | None:
            found: tuple[str, int, str] | None = db.execute(
                "UPDATE sessions SET life = life + 1, used = ?"
                " WHERE digest = ? AND caller = ? AND agent IS ? AND used > ?"
                " RETURNING client, life, made_by",
                row,
            ).fetchone()
            return found

        found = await self._database.commit(work)
        if found is None:
            return None
        said: JsonObject = orjson.loads(found[0])
        client = ClientFacts(
            caller=caller,
            version=str(said.get("version")),
            session_id=session_id,
            capabilities=find_object(said, "capabilities") or {},
            info=find_object(said, "info") or {},
        )
        made_by = tuple((str(method), params) for method, params in orjson.loads(found[2]))
        return Recalled(client, found[1], made_by)

    async def forget(self, session_id: str) -> None:
        """It was ended."""
        row = (_digest(session_id),)
        await self._database.commit(lambda db: db.execute("DELETE FROM sessions WHERE digest = ?", row))

    async def sweep(self, used: Iterable[str]) -> None:
        """``used`` were used by now; drop those that are idle for too long, and the oldest of too many."""
        now = time.time()
        rows = [(now, _digest(session_id)) for session_id in used]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE sessions SET used = ? WHERE digest = ?", rows)
            db.execute("DELETE FROM sessions WHERE used <= ?", (now - self._idle_s,))
            db.execute(
                "DELETE FROM sessions WHERE digest IN"
                " (SELECT digest FROM sessions ORDER BY used DESC LIMIT -1 OFFSET ?)",
                (self._most,),
            )

        await self._database.commit(work)


def _is_damage(error: PloinkyError) -> bool:
    """Whether the file itself is at fault, not the disk, its rights or another process."""
    cause = error.__cause__
    code = cause.sqlite_errorcode if isinstance(cause, sqlite3.Error) else None
    return code is not None and code & 0xFF in _DAMAGED


def _set_aside(path: Path) -> Path:
    """Move the file, and what SQLite keeps beside it, out of the way; where it lies now."""
    kept = path.with_name(f"{path.name}.broken-{int(time.time())}")
    for suffix in _FILES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(kept.with_name(kept.name + suffix))
    return kept


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
