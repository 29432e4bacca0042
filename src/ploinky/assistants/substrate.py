"""The Markdown files that make an assistant who it is: which there are, their templates, reading, changing.

They are plain files that people edit; they are read anew for every turn, through no link that leads out of
the root. A new one: a row in ``FILES`` and a template of the same name.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

from ploinky.assistants.sessions import Session
from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import FileLock, read_inside, require_unlinked, write_atomic
from ploinky.base.jsontypes import JsonObject
from ploinky.base.names import closest

MAX_BYTES = 256 * 1024


class When(StrEnum):
    """When a file is part of the context: on every turn, in direct sessions only, on the first turn of a
    session, in short, or never by itself."""

    ALWAYS = "always"
    DIRECT = "direct"
    BIRTH = "birth"
    SUMMARY = "summary"
    NEVER = "never"


@dataclass(frozen=True)
class SubstrateFile:
    name: str
    when: When


FILES = (
    SubstrateFile("AGENTS.md", When.ALWAYS),
    SubstrateFile("IDENTITY.md", When.ALWAYS),
    SubstrateFile("SOUL.md", When.ALWAYS),
    SubstrateFile("USER.md", When.DIRECT),
    SubstrateFile("BIRTH.md", When.BIRTH),
    SubstrateFile("CAPABILITIES.md", When.SUMMARY),
    SubstrateFile("TOOLS.md", When.SUMMARY),
    SubstrateFile("HEARTBEAT.md", When.NEVER),
)
_BY_NAME = {file.name: file for file in FILES}


class Substrate:
    """The substrate files in ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[str, tuple[tuple[int, ...], str]] = {}

    def read(self, name: str) -> str | None:
        """The text of a file, None if there is none.

        Raises:
            NotFoundError: ``NO_SUCH_FILE`` for a name that is none of them.
            PloinkyError: ``FILE_READ``. UsageError: ``PATH_ESCAPES``.
        """
        path = self._path(name)
        try:
            facts = path.stat(follow_symlinks=False)
        except OSError:
            return None
        stamp = (facts.st_mode, facts.st_mtime_ns, facts.st_size, facts.st_ino)
        kept = self._kept.get(name)
        if kept is None or kept[0] != stamp or stat.S_ISLNK(facts.st_mode):
            text = read_inside(self._root, path, max_bytes=MAX_BYTES).decode("utf-8", "replace")
            kept = self._kept[name] = (stamp, text)
        return kept[1]

    def write(self, name: str, text: str) -> None:
        """Replace the text of a file.

        Raises:
            NotFoundError: ``NO_SUCH_FILE``. UsageError: ``FILE_TOO_LONG``.
        """
        path = self._path(name)
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > MAX_BYTES:
            raise UsageError(
                "FILE_TOO_LONG", f"{name} may have {MAX_BYTES} bytes.", details={"field": "text"}
            )
        require_unlinked(self._root.resolve() / name)
        with FileLock(self._root / ".lock"):
            write_atomic(path, data, mode=0o600)

    def files(self) -> list[JsonObject]:
        """Every substrate file: its name, when it counts, whether it is there, its size and time."""
        rows: list[JsonObject] = []
        for file in FILES:
            path = self._root / file.name
            try:
                facts = path.stat(follow_symlinks=False)
            except OSError:
                facts = None
            rows.append(
                {
                    "name": file.name,
                    "when": file.when.value,
                    "exists": facts is not None,
                    "bytes": 0 if facts is None else facts.st_size,
                    "mtime": None if facts is None else facts.st_mtime,
                }
            )
        return rows

    def parts(self, session: Session, *, first_turn: bool) -> list[tuple[str, str]]:
        """Name and text of the files that belong to this turn, in order."""
        wanted = {
            When.ALWAYS: True,
            When.DIRECT: session.is_direct,
            When.BIRTH: first_turn,
            When.SUMMARY: True,
            When.NEVER: False,
        }
        found = []
        for file in FILES:
            text = self.read(file.name) if wanted[file.when] else None
            if text and has_content(text):
                found.append((file.name, in_short(text) if file.when is When.SUMMARY else text.strip()))
        return found

    def _path(self, name: str) -> Path:
        if name not in _BY_NAME:
            near = closest(name, _BY_NAME)
            hint = f"Did you mean '{near}'?" if near else f"There are: {', '.join(_BY_NAME)}."
            raise NotFoundError("NO_SUCH_FILE", "That is none of the substrate files.", hint=hint)
        return self._root / name


def make_root(root: Path, name: str) -> None:
    """Make a profile root with its folders and templates; what is there stays as it is."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in ("memory", "skills", "logs", "workspace"):
        (root / folder).mkdir(exist_ok=True, mode=0o700)
    for file in FILES:
        path = root / file.name
        if not path.exists() and not path.is_symlink():
            text = (
                resources.files("ploinky.assistants")
                .joinpath("templates", file.name)
                .read_text(encoding="utf-8")
            )
            write_atomic(path, text.replace("{name}", name).encode(), mode=0o600)


def has_content(text: str) -> bool:
    """Whether there is more than blanks, headings and comments."""
    rest = _without_comments(text)
    return any(line.strip() and not line.lstrip().startswith("#") for line in rest.splitlines())


def in_short(text: str) -> str:
    """The headings, and the first line of what stands below each."""
    kept, wanted = [], True
    for line in _without_comments(text).splitlines():
        if line.lstrip().startswith("#"):
            kept.append(line.strip())
            wanted = True
        elif wanted and line.strip():
            kept.append(line.strip())
            wanted = False
    return "\n".join(kept)


def _without_comments(text: str) -> str:
    while (start := text.find("<!--")) >= 0:
        end = text.find("-->", start)
        text = text[:start] + (text[end + 3 :] if end >= 0 else "")
    return text
