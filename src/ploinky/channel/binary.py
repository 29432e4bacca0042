"""Where the launcher's binary lies on this host: one folder per architecture, packaged with this program.

The folder as a whole is mounted into sandboxes at ``/Agent``.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from ploinky.base.errors import PloinkyError

LAUNCHER_NAME = "launcher"
OVERRIDE = "PLOINKY_LAUNCHER_DIR"
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def launcher_folder(environ: Mapping[str, str], *, machine: str | None = None) -> Path:
    """The host folder with the launcher for ``machine`` (default: this one), symlinks resolved.

    ``PLOINKY_LAUNCHER_DIR`` names another folder, for a launcher that was built elsewhere.

    Raises:
        PloinkyError: ``LAUNCHER_MISSING``, also if the file is there but cannot be executed.
    """
    name = (machine or platform.machine()).lower()
    arch = _MACHINES.get(name)
    override = environ.get(OVERRIDE)
    folder = Path(override) if override else Path(__file__).parent / "dist" / (arch or name)
    binary = folder / LAUNCHER_NAME
    if not override and arch is None:
        raise _missing(f"There is no launcher for this architecture ({name}).")
    if not binary.is_file():
        raise _missing(f"The launcher was not built: there is no {binary}.")
    if not os.access(binary, os.X_OK):
        raise _missing(f"The launcher {binary} is not executable.")
    return folder.resolve()


def _missing(message: str) -> PloinkyError:
    return PloinkyError(
        "LAUNCHER_MISSING",
        message,
        hint=f"Build it: make launcher (or name a folder that holds one in {OVERRIDE}).",
    )
