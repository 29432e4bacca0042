"""Where the skills of one assistant lie on the disk, and how one takes the place of another.

``installed/<id>`` holds files, ``records/<id>.json`` what they must be, ``state/<id>`` what programs keep. A
change that was cut off, even by a kill, is undone by whoever takes the lock next: a skill is what it was
before or what it is afterwards. Knows no source and no sandbox.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ploinky.base.errors import DeadlineError
from ploinky.base.files import FileLock, safe_join
from ploinky.skills.records import SkillRecord, read_record, write_record

_MADE_HOME = ".home"
_STAGING, _OLD = ".staging-", ".old-"
_LOOK_S = 0.0


class SkillFolders:
    """The folder ``skills`` of an assistant, private to this user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def installed(self, name: str) -> Path:
        return safe_join(self.folder, "installed", name)

    def state(self, name: str) -> Path:
        return safe_join(self.folder, "state", name)

    def record_file(self, name: str) -> Path:
        return self.folder / "records" / f"{name}.json"

    def records(self) -> list[SkillRecord]:
        """Every record, by name."""
        self._look_after()
        found = (read_record(path) for path in sorted((self.folder / "records").glob("*.json")))
        return [each for each in found if each is not None]

    def find(self, name: str) -> SkillRecord | None:
        """The record of one, after what was cut off is undone."""
        self._look_after()
        return read_record(self.record_file(name))

    def changed(self, record: SkillRecord) -> tuple[str, ...]:
        """Files that are not what was installed; ``.home`` may change."""
        now = digests_of(self.installed(record.id))
        then = {**record.files, **record.made}
        return tuple(sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name)))

    @contextmanager
    def locked(self, timeout_s: float) -> Iterator[None]:
        """Nobody else changes a skill of this assistant meanwhile; nothing half is found.

        Raises:
            DeadlineError: ``FILE_LOCKED`` if another command changes one for longer than that.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o700)
        with FileLock(self.folder / ".lock", timeout_s=timeout_s):
            self._recover()
            yield

    def stage(self, name: str, files: Mapping[str, bytes]) -> Path:
        """Write the files of a skill beside its place; the folder where they are."""
        staging = self.folder / f"{_STAGING}{name}"
        staging.mkdir()
        for each, data in files.items():
            path = safe_join(staging, each)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            if data.startswith(b"#!"):
                path.chmod(0o755)
        return staging

    def discard(self, staging: Path) -> None:
        """Remove what was staged."""
        shutil.rmtree(staging, ignore_errors=True)

    def put_in_place(self, staging: Path, record: SkillRecord) -> None:
        """The new files, then their record."""
        _make_readable(staging)
        target = self.installed(record.id)
        target.parent.mkdir(exist_ok=True)
        (self.folder / "records").mkdir(exist_ok=True)
        old = self.folder / f"{_OLD}{record.id}"
        if target.exists():
            target.rename(old)
        staging.rename(target)
        write_record(self.record_file(record.id), record)
        shutil.rmtree(old, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove a skill and what it made; first its record, so that a half of it is none."""
        self.record_file(name).unlink(missing_ok=True)
        shutil.rmtree(self.installed(name), ignore_errors=True)
        shutil.rmtree(self.state(name), ignore_errors=True)

    def _look_after(self) -> None:
        """Undo what was cut off, unless somebody is at work just now."""
        if any(self._half_done()):
            with suppress(DeadlineError), self.locked(_LOOK_S):
                pass

    def _half_done(self) -> Iterator[Path]:
        yield from self.folder.glob(f"{_STAGING}*")
        yield from self.folder.glob(f"{_OLD}*")
        for path in self.folder.glob("installed/*"):
            if not self.record_file(path.name).exists():
                yield path

    def _recover(self) -> None:
        for path in list(self._half_done()):
            name = path.name.removeprefix(_OLD)
            record = read_record(self.record_file(name)) if path.name.startswith(_OLD) else None
            if record is not None and self.changed(record):
                shutil.rmtree(self.installed(name), ignore_errors=True)
                path.rename(self.installed(name))
            else:
                shutil.rmtree(path, ignore_errors=True)


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below ``folder``; of a link, that of where it points."""
    found: dict[str, str] = {}
    if not folder.is_dir():
        return found
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if name.partition("/")[0] == _MADE_HOME:
            continue
        if path.is_symlink():
            found[name] = "link:" + hashlib.sha256(str(path.readlink()).encode()).hexdigest()
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not path.is_dir():
            found[name] = "special"
    return found


def _make_readable(folder: Path) -> None:
    """Let the user of a sandbox, who is another than this one, read what was installed."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            path.chmod(stat.S_IMODE(mode) | 0o755)
        elif stat.S_ISREG(mode):
            path.chmod(stat.S_IMODE(mode) | (0o555 if mode & stat.S_IXUSR else 0o444))
