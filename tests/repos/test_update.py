"""Updates go forward only, never over local changes, and tell what changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.repos.staging import remove_abandoned
from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout
from tests.repos.conftest import commit, git, said, write_agents


@pytest.fixture
async def clone(store: RepoStore, layout: Layout, origin: Path) -> Path:
    await said(store.add("demo", str(origin)))
    return layout.repo("demo")


async def refusal(store: RepoStore, repo: str = "demo") -> str:
    with pytest.raises(PloinkyError) as caught:
        await said(store.update(repo))
    return caught.value.code


async def test_nothing_new_is_told(store: RepoStore, clone: Path) -> None:
    assert (await said(store.update("demo")))[-1] == "demo is up to date."
    assert clone.is_dir()


async def test_what_is_new_is_taken_and_told_by_agent(store: RepoStore, origin: Path, clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    write_agents(origin, "new-one")
    (origin / "shell" / "more").write_text("x")
    after = commit(origin)
    last = (await said(store.update("demo")))[-1]
    assert last == f"demo: {before[:8]} → {after[:8]}; 2 files changed in new-one, shell."
    assert (clone / "new-one" / "manifest.json").is_file()


async def test_local_changes_are_an_error_and_are_kept(store: RepoStore, origin: Path, clone: Path) -> None:
    (clone / "shell" / "manifest.json").write_text("mine")
    (origin / "shell" / "manifest.json").write_text("theirs")
    commit(origin)
    assert await refusal(store) == "REPO_LOCAL_CHANGES"
    assert (clone / "shell" / "manifest.json").read_text() == "mine"


async def test_a_new_file_of_mine_that_the_source_has_too_is_kept(
    store: RepoStore, origin: Path, clone: Path
) -> None:
    (clone / "notes").write_text("mine")
    assert (await said(store.update("demo")))[-1] == "demo is up to date."
    (origin / "notes").write_text("theirs")
    commit(origin)
    assert await refusal(store) == "GIT_FAILED"
    assert (clone / "notes").read_text() == "mine"


async def test_commits_of_my_own_are_kept(store: RepoStore, origin: Path, clone: Path) -> None:
    (clone / "mine").write_text("x")
    mine = commit(clone)
    assert (await said(store.update("demo")))[-1] == "demo is up to date."
    (origin / "theirs").write_text("x")
    commit(origin)
    assert await refusal(store) == "REPO_DIVERGED"
    assert git(clone, "rev-parse", "HEAD") == mine


async def test_a_rewritten_source_is_not_followed(store: RepoStore, origin: Path, clone: Path) -> None:
    git(origin, "commit", "--quiet", "--amend", "--message", "another")
    assert await refusal(store) == "REPO_DIVERGED"
    assert clone.is_dir()


async def test_a_repository_pinned_at_a_tag_is_told(store: RepoStore, origin: Path) -> None:
    git(origin, "tag", "v1")
    await said(store.add("demo", str(origin), "v1"))
    assert await refusal(store) == "REPO_PINNED"


async def test_a_source_that_is_gone_is_told(store: RepoStore, origin: Path, clone: Path) -> None:
    shutil.rmtree(origin)
    assert await refusal(store) == "GIT_FAILED"
    assert clone.is_dir()


async def test_a_copy_is_copied_again_unless_somebody_changed_it(
    store: RepoStore, layout: Layout, tmp_path: Path
) -> None:
    folder = write_agents(tmp_path / "mine", "tool", "other")
    await said(store.add("mine", str(folder)))
    assert await said(store.update("mine")) == ["mine is up to date."]
    (folder / "tool" / "more").write_text("x")
    (folder / "other" / "manifest.json").unlink()
    told = await said(store.update("mine"))
    assert told == [f"mine: copied again from {folder}; 2 files changed in other, tool."]
    assert [each.agent for each in store.agents()] == ["tool"]
    (layout.repo("mine") / "tool" / "more").write_text("changed here")
    assert await refusal(store, "mine") == "REPO_LOCAL_CHANGES"
    shutil.rmtree(folder)
    assert await refusal(store, "mine") == "REPO_SOURCE_NOT_FOUND"
    assert (layout.repo("mine") / "tool" / "more").read_text() == "changed here"


def test_an_exchange_that_was_cut_short_is_undone(layout: Layout) -> None:
    write_agents(layout.repos / ".old-1-0-mine", "tool")
    write_agents(layout.repos / ".tmp-1-0-mine", "tool", "new")
    remove_abandoned(layout.repos)
    assert [path.name for path in layout.repos.iterdir()] == ["mine"]
    assert not (layout.repo("mine") / "new").exists()


async def test_a_folder_made_by_hand_has_nothing_to_update_from(store: RepoStore, layout: Layout) -> None:
    write_agents(layout.repo("hand"), "tool")
    git(layout.root, "init", "--quiet")  # the workspace's own repository must not be taken for it
    assert await refusal(store, "hand") == "REPO_HAS_NO_SOURCE"


async def test_a_repository_that_is_not_there_is_told(store: RepoStore) -> None:
    with pytest.raises(NotFoundError, match="ploinky add repo basic") as caught:
        await said(store.update("basic"))
    assert caught.value.code == "REPO_NOT_INSTALLED"
