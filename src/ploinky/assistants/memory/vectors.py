"""Vectors of the pieces in the index: made by a model that embeds, kept beside the words, found by nearness.

Off unless ``memory.embeddings`` names a model. A piece is embedded once, when somebody searches; its vector
is kept by what it says and by which model, so that a rebuilt index costs nothing. A model that does not
answer costs nothing but its part of the ranking, and ``remark`` says so.
"""

from __future__ import annotations

import hashlib
import logging
import math
import sqlite3
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import mul

import anyio
import anyio.to_thread

from ploinky.assistants.memory.index import Hit, Piece, SearchIndex
from ploinky.base.database import Database
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.embedding import Vector

BATCH = 32
MOST_AT_ONCE = 512  # pieces that one search embeds; the rest comes with the next ones
MOST_CHARS = 1500  # of a piece: small models take no more, and turn a whole batch away
PATIENCE_S = 20.0
_RANK = 60  # as usual for joining rankings: how little the very first places weigh more than the next
_CANDIDATES = 60
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedder:
    """A model that embeds: what it is called, which tells vectors of several apart, and how it is asked."""

    name: str
    embed: Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]


class VectorIndex:
    """The vectors of the pieces of ``index``. ``embedder`` gives the model of this moment, None for none.

    ``embedder`` raises PloinkyError if the model that the settings name cannot be had.
    """

    def __init__(
        self, database: Database, index: SearchIndex, embedder: Callable[[], Embedder | None]
    ) -> None:
        self._database = database
        self._index = index
        self._embedder = embedder
        self._turn = anyio.Lock()
        self.remark: str | None = None

    async def rank(self, query: str, hits: list[Hit], *, limit: int, half_life_s: float) -> list[Hit]:
        """``hits``, which were found by their words, joined with what lies near ``query`` in meaning."""
        try:
            embedder = self._embedder()
            if embedder is None:
                self.remark = None
                return hits[:limit]
            with anyio.fail_after(PATIENCE_S):
                async with self._turn:
                    left = await self._embed_missing(embedder)
                [wanted] = await embedder.embed([query])
        except (PloinkyError, TimeoutError) as error:
            why = error.message if isinstance(error, PloinkyError) else f"no answer in {PATIENCE_S:g} s"
            self._tell(f"Found by words only, for the model that embeds could not be asked: {why}")
            return hits[:limit]
        self._tell(f"{left} pieces have no vector yet; the next searches make them." if left else None)
        near = await anyio.to_thread.run_sync(self._near, embedder.name, wanted, half_life_s)
        return _joined(hits, near)[:limit]

    def facts(self) -> JsonObject:
        """How many vectors there are, of which model, and what was wrong at the last search."""
        try:
            embedder = self._embedder()
        except PloinkyError as error:
            return {"model": None, "vectors": 0, "remark": error.message}
        if embedder is None:
            return {"model": None, "vectors": 0, "remark": None}
        query = "SELECT count(*) FROM vectors WHERE model = ?"
        count = self._database.read(lambda db: int(db.execute(query, (embedder.name,)).fetchone()[0]))
        return {"model": embedder.name, "vectors": count, "remark": self.remark}

    def _tell(self, remark: str | None) -> None:
        if remark is not None and remark != self.remark:
            _log.warning("memory: %s", remark)
        self.remark = remark

    async def _embed_missing(self, embedder: Embedder) -> int:
        """Make vectors of pieces that have none, and forget those of pieces that are gone; how many are
        left."""
        pieces, known = await anyio.to_thread.run_sync(self._state, embedder.name)
        wanted = {_digest(piece.text): piece.text for piece in pieces}
        if gone := known - wanted.keys():
            await self._database.commit(lambda db: _forget(db, embedder.name, gone))
        missing = [digest for digest in wanted if digest not in known]
        now, left = missing[:MOST_AT_ONCE], missing[MOST_AT_ONCE:]
        for start in range(0, len(now), BATCH):
            batch = now[start : start + BATCH]
            vectors = await embedder.embed([wanted[digest][:MOST_CHARS] for digest in batch])
            rows = [
                (digest, embedder.name, _packed(vector))
                for digest, vector in zip(batch, vectors, strict=True)
            ]
            await self._database.commit(lambda db, rows=rows: _keep(db, rows))  # type: ignore[misc]
        return len(left)

    def _state(self, model: str) -> tuple[list[Piece], set[str]]:
        query = "SELECT digest FROM vectors WHERE model = ?"
        known = self._database.read(lambda db: {str(row[0]) for row in db.execute(query, (model,))})
        return self._index.pieces(), known

    def _near(self, model: str, wanted: Vector, half_life_s: float) -> list[Hit]:
        """The pieces whose vectors lie nearest, the best first. Blocks."""
        query = "SELECT digest, vector FROM vectors WHERE model = ?"
        kept = self._database.read(lambda db: dict(db.execute(query, (model,)).fetchall()))
        aim = array("f", _unit(wanted))
        found = []
        for piece in self._index.pieces():
            blob = kept.get(_digest(piece.text))
            vector = array("f", blob or b"")
            if len(vector) == len(aim):  # a model of the same name may have been replaced by another
                nearness = sum(map(mul, aim, vector))
                found.append((nearness * piece.freshness(half_life_s), piece))
        found.sort(key=lambda each: each[0], reverse=True)
        return [
            Hit(piece.path, piece.line, piece.text, score)
            for score, piece in found[:_CANDIDATES]
            if score > 0
        ]


def _joined(*rankings: Sequence[Hit]) -> list[Hit]:
    """One ranking of several by reciprocal ranks: what stands high in any stands high."""
    scores: dict[tuple[str, int, str], float] = {}
    for ranking in rankings:
        for place, hit in enumerate(ranking):
            key = (hit.path, hit.line, hit.text)
            scores[key] = scores.get(key, 0.0) + 1 / (_RANK + place)
    best = sorted(scores.items(), key=lambda each: each[1], reverse=True)
    return [Hit(path, line, text, score) for (path, line, text), score in best]


def _keep(db: sqlite3.Connection, rows: Sequence[tuple[str, str, bytes]]) -> None:
    db.executemany("INSERT OR REPLACE INTO vectors (digest, model, vector) VALUES (?, ?, ?)", rows)


def _forget(db: sqlite3.Connection, model: str, digests: set[str]) -> None:
    db.executemany("DELETE FROM vectors WHERE digest = ? AND model = ?", [(each, model) for each in digests])


def _packed(vector: Vector) -> bytes:
    return array("f", _unit(vector)).tobytes()


def _unit(vector: Vector) -> Vector:
    length = math.sqrt(sum(map(mul, vector, vector)))
    return tuple(each / length for each in vector) if length else vector


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
