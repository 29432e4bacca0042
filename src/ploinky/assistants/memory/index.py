"""The index over files: words by FTS5, rebuilt from the files at will, brought up to date before a search.

The files are the truth; an index that is missing or stale costs a moment, never knowledge. Newer entries
count more. ``area`` keeps memory and the workspace roots apart.
"""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ploinky.assistants.memory.chunks import cut_chunks
from ploinky.base.database import Database
from ploinky.base.jsontypes import JsonObject

_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_MOST_WORDS = 24
_CANDIDATES = 60


@dataclass(frozen=True)
class Source:
    """A file that is indexed. ``at`` is its time in seconds since 1970."""

    path: str
    mtime_ns: int
    size: int
    read: Callable[[], str]
    at: float


@dataclass(frozen=True)
class Hit:
    """A piece that fits; a higher ``score`` fits better."""

    path: str
    line: int
    text: str
    score: float

    def wire(self) -> JsonObject:
        return {"path": self.path, "line": self.line, "text": self.text, "score": round(self.score, 4)}


@dataclass(frozen=True)
class Piece:
    """A piece of a file; ``at`` as in ``Source``."""

    path: str
    line: int
    text: str
    at: float

    def freshness(self, half_life_s: float) -> float:
        """What its age leaves of its score: 1 of a new one, at least a half."""
        return _freshness(self.at, half_life_s)


class SearchIndex:
    """The index of one area in ``database``."""

    def __init__(self, database: Database, area: str) -> None:
        self._database = database
        self._area = area

    def refresh(self, sources: Iterable[Source], *, rebuild: bool = False) -> int:
        """Make the index true to ``sources``; how many files were read. Blocks."""
        wanted = {source.path: source for source in sources}
        known = {} if rebuild else self._known()
        changed = [s for s in wanted.values() if known.get(s.path) != (s.mtime_ns, s.size)]
        gone = [path for path in known if path not in wanted]
        texts = [(source, source.read()) for source in changed]
        if not texts and not gone and not rebuild:
            return 0

        def work(db: sqlite3.Connection) -> None:
            if rebuild:
                db.execute("DELETE FROM chunks WHERE area = ?", (self._area,))
                db.execute("DELETE FROM indexed_files WHERE area = ?", (self._area,))
            for path in gone:
                self._forget(db, path)
            for source, text in texts:
                self._put(db, source, text)

        self._database.write(work)
        return len(texts)

    def search(self, query: str, *, limit: int, half_life_s: float) -> list[Hit]:
        """The pieces that fit ``query`` best; any of its words may occur."""
        words = _WORD.findall(query)[:_MOST_WORDS]
        if not words:
            return []
        match = " OR ".join(f'"{word}"' for word in words)

        def work(db: sqlite3.Connection) -> list[Hit]:
            rows = db.execute(
                "SELECT c.path, c.first_line, c.text, c.at, bm25(chunk_words) FROM chunk_words"
                " JOIN chunks c ON c.id = chunk_words.rowid"
                " WHERE chunk_words MATCH ? AND c.area = ? ORDER BY bm25(chunk_words) LIMIT ?",
                (match, self._area, _CANDIDATES),
            )
            return [
                Hit(path, line, text, -rank * _freshness(at, half_life_s))
                for path, line, text, at, rank in rows
            ]

        hits = self._database.read(work)
        return sorted(hits, key=lambda hit: hit.score, reverse=True)[:limit]

    def pieces(self) -> list[Piece]:
        """All pieces. Blocks."""
        query = "SELECT path, first_line, text, at FROM chunks WHERE area = ? ORDER BY id"
        return self._database.read(lambda db: [Piece(*row) for row in db.execute(query, (self._area,))])

    def facts(self) -> JsonObject:
        """How many files and pieces are indexed."""

        def work(db: sqlite3.Connection) -> JsonObject:
            files = db.execute("SELECT count(*) FROM indexed_files WHERE area = ?", (self._area,)).fetchone()[
                0
            ]
            chunks = db.execute("SELECT count(*) FROM chunks WHERE area = ?", (self._area,)).fetchone()[0]
            return {"files": files, "chunks": chunks}

        return self._database.read(work)

    def _known(self) -> dict[str, tuple[int, int]]:
        def work(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
            rows = db.execute("SELECT path, mtime_ns, size FROM indexed_files WHERE area = ?", (self._area,))
            return {self._name(path): (mtime, size) for path, mtime, size in rows}

        return self._database.read(work)

    def _forget(self, db: sqlite3.Connection, path: str) -> None:
        db.execute("DELETE FROM chunks WHERE path = ? AND area = ?", (path, self._area))
        db.execute("DELETE FROM indexed_files WHERE path = ?", (self._key(path),))

    def _put(self, db: sqlite3.Connection, source: Source, text: str) -> None:
        self._forget(db, source.path)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        db.execute(
            "INSERT INTO indexed_files (path, area, mtime_ns, size, digest) VALUES (?, ?, ?, ?, ?)",
            (self._key(source.path), self._area, source.mtime_ns, source.size, digest),
        )
        db.executemany(
            "INSERT INTO chunks (path, area, first_line, text, at) VALUES (?, ?, ?, ?, ?)",
            [(source.path, self._area, each.first_line, each.text, source.at) for each in cut_chunks(text)],
        )

    def _key(self, path: str) -> str:
        return f"{self._area}:{path}"

    def _name(self, key: str) -> str:
        return key[len(self._area) + 1 :]


def _freshness(at: float, half_life_s: float) -> float:
    age: float = max(0.0, time.time() - at) / half_life_s
    return 0.5 + 0.5 * math.pow(0.5, age)
