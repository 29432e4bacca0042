"""Whose a run is: this process, known again by its pid, its start and its process namespace.

Folders and containers carry this mark, so that what a killed process left is known as nobody's and removed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ploinky.base.process_id import ProcessId

_PREFIX = "ps-"  # short: sockets lie in these folders


def own_mark() -> str:
    """The mark of this process."""
    own = ProcessId.find(os.getpid())
    assert own is not None, "this process is there"
    return f"{own.pid}-{own.started}-{_namespace()}"


def is_gone(mark: str) -> bool:
    """Whether the process of a mark has ended; of another namespace's processes nothing is known."""
    pid, started, namespace = [*mark.split("-"), "", "", ""][:3]
    known = namespace == _namespace() and pid.isdigit() and started.isdigit()
    return known and not ProcessId(int(pid), int(started)).alive


def make_run_folder() -> Path:
    """A private folder for one run, after those of killed processes are removed."""
    base = Path(tempfile.gettempdir())
    for path in base.glob(f"{_PREFIX}*-*-*-*"):
        if path.lstat().st_uid == os.geteuid() and is_gone(
            path.name.removeprefix(_PREFIX).rpartition("-")[0]
        ):
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{own_mark()}-"))


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)
