"""Paths of a workspace, its identity, and the short folder for its sockets."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.workspace.layout import Layout, find_workspace, runtime_folder


def test_a_container_is_named_after_repository_agent_and_project(layout: Layout) -> None:
    project = Path("/home/me/project")
    digest = hashlib.md5(b"/home/me/project", usedforsecurity=False).hexdigest()[:8]
    assert layout.container_name("basic", "node-dev", project) == f"ploinky_basic_node-dev_{digest}"


def test_two_workspaces_have_two_identities_and_one_keeps_its_own(layout: Layout, tmp_path: Path) -> None:
    assert layout.id == Layout(layout.root).id
    assert layout.id != Layout(tmp_path).id
    assert len(layout.id) == 16


def test_the_nearest_workspace_counts_and_links_are_followed(layout: Layout, tmp_path: Path) -> None:
    inner = layout.root / "project"
    (inner / ".ploinky").mkdir(parents=True)
    assert find_workspace(inner) == Layout(inner)
    (tmp_path / "link").symlink_to(inner)
    assert find_workspace(tmp_path / "link") == Layout(inner)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A private folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="pl-") as name:
        yield Path(name)


@pytest.mark.parametrize("name", ["..", "a/b", "", ".x"])
def test_no_path_is_made_of_what_is_no_name(layout: Layout, name: str) -> None:
    for path in (
        layout.repo,
        layout.work_dir,
        layout.code_link,
        layout.skills_link,
        layout.agent_log,
        layout.lock,
    ):
        with pytest.raises(UsageError):
            path(name)


def test_the_folder_for_sockets_is_private_and_the_same_every_time(
    layout: Layout, short_folder: Path
) -> None:
    environ = {"XDG_RUNTIME_DIR": str(short_folder)}
    folder = runtime_folder(layout, environ)
    assert folder == runtime_folder(layout, environ)
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert folder.name == layout.id


def test_a_folder_for_sockets_that_others_may_enter_is_refused(layout: Layout, short_folder: Path) -> None:
    (short_folder / "ploinky").mkdir()
    (short_folder / "ploinky").chmod(0o755)
    with pytest.raises(PloinkyError) as caught:
        runtime_folder(layout, {"XDG_RUNTIME_DIR": str(short_folder)})
    assert caught.value.code == "RUNTIME_FOLDER"


def test_a_link_in_its_place_is_refused(layout: Layout, short_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (short_folder / "ploinky").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PloinkyError):
        runtime_folder(layout, {"XDG_RUNTIME_DIR": str(short_folder)})
