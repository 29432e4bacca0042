"""The README's first command on a fresh clone: `make demo`, again, and `make stop`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ANSWERS = ("welcome.md", "A small workspace", "High tide is published", "const a = { b: 1, c: [1, 2] };")


def make(clone: Path, target: str) -> str:
    environ = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=clone,
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def processes_of(folder: Path) -> list[str]:
    """Command lines of running processes that mention the folder or work inside it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            inside = str((process / "cwd").readlink()).startswith(str(folder))
        except OSError:
            continue
        if str(folder) in line or inside:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("clone") / "ploinky"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(folder)], check=True)
    yield folder
    if (folder / "demo").exists():
        make(folder, "stop")


@pytest.mark.bubblewrap
@pytest.mark.timeout(1200)
def test_one_command_makes_a_running_workspace_and_another_ends_all_of_it(clone: Path) -> None:
    first = make(clone, "demo")
    assert [answer for answer in ANSWERS if answer not in first] == []
    assert "mcp config claude" in first
    assert processes_of(clone) != []

    second = make(clone, "demo")
    assert [answer for answer in ANSWERS if answer not in second] == []
    assert "[environment] installing" not in second

    make(clone, "stop")
    assert processes_of(clone) == []
    make(clone, "stop")
