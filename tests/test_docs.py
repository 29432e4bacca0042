"""The documents tell the truth: every command block in them runs, every link and target exists.

The `sh` blocks of one page are one session: they run in order, in one new folder that holds a copy of
`examples/`, with `ploinky` on the PATH, the sandbox runtime and a free port. Blocks that only call `make` are
checked against the Makefile; the targets themselves are run by CI and by test_demo.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def only_make(block: str) -> bool:
    return all(line.startswith(("make ", "git clone ", "cd ")) for line in block.splitlines() if line)


PAGES_WITH_COMMANDS = [page for page in PAGES if any(not only_make(block) for block in blocks(page))]


@pytest.mark.bubblewrap
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=name_of)
def test_every_command_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    home = tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    shutil.copytree(PROJECT / "examples", folder / "examples")
    (folder / ".venv").symlink_to(sys.prefix)
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "PLOINKY_RUNTIME": "sandbox",
        "PLOINKY_PORT": "0",
    }
    script = "set -eu\n" + "\n".join(block for block in blocks(page) if not only_make(block))
    try:
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    finally:
        for workspace in tmp_path.rglob(".ploinky"):
            subprocess.run(["ploinky", "destroy", "--yes"], cwd=workspace.parent, env=environ, check=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(blocks(page))))
    assert named <= targets


@pytest.mark.parametrize("tool", ["cli_reference.py", "rpc_reference.py"])
def test_a_reference_made_from_the_code_is_as_the_code_is(tool: str) -> None:
    words = [sys.executable, str(PROJECT / "tools" / tool), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
