"""The memory files of a root: ``MEMORY.md`` and ``memory/YYYY-MM-DD.md``. People edit them; so does this.

Names from outside are checked against these two forms; nothing else is reachable. Appends are atomic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from ploinky.assistants.sessions import Session
from ploinky.assistants.substrate import has_content
from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import FileLock, read_inside, require_unlinked, write_atomic
from ploinky.base.jsontypes import JsonObject

LONG_TERM = "MEMORY.md"
FOLDER = "memory"
MAX_BYTES = 1024 * 1024
_DAY = re.compile(r"(?:memory/)?(\d{4}-\d{2}-\d{2})(?:\.md)?\Z")
_MAX_ENTRY = 8000


class MemoryFiles:
    """The memory files in ``root``; ``clock`` gives the local time."""

    def __init__(self, root: Path, clock: Callable[[], datetime] = datetime.now) -> None:
        self._root = root
        self._clock = clock

    def for_turn(self, session: Session) -> list[tuple[str, str]]:
        """What belongs into the context: today and yesterday, and in direct sessions the long-term memory."""
        today = self._clock().date()
        names = [day_file(today - timedelta(days=1)), day_file(today)]
        if session.is_direct:
            names.insert(0, LONG_TERM)
        found = [(name, self.find(name)) for name in names]
        return [(name, text.strip()) for name, text in found if text and has_content(text)]

    def find(self, name: str) -> str | None:
        """The text of a memory file, None if there is none.

        Raises:
            UsageError: ``BAD_MEMORY_FILE``, ``PATH_ESCAPES``. PloinkyError: ``FILE_READ``.
        """
        path = self._path(name)
        if not path.exists() and not path.is_symlink():
            return None
        return read_inside(self._root, path, max_bytes=MAX_BYTES).decode("utf-8", "replace")

    def require(self, name: str) -> str:
        """Like ``find``. Raises NotFoundError ``NO_MEMORY_FILE``."""
        text = self.find(name)
        if text is None:
            raise NotFoundError("NO_MEMORY_FILE", f"There is no {name}.", hint="See: memory.listLogs")
        return text

    def write(self, name: str, text: str) -> None:
        """Replace a memory file.

        Raises:
            UsageError: ``BAD_MEMORY_FILE``, ``FILE_TOO_LONG``. PloinkyError: ``FOLDER_IS_LINK``.
        """
        with FileLock(self._root / ".lock"):
            self._write(self._path(name), text)

    def append(self, text: str, *, name: str | None = None, origin: str = "") -> str:
        """Add an entry to a file (None: today's); where it went. ``origin`` is told if it came from
        outside."""
        if len(text) > _MAX_ENTRY:
            raise UsageError("FILE_TOO_LONG", f"An entry may have {_MAX_ENTRY} characters.")
        now = self._clock()
        name = name or day_file(now.date())
        mark = f" (from outside: {origin})" if origin else ""
        entry = (
            f"- {now:%H:%M}{mark} " + " ".join(text.split())
            if name != LONG_TERM
            else f"- {text.strip()}{mark}"
        )
        with FileLock(self._root / ".lock"):
            before = self.find(name) or f"# {Path(name).stem}\n"
            self._write(self._path(name), f"{before.rstrip()}\n{entry}\n")
        return name

    def names(self) -> list[JsonObject]:
        """Name, size and time of every memory file, the long-term one first, then the newest day."""
        names = [
            LONG_TERM,
            *sorted((f"{FOLDER}/{p.name}" for p in (self._root / FOLDER).glob("*.md")), reverse=True),
        ]
        rows: list[JsonObject] = []
        for name in names:
            path = self._root / name
            if path.is_file() and not path.is_symlink() and (name == LONG_TERM or _DAY.match(name)):
                facts = path.stat()
                rows.append({"name": name, "bytes": facts.st_size, "mtime": facts.st_mtime})
        return rows

    def _write(self, path: Path, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > MAX_BYTES:
            raise UsageError("FILE_TOO_LONG", f"A memory file may have {MAX_BYTES} bytes.")
        path.parent.mkdir(exist_ok=True, mode=0o700)
        require_unlinked(path.parent.resolve() / path.name)
        if (
            self._root.resolve() not in path.parent.resolve().parents
            and path.parent.resolve() != self._root.resolve()
        ):
            raise UsageError("PATH_ESCAPES", f"{path.name} leads outside the assistant's root.")
        write_atomic(path, data, mode=0o600)

    def _path(self, name: str) -> Path:
        if name == LONG_TERM:
            return self._root / LONG_TERM
        found = _DAY.match(name)
        try:
            day = date.fromisoformat(found[1]) if found else None
        except ValueError:
            day = None
        if day is None:
            raise UsageError(
                "BAD_MEMORY_FILE",
                "A memory file is MEMORY.md or memory/YYYY-MM-DD.md.",
                hint="See: memory.listLogs",
                details={"field": "name"},
            )
        return self._root / day_file(day)


def day_file(day: date) -> str:
    return f"{FOLDER}/{day.isoformat()}.md"
