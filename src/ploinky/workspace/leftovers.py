"""Temporary files that a killed writer left beside its target."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def leftovers(target: Path) -> list[Path]:
    """Temporary files of ``write_atomic`` for ``target``; whole only if the target's lock is held."""
    prefix = f".tmp-{target.name}-"
    try:
        with os.scandir(target.parent) as entries:
            return [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
    except FileNotFoundError:
        return []


def remove_leftovers(target: Path) -> int:
    """Remove them and say how many; the caller holds the target's lock, so that no writer is at work."""
    found = leftovers(target)
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return len(found)
