"""Whose the writable folder is while a container uses it, and whose afterwards.

Root lends it to a user of this one run, whom nobody else on this machine is: what runs there has no rights
even on what escapes from the container. Others' containers run as themselves. Files that would run as their
owner are made plain when they come back.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

_FIRST, _COUNT = 1_879_048_192, 1_048_576  # above what systems and engines give away
_INSIDE = 1000


@dataclass(frozen=True)
class Lent:
    """A folder and its user inside, ``uid:gid``; ``given`` is whom root gave it to, None if it did not."""

    folder: Path
    user: str
    given: int | None = None

    def take_back(self) -> None:
        """Root owns everything of it again."""
        if self.given is not None:
            _give(self.folder, self.given, 0)


def lend(folder: Path, *, rootless: bool, keeps_id: bool) -> Lent:
    """Let a run use ``folder``. ``rootless`` engines map users; ``keeps_id``: to any number inside."""
    if rootless:
        return Lent(folder, f"{_INSIDE}:{_INSIDE}" if keeps_id else "0:0")
    if os.geteuid() != 0:
        return Lent(folder, f"{os.geteuid()}:{os.getegid()}")
    owner = folder.lstat()
    left_by_a_killed_run = _FIRST <= owner.st_uid < _FIRST + _COUNT
    if owner.st_uid != 0 and not left_by_a_killed_run:
        return Lent(folder, f"{owner.st_uid}:{owner.st_gid}")
    uid = _FIRST + secrets.randbelow(_COUNT)
    _give(folder, owner.st_uid, uid)
    return Lent(folder, f"{uid}:{uid}", uid)


def make_plain(folder: Path) -> None:
    """Take the set-user and set-group bits from every file below ``folder``."""
    for _, _, files, inside in os.fwalk(folder, follow_symlinks=False):
        for name in files:
            mode = os.stat(name, dir_fd=inside, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                os.chmod(name, stat.S_IMODE(mode) & 0o777, dir_fd=inside)


def _give(folder: Path, before: int, after: int) -> None:
    """Change the owner of what belongs to ``before``; links are not followed. Nothing runs there now."""
    for _, folders, files, inside in os.fwalk(folder, follow_symlinks=False):
        for name in (".", *folders, *files):
            if os.stat(name, dir_fd=inside, follow_symlinks=False).st_uid == before:
                os.chown(name, after, after, dir_fd=inside, follow_symlinks=False)
