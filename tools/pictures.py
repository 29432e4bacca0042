"""Make the pictures of the docs: the browser tests take them, this keeps a few in ``docs/pictures``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
TAKEN = PROJECT / "build" / "screenshots"
KEPT = PROJECT / "docs" / "pictures"
NAMES = (
    "home-light-desktop",
    "chat-light-desktop",
    "tools-dark-desktop",
    "activity-dark-desktop",
    "home-dark-phone",
    "chat-light-phone",
)
TEST = "tests/web/test_access.py::test_every_page_has_no_serious_fault_fits_and_is_pictured"


def main() -> int:
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", TEST], cwd=PROJECT, check=False)
    if done.returncode != 0:
        return done.returncode
    KEPT.mkdir(exist_ok=True)
    for name in NAMES:
        shutil.copyfile(TAKEN / f"{name}.png", KEPT / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
