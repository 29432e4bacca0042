"""Which files an assistant's tools may touch: its own ``workspace/`` and the folders it was given.

Names come from a model, so every path is resolved first. Closed are the control folder, other assistants'
roots, and, in every root around, what makes an assistant: its store, its configuration, its substrate,
memory, skills and logs. Reading and writing go through descriptors, so that no link made meanwhile leads
elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ploinky.assistants.roots import ProfileRoot
from ploinky.assistants.settings import WorkspacesSettings
from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.files import open_folder, read_inside, safe_join
from ploinky.base.names import closest

OWN = "workspace"
_PRIVATE_FOLDERS = frozenset({"memory", "skills", "logs"})
_PRIVATE_FILES = frozenset({"config.json", "MEMORY.md", ".lock"})


@dataclass(frozen=True)
class Area:
    """A folder that may be reached: what tools call it, and whether it may be written to."""

    name: str
    path: Path
    writable: bool


class Reach:
    """What one assistant may touch; ``settings`` gives the folders of this moment."""

    def __init__(
        self,
        workspace: Path,
        root: Callable[[], ProfileRoot],
        settings: Callable[[], WorkspacesSettings],
        private_names: frozenset[str],
    ) -> None:
        self._workspace = workspace
        self._root = root
        self._settings = settings
        self._private = private_names | _PRIVATE_FILES

    def areas(self) -> list[Area]:
        """The folders, the assistant's own first; those that cannot be reached are left out."""
        found = [Area(OWN, self._own(), True)]
        for given in self._settings().roots:
            with contextlib.suppress(UsageError):
                path = safe_join(self._workspace, given.path)
                if path.is_dir() and not self._is_closed(path):
                    found.append(Area(given.path, path, given.access == "write"))
        return found

    def read(self, area: str, path: str, *, max_bytes: int) -> str:
        """The text of a file.

        Raises:
            UsageError: ``PATH_ESCAPES``, ``NOT_TEXT``. NotFoundError: ``NO_SUCH_AREA``, ``NO_SUCH_FILE``.
        """
        place = self.require_area(area)
        target = self._target(place, path)
        if not target.is_file():
            raise NotFoundError(
                "NO_SUCH_FILE", f"There is no file {path!r} in {area}.", hint="Use list_files."
            )
        data = read_inside(place.path, target, max_bytes=max_bytes)
        if b"\0" in data[:4096]:
            raise UsageError("NOT_TEXT", f"{path!r} is no text file.")
        return data.decode("utf-8", "replace")

    def write(self, area: str, path: str, text: str) -> None:
        """Replace or make a file, with the folders it lies in.

        Raises:
            UsageError: ``PATH_ESCAPES``, ``READ_ONLY``. PloinkyError: ``FILE_WRITE``.
        """
        place = self.require_area(area)
        if not place.writable:
            raise UsageError(
                "READ_ONLY", f"{area} may only be read.", hint="A person may set access to write."
            )
        target = self._target(place, path)
        if target == place.path or target.is_dir():
            raise UsageError("PATH_ESCAPES", f"{path!r} is a folder.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open_folder(target.parent) as folder:
                _write_in(folder, target.name, text.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise PloinkyError("FILE_WRITE", f"Cannot write {path!r}: {error.strerror}.") from error

    def walk(self, area: str, path: str, *, most: int) -> Iterator[tuple[str, int]]:
        """Names (relative to the area) and sizes of the files below ``path``, at most ``most``, no links."""
        place = self.require_area(area)
        start = self._target(place, path)
        count = 0
        for folder, folders, names in os.walk(start):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if not self._is_closed(here / name))
            for name in sorted(names):
                file = here / name
                facts = file.lstat()
                if not stat.S_ISREG(facts.st_mode) or self._is_closed(file):
                    continue
                if count == most:
                    return
                count += 1
                yield str(file.relative_to(place.path)), facts.st_size

    def require_area(self, name: str) -> Area:
        """Raises NotFoundError ``NO_SUCH_AREA``."""
        areas = {area.name: area for area in self.areas()}
        if name not in areas:
            near = closest(name, areas)
            hint = f"Did you mean '{near}'?" if near else f"There are: {', '.join(areas)}."
            raise NotFoundError("NO_SUCH_AREA", "That is none of the folders that may be reached.", hint=hint)
        return areas[name]

    def is_closed(self, path: Path) -> bool:
        """Whether a resolved path may not be touched."""
        return self._is_closed(path)

    def _own(self) -> Path:
        own = self._root().path / OWN
        own.mkdir(exist_ok=True, mode=0o700)
        return safe_join(self._root().path, OWN)

    def _target(self, place: Area, path: str) -> Path:
        target = safe_join(place.path, path)
        if self._is_closed(target):
            raise UsageError("PATH_ESCAPES", f"{path!r} is closed to assistants.")
        return target

    def _is_closed(self, path: Path) -> bool:
        root = self._root()
        if any(path == closed or closed in path.parents for closed in root.closed):
            return True
        return any(self._is_private(around, path) for around in root.shielded)

    def _is_private(self, around: Path, path: Path) -> bool:
        if around not in path.parents:
            return False
        first = path.relative_to(around).parts[0]
        if around != self._root().path and first == OWN:
            return True
        return first in _PRIVATE_FOLDERS or first in self._private or first.startswith("state.db")


def _write_in(folder: int, name: str, data: bytes) -> None:
    """Replace a file in the folder of a descriptor, whole."""
    temporary = f".tmp-{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
