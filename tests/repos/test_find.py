"""Agents are found by name, told apart, and guessed at; nothing outside of a repository is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.manifest.refs import AgentRef
from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout
from tests.repos.conftest import write_agents


@pytest.fixture
def two(layout: Layout) -> Layout:
    """Repositories basic (shell, node) and demo (shell, explorer)."""
    write_agents(layout.repo("basic"), "shell", "node")
    write_agents(layout.repo("demo"), "shell", "explorer")
    return layout


def test_a_name_that_is_there_once_is_enough(store: RepoStore, two: Layout) -> None:
    location = store.find_agent("explorer")
    assert (str(location), location.folder) == ("demo/explorer", two.agent_source("demo", "explorer"))
    assert store.find_agent(AgentRef("node")).repo == "basic"


@pytest.mark.usefixtures("two")
def test_a_name_that_is_there_twice_must_be_told_apart(store: RepoStore) -> None:
    with pytest.raises(UsageError, match="basic/shell, demo/shell") as caught:
        store.find_agent("shell")
    assert caught.value.code == "AMBIGUOUS_AGENT"
    assert store.find_agent("demo/shell").repo == "demo"
    store.disable("basic")
    assert store.find_agent("shell").repo == "demo"


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("ref", "code", "hint"),
    [
        ("explorr", "AGENT_NOT_FOUND", "Did you mean 'explorer'?"),
        ("basic/explorer", "AGENT_NOT_FOUND", "demo/explorer"),
        ("postgres", "AGENT_NOT_FOUND", "ploinky list agents"),
        ("cloud/aws", "REPO_NOT_INSTALLED", "ploinky add repo cloud"),
        ("dem/shell", "REPO_NOT_INSTALLED", "Did you mean 'demo'?"),
    ],
)
def test_what_is_not_there_is_told_with_what_was_meant(
    store: RepoStore, ref: str, code: str, hint: str
) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.find_agent(ref)
    assert caught.value.code == code
    assert hint in (caught.value.hint or "")


@pytest.mark.usefixtures("two")
def test_an_agent_of_a_disabled_repository_is_pointed_at_and_found_by_its_full_name(store: RepoStore) -> None:
    store.disable("demo")
    with pytest.raises(NotFoundError, match="demo/explorer"):
        store.find_agent("explorer")
    assert store.find_agent("demo/explorer").agent == "explorer"


def test_without_any_repository_the_first_step_is_told(store: RepoStore) -> None:
    with pytest.raises(NotFoundError, match="ploinky add repo basic"):
        store.find_agent("shell")


@pytest.mark.parametrize("ref", ["../demo/shell", "demo/..", "", "a/b/c", "demo/.hidden"])
def test_a_path_is_no_name(store: RepoStore, ref: str) -> None:
    with pytest.raises(PloinkyError):
        store.find_agent(ref)


def test_a_link_that_leaves_the_repository_is_no_agent(store: RepoStore, two: Layout, tmp_path: Path) -> None:
    outside = write_agents(tmp_path / "outside", "evil") / "evil"
    (two.repo("demo") / "evil").symlink_to(outside)
    (two.repo("demo") / "again").symlink_to("shell")
    (two.repo("demo") / "circle").symlink_to("circle")
    assert [str(each) for each in store.agents()] == [
        "basic/node", "basic/shell", "demo/again", "demo/explorer", "demo/shell",
    ]  # fmt: skip
    with pytest.raises(NotFoundError):
        store.find_agent("evil")


def test_a_manifest_is_read_and_a_missing_or_broken_one_told(store: RepoStore, two: Layout) -> None:
    location = store.find_agent("explorer")
    assert (
        store.read_manifest(location).image == "alpine" or store.read_manifest(location).container == "alpine"
    )
    location.manifest_path.write_text('{"container": ')
    with pytest.raises(PloinkyError) as broken:
        store.read_manifest(location)
    assert broken.value.code == "MANIFEST_PARSE_ERROR"
    assert str(two.repos) in str(broken.value)
    location.manifest_path.unlink()
    with pytest.raises(NotFoundError) as missing:
        store.read_manifest(location)
    assert missing.value.code == "MANIFEST_NOT_FOUND"


def test_which_repositories_count(store: RepoStore, two: Layout) -> None:
    assert store.enabled() == ("basic", "demo")
    store.disable("basic")
    assert json.loads(two.enabled_repos_file.read_text()) == ["demo"]
    with pytest.raises(UsageError) as last:
        store.disable("demo")
    assert last.value.code == "LAST_ENABLED_REPO"
    store.enable("basic")
    store.enable("basic")
    assert store.enabled() == ("demo", "basic")
    with pytest.raises(NotFoundError):
        store.enable("cloud")


def test_enabling_one_while_all_count_takes_none_away(store: RepoStore, two: Layout) -> None:
    store.enable("demo")
    assert store.enabled() == ("basic", "demo")
    assert json.loads(two.enabled_repos_file.read_text()) == ["basic", "demo"]


def test_elements_of_the_older_form_survive(store: RepoStore, two: Layout) -> None:
    old = {"name": "demo", "url": "https://example.org/demo.git"}
    two.enabled_repos_file.write_text(json.dumps([old, "gone"]))
    assert store.enabled() == ("demo",)
    store.enable("basic")
    assert json.loads(two.enabled_repos_file.read_text()) == [old, "gone", "basic"]


@pytest.mark.parametrize("text", ["{", "{}", "[1]"])
def test_a_list_that_cannot_be_read_is_an_error_and_stays(store: RepoStore, two: Layout, text: str) -> None:
    two.enabled_repos_file.write_text(text)
    with pytest.raises(PloinkyError, match=str(two.enabled_repos_file)):
        store.enable("demo")
    assert two.enabled_repos_file.read_text() == text


async def test_the_list_shows_what_is_there_and_what_could_be(store: RepoStore, two: Layout) -> None:
    rows = {row.name: row for row in await store.list()}
    assert (rows["basic"].installed, rows["basic"].agents) == (True, 2)
    assert (rows["cloud"].installed, rows["cloud"].url.startswith("https://")) == (False, True)
    assert list(two.repos.iterdir()) != []
