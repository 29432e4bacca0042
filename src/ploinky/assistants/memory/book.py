"""Memory as tools and methods use it: search over the files, notes, and edits that wait to be accepted."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import anyio.to_thread

from ploinky.assistants.ids import new_id
from ploinky.assistants.memory.index import Hit, SearchIndex, Source
from ploinky.assistants.memory.logs import LONG_TERM, MemoryFiles
from ploinky.assistants.memory.vectors import Embedder, VectorIndex
from ploinky.assistants.settings import MemorySettings
from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.jsontypes import JsonObject

_CANDIDATES = 60


@dataclass(frozen=True)
class Proposal:
    """An edit of a memory file that somebody must accept; ``text`` is the whole new content."""

    id: str
    path: str
    before_digest: str
    text: str
    why: str
    status: str
    created_at: str

    def wire(self) -> JsonObject:
        return {
            "id": self.id,
            "path": self.path,
            "text": self.text,
            "why": self.why,
            "status": self.status,
            "createdAt": self.created_at,
        }


class MemoryBook:
    """The memory of one assistant. ``embedder`` gives the model that embeds, None if none is wanted."""

    def __init__(
        self,
        root: Path,
        database: Database,
        settings: Callable[[], MemorySettings],
        embedder: Callable[[], Embedder | None] = lambda: None,
    ) -> None:
        self._root = root
        self._database = database
        self._settings = settings
        self._index = SearchIndex(database, "memory")
        self._vectors = VectorIndex(database, self._index, embedder)
        self.files = MemoryFiles(root)

    async def search(self, query: str, limit: int | None = None) -> list[Hit]:
        """The entries that fit best; the index is brought up to date first."""
        settings = self._settings()
        limit, half_life_s = limit or settings.results, settings.recency_half_life
        await self.refresh()
        hits = await anyio.to_thread.run_sync(
            lambda: self._index.search(query, limit=max(limit, _CANDIDATES), half_life_s=half_life_s)
        )
        return await self._vectors.rank(query, hits, limit=limit, half_life_s=half_life_s)

    @property
    def remark(self) -> str | None:
        """What kept the last search from being as good as it should be."""
        return self._vectors.remark

    async def refresh(self, *, rebuild: bool = False) -> int:
        """Bring the index up to the files; how many were read."""
        return await anyio.to_thread.run_sync(lambda: self._index.refresh(self._sources(), rebuild=rebuild))

    def facts(self) -> JsonObject:
        """What is indexed."""
        return {**self._index.facts(), "embeddings": self._vectors.facts()}

    def require_editable(self) -> None:
        """Raises UsageError ``CONSOLIDATION_OFF``."""
        if self._settings().consolidation == "off":
            raise UsageError(
                "CONSOLIDATION_OFF",
                "memory.consolidation is off: memory is not edited.",
                hint="Set memory.consolidation to ask or auto.",
            )

    async def propose(
        self, path: str, text: str, why: str, *, along: Callable[[sqlite3.Connection], None] | None = None
    ) -> Proposal:
        """Keep an edit until it is accepted or rejected; accepted at once if the settings say so.

        ``along`` is written in the same transaction.

        Raises:
            UsageError: ``BAD_MEMORY_FILE``; ``CONSOLIDATION_OFF``.
        """
        self.require_editable()
        before = self.files.find(path) or ""
        made = Proposal(new_id("prp"), path, _digest(before), text, why, "open", now_iso())

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO proposals (id, path, before_digest, text, why, status, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (made.id, path, made.before_digest, text, why, made.status, made.created_at),
            )
            if along is not None:
                along(db)

        await self._database.commit(work)
        accepts = self._settings().consolidation == "auto"
        return await self.settle(made.id, accept=True) if accepts else made

    def proposals(self) -> list[Proposal]:
        """Edits that wait, the oldest first."""

        def work(db: sqlite3.Connection) -> list[Proposal]:
            rows = db.execute(
                "SELECT id, path, before_digest, text, why, status, created_at FROM proposals"
                " WHERE status = 'open' ORDER BY created_at, rowid"
            )
            return [Proposal(*row) for row in rows]

        return self._database.read(work)

    async def settle(self, proposal_id: str, *, accept: bool) -> Proposal:
        """Accept or reject an edit.

        Raises:
            NotFoundError: ``NO_PROPOSAL``. UsageError: ``MEMORY_CHANGED`` if the file is not what it was.
        """
        found = next((each for each in self.proposals() if each.id == proposal_id), None)
        if found is None:
            raise NotFoundError(
                "NO_PROPOSAL", "There is no such proposal that waits.", hint="See: memory.proposals"
            )
        if accept:
            current = _digest(self.files.find(found.path) or "")
            # a process that died here may have written it already
            if current not in (found.before_digest, _digest(found.text)):
                raise UsageError(
                    "MEMORY_CHANGED",
                    f"{found.path} has changed since the edit was proposed; it was left as it is.",
                    hint="Reject the proposal and let it be made again.",
                )
            self.files.write(found.path, found.text)
        status = "accepted" if accept else "rejected"

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE proposals SET status = ?, resolved_at = ? WHERE id = ?", (status, now_iso(), found.id)
            )

        await self._database.commit(work)
        return Proposal(
            found.id, found.path, found.before_digest, found.text, found.why, status, found.created_at
        )

    def _sources(self) -> list[Source]:
        sources = []
        for row in self.files.names():
            name = str(row["name"])
            facts = (self._root / name).stat()
            at = facts.st_mtime if name == LONG_TERM else _day_time(name, facts.st_mtime)
            sources.append(Source(name, facts.st_mtime_ns, facts.st_size, _reader(self.files, name), at))
        return sources


def _reader(files: MemoryFiles, name: str) -> Callable[[], str]:
    return lambda: files.find(name) or ""


def _day_time(name: str, otherwise: float) -> float:
    try:
        day = date.fromisoformat(Path(name).stem)
    except ValueError:
        return otherwise
    return datetime(day.year, day.month, day.day, 12).astimezone().timestamp()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
