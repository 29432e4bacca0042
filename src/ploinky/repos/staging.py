"""A folder in which a repository is prepared before it gets its name.

Its name tells which process made it, so that what a killed one left is known and removed the next time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ploinky.base.processes import ProcessId

_NAME = re.compile(r"\.(?:tmp|old)-(?P<pid>\d+)-(?P<started>\d+)-(?P<repo>.+)\Z")


@contextlib.contextmanager
def staging_folder(repos: Path, name: str) -> Iterator[Path]:
    """A path inside ``repos`` that does not exist yet; whatever is there at the end is removed."""
    repos.mkdir(parents=True, exist_ok=True)
    remove_abandoned(repos)
    own = ProcessId.find(os.getpid())
    assert own is not None
    folder = repos / f".tmp-{own.pid}-{own.started}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def retired_name(staged: Path) -> Path:
    """Where the repository that ``staged`` replaces is kept during the exchange."""
    return staged.with_name(f".old-{staged.name.removeprefix('.tmp-')}")


def remove_abandoned(repos: Path) -> tuple[str, ...]:
    """Remove staging folders of processes that are no more; their names.

    A repository whose exchange was cut short is put back in its place.
    """
    removed = []
    for path, repo in abandoned(repos):
        target = repos / repo
        if path.name.startswith(".old-") and not target.exists():
            path.rename(target)
        else:
            shutil.rmtree(
                path, ignore_errors=True
            )  # a git that outlived its parent may still write: next time
        removed.append(path.name)
    return tuple(removed)


def abandoned(repos: Path) -> Iterator[tuple[Path, str]]:
    """Staging folders whose process has ended, and the repository that each was for."""
    for path in sorted(repos.glob(".*")):
        found = _NAME.match(path.name)
        if found and not ProcessId(int(found["pid"]), int(found["started"])).alive:
            yield path, found["repo"]
