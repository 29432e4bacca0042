"""The folders that an assistant was given, indexed for search: incremental, ignore files obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from ploinky.assistants.memory.index import Hit, SearchIndex, Source
from ploinky.assistants.reach import Area, Reach
from ploinky.assistants.settings import WorkspacesSettings
from ploinky.base.database import Database
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue

if TYPE_CHECKING:
    import pathspec

MOST_FILES = 20_000
_NEVER = (".git/", "node_modules/", "__pycache__/", ".venv/", "*.sqlite", "*.db")
_IGNORE_FILES = (".gitignore", ".ploinkyignore")
_HALF_LIFE_S = 3650 * 86400.0


class FolderIndex:
    """The index over the areas of ``reach``; brought up to date before a search."""

    def __init__(self, reach: Reach, database: Database, settings: Callable[[], WorkspacesSettings]) -> None:
        self._reach = reach
        self._settings = settings
        self._index = SearchIndex(database, "folders")
        self._turn = anyio.Lock()

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The places that fit best."""
        await self.refresh()
        return await anyio.to_thread.run_sync(
            lambda: self._index.search(query, limit=limit, half_life_s=_HALF_LIFE_S)
        )

    async def refresh(self) -> int:
        """Read what has changed; how many files that were."""
        async with self._turn:
            return await anyio.to_thread.run_sync(lambda: self._index.refresh(self._sources()))

    async def status(self) -> JsonObject:
        """The folders, and how much is indexed."""
        await self.refresh()
        roots: list[JsonValue] = [
            {"name": area.name, "path": str(area.path), "access": "write" if area.writable else "read"}
            for area in self._reach.areas()
        ]
        return {"roots": roots, "index": self._index.facts()}

    def _sources(self) -> Iterator[Source]:
        most = self._settings().max_file_bytes
        for area in self._reach.areas():
            ignored = _ignored(area.path)
            for name, size in self._reach.walk(area.name, ".", most=MOST_FILES):
                if size <= most and not ignored.match_file(name):
                    facts = (area.path / name).lstat()
                    read = _reader(self._reach, area, name, most)
                    yield Source(f"{area.name}/{name}", facts.st_mtime_ns, size, read, facts.st_mtime)


def _reader(reach: Reach, area: Area, name: str, most: int) -> Callable[[], str]:
    def read() -> str:
        try:
            return reach.read(area.name, name, max_bytes=most)
        except PloinkyError:
            return ""  # gone meanwhile, or no text

    return read


def _ignored(folder: Path) -> pathspec.GitIgnoreSpec:
    import pathspec

    lines = list(_NEVER)
    for name in _IGNORE_FILES:
        file = folder / name
        if file.is_file() and not file.is_symlink():
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()
    return pathspec.GitIgnoreSpec.from_lines(lines)
