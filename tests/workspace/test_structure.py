"""Making a workspace, and what git should not see of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.workspace.layout import Layout, find_workspace, require_workspace
from ploinky.workspace.structure import add_to_gitignore, init_workspace, propose_gitignore


def test_a_workspace_has_its_folders_and_is_found_from_below(tmp_path: Path) -> None:
    layout = init_workspace(tmp_path)
    for folder in (layout.repos, layout.running, layout.logs, layout.deps, layout.agents, layout.shared):
        assert folder.is_dir()
    below = layout.agents / "shell"
    below.mkdir()
    assert find_workspace(below) == layout
    assert oct(layout.running.stat().st_mode & 0o777) == "0o700"


def test_outside_of_a_workspace_the_error_tells_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="ploinky init") as caught:
        require_workspace(tmp_path)
    assert caught.value.code == "NO_WORKSPACE"


def test_making_it_again_changes_nothing(layout: Layout) -> None:
    (layout.control / ".gitignore").write_text("mine\n")
    layout.registry_file.write_text("{}")
    assert init_workspace(layout.root) == layout
    assert (layout.control / ".gitignore").read_text() == "mine\n"
    assert layout.registry_file.read_text() == "{}"


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("mine")
    with pytest.raises(PloinkyError, match=str(tmp_path / "code")) as caught:
        init_workspace(tmp_path)
    assert caught.value.code == "LAYOUT_BLOCKED"
    assert (tmp_path / "code").read_text() == "mine"


def test_inside_of_the_control_folder_there_is_no_workspace(layout: Layout) -> None:
    with pytest.raises(UsageError):
        init_workspace(layout.repos)
    with pytest.raises(UsageError):
        init_workspace(layout.root / "missing")


def test_git_sees_settings_but_neither_secrets_nor_live_state(layout: Layout) -> None:
    for name in (
        ".secrets",
        "agents",
        "routing.json",
        "logs/x.log",
        "running/owner.token",
        "config.json",
        "profile",
    ):
        (layout.control / name).write_text("x")
    add_to_gitignore(layout, propose_gitignore(layout))
    (layout.root / ".env.prod").write_text("x")
    subprocess.run(["git", "init", "-q", str(layout.root)], check=True)
    listing = ["git", "-C", str(layout.root), "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()
    assert sorted(seen) == [".gitignore", ".ploinky/.gitignore", ".ploinky/config.json", ".ploinky/profile"]


def test_only_what_is_missing_is_proposed_and_other_lines_stay(layout: Layout) -> None:
    gitignore = layout.root / ".gitignore"
    gitignore.write_text("*.pyc\n/code\nagents/")
    assert propose_gitignore(layout) == ("skills/", ".env.*")
    add_to_gitignore(layout, propose_gitignore(layout))
    assert gitignore.read_text() == "*.pyc\n/code\nagents/\nskills/\n.env.*\n"
    assert propose_gitignore(layout) == ()
