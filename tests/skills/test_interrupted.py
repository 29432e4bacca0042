"""Installs that are killed or meet each other: a skill is what it was before or what it is afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from ploinky.base.waits import wait_until
from ploinky.skills.sandbox import Sandbox
from ploinky.skills.shelf import Shelf, ShelfSettings
from ploinky.workspace.settings import SandboxSettings
from tests.skills.sandboxes import ENGINES, require_engine

SKILL = "# Tide\n\n## Description\n\nTells tides.\n\n## Install\n\n```sh\n{steps}\n```\n"
INSTALLER = """\
import anyio, os, sys
from pathlib import Path
from ploinky.skills.sandbox import Sandbox
from ploinky.skills.shelf import Shelf, ShelfSettings
from ploinky.workspace.settings import SandboxSettings
from tests.skills.test_interrupted import NoKeys
engine, root, source = sys.argv[1:]
async def main():
    sandbox = Sandbox(os.environ, settings=SandboxSettings.model_validate({"engine": engine}))
    shelf = Shelf(Path(root), "mara", ShelfSettings(sandbox), NoKeys())
    proposal = await shelf.propose(source, relative_to=Path("/"))
    await shelf.install(proposal, approved_by="owner", digest=proposal.digest)
anyio.run(main)
"""


class NoKeys:
    """No credentials."""

    def get(self, scope: tuple[str, ...], name: str) -> str | None:
        return None

    def names(self, scope: tuple[str, ...]) -> list[str]:
        return []


def source(folder: Path, steps: str, note: str = "one") -> Path:
    """A skill with these steps."""
    folder.mkdir(exist_ok=True)
    (folder / "SKILL.md").write_text(SKILL.replace("{steps}", steps))
    (folder / "note.txt").write_text(note)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "assistant"
    path.mkdir()
    return path


def shelf_of(root: Path, engine: str = "bubblewrap") -> Shelf:
    sandbox = Sandbox(os.environ, settings=SandboxSettings.model_validate({"engine": engine}))
    return Shelf(root, "mara", ShelfSettings(sandbox), NoKeys())


async def install(shelf: Shelf, folder: Path) -> None:
    proposal = await shelf.propose(str(folder), relative_to=Path("/"))
    await shelf.install(proposal, approved_by="owner", digest=proposal.digest)


def _installing(engine: str, root: Path, folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", INSTALLER, engine, str(root), str(folder)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2])


def _left(root: Path) -> list[str]:
    places = {"installed", "records", ".lock", "state"}
    return sorted(each.name for each in (root / "skills").iterdir() if each.name not in places)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_killed_update_leaves_what_was_there(engine: str, root: Path, tmp_path: Path) -> None:
    require_engine(engine)
    shelf = shelf_of(root, engine)
    await install(shelf, source(tmp_path / "tide", "echo low > state"))
    folder = source(tmp_path / "tide", "echo begun > begun\nsleep 120", "two")
    begun = root / "skills/.staging-tide/begun"
    with _installing(engine, root, folder) as installer:

        async def has_begun() -> bool:
            return begun.exists() or installer.poll() is not None

        await wait_until(has_begun, what="the step to run", timeout_s=60)
        assert begun.exists()
        installer.send_signal(signal.SIGKILL)
        installer.wait(30)
    assert shelf.catalogue() == [("tide", "Tells tides.")]
    assert shelf.read("tide", "note.txt") == "one"

    async def clean() -> bool:
        return shelf.catalogue() != [] and _left(root) == []

    await wait_until(clean, what="the rest of the update to be gone", timeout_s=60)
    shelf.uninstall("tide")
    assert (shelf.catalogue(), _left(root)) == ([], [])


def _before_the_switch(skills: Path) -> None:
    (skills / "installed/tide").rename(skills / ".old-tide")


def _before_the_record(skills: Path) -> None:
    (skills / "installed/tide").rename(skills / ".old-tide")
    (skills / ".staging-tide").rename(skills / "installed/tide")


def _before_the_end(skills: Path) -> None:
    shutil.copytree(skills / "installed/tide", skills / ".old-tide")


@pytest.mark.bubblewrap
@pytest.mark.parametrize("cut_off", [_before_the_switch, _before_the_record, _before_the_end])
async def test_an_update_cut_off_at_any_moment_is_undone(
    cut_off: Callable[[Path], None], root: Path, tmp_path: Path
) -> None:
    require_engine("bubblewrap")
    shelf = shelf_of(root)
    await install(shelf, source(tmp_path / "tide", "echo low > state"))
    shutil.copytree(tmp_path / "tide", root / "skills/.staging-tide")
    (root / "skills/.staging-tide/note.txt").write_text("two")
    cut_off(root / "skills")
    assert shelf.read("tide", "note.txt") == "one"
    assert _left(root) == []


@pytest.mark.bubblewrap
async def test_a_first_install_cut_off_before_its_record_is_none(root: Path, tmp_path: Path) -> None:
    require_engine("bubblewrap")
    shelf = shelf_of(root)
    await install(shelf, source(tmp_path / "tide", "echo low > state"))
    (root / "skills/records/tide.json").unlink()
    assert shelf.catalogue() == []
    assert list((root / "skills/installed").iterdir()) == []


@pytest.mark.bubblewrap
async def test_installs_at_once_wait_for_each_other(root: Path, tmp_path: Path) -> None:
    """Four processes: two of one skill, two of others; all succeed and all is whole."""
    require_engine("bubblewrap")
    folders = [source(tmp_path / "tide", "echo low > state; sleep 0.3", "tide")] * 2
    for name in ("quay", "pier"):
        folder = source(tmp_path / name, "echo low > state", name)
        (folder / "SKILL.md").write_text(
            (folder / "SKILL.md").read_text().replace("# Tide", f"# {name.title()}")
        )
        folders.append(folder)
    running = [_installing("bubblewrap", root, folder) for folder in folders]
    with anyio.fail_after(120):
        ends = [await anyio.to_thread.run_sync(each.wait) for each in running]
    assert ends == [0, 0, 0, 0]
    shelf = shelf_of(root)
    assert [name for name, _ in shelf.catalogue()] == ["pier", "quay", "tide"]
    assert [shelf.read(name, "note.txt") for name in ("pier", "quay", "tide")] == ["pier", "quay", "tide"]
    assert _left(root) == []


@pytest.mark.bubblewrap
async def test_the_folder_of_skills_is_private(root: Path, tmp_path: Path) -> None:
    require_engine("bubblewrap")
    await install(shelf_of(root), source(tmp_path / "tide", "echo low > state"))
    assert (root / "skills").stat().st_mode & 0o777 == 0o700
