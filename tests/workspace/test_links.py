"""Links are relative, remade, never over a real file, and never lead out of the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.workspace.layout import Layout
from ploinky.workspace.links import make_links, remove_links
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.structure import init_workspace

SHELL = RegistryEntry(agent_name="shell", repo_name="basic")


@pytest.fixture
def source(layout: Layout) -> Path:
    """The folder of agent shell with code and skills."""
    folder = layout.agent_source("basic", "shell")
    (folder / "code").mkdir(parents=True)
    (folder / ".AchillesSkills").mkdir()
    return folder


def test_code_and_skills_are_linked_relatively(layout: Layout, source: Path) -> None:
    assert make_links(layout, SHELL) == []
    assert layout.code_link("shell").readlink() == Path("../.ploinky/repos/basic/shell/code")
    assert layout.code_link("shell").resolve() == source / "code"
    assert layout.skills_link("shell").resolve() == source / ".AchillesSkills"


def test_an_agent_without_code_folder_is_linked_as_a_whole(layout: Layout, source: Path) -> None:
    (source / "code").rmdir()
    (source / ".AchillesSkills").rename(source / "skills")
    make_links(layout, SHELL)
    assert layout.code_link("shell").resolve() == source
    assert layout.skills_link("shell").resolve() == source / "skills"


def test_an_alias_gives_the_link_its_name(layout: Layout, source: Path) -> None:
    make_links(layout, RegistryEntry(agent_name="shell", repo_name="basic", alias="sh"))
    assert layout.code_link("sh").resolve() == source / "code"
    assert not layout.code_link("shell").is_symlink()


def test_links_are_remade_and_outdated_ones_removed(layout: Layout, source: Path) -> None:
    make_links(layout, SHELL)
    (source / ".AchillesSkills").rmdir()
    layout.code_link("shell").unlink()
    layout.code_link("shell").symlink_to("somewhere/else")
    assert make_links(layout, SHELL) == []
    assert layout.code_link("shell").resolve() == source / "code"
    assert not layout.skills_link("shell").is_symlink()


@pytest.mark.usefixtures("source")
def test_a_real_file_in_the_way_is_left_alone_and_told(layout: Layout) -> None:
    layout.code_link("shell").mkdir()
    (layout.code_link("shell") / "mine").write_text("kept")
    assert make_links(layout, SHELL) == ["code/shell is not a link; it was left alone."]
    remove_links(layout, "shell")
    assert (layout.code_link("shell") / "mine").read_text() == "kept"
    assert not layout.skills_link("shell").is_symlink()


@pytest.mark.parametrize("made_by", ["code", ".AchillesSkills", "itself", "code folder of the workspace"])
def test_what_leads_out_of_the_workspace_is_not_linked(
    layout: Layout, source: Path, tmp_path: Path, made_by: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    paths = {"itself": source, "code folder of the workspace": layout.code}
    path = paths.get(made_by, source / made_by)
    path.rename(path.with_name("moved"))
    path.symlink_to(outside)
    with pytest.raises(PloinkyError) as caught:
        make_links(layout, SHELL)
    assert caught.value.code == "LINK_ESCAPES"
    assert list(outside.iterdir()) == []


def test_links_in_a_circle_are_an_error_and_no_crash(layout: Layout, source: Path) -> None:
    layout.code.rmdir()
    layout.code.symlink_to("code")
    assert source.is_dir()
    with pytest.raises(PloinkyError):
        make_links(layout, SHELL)


def test_an_agent_that_its_repository_has_no_more_is_an_error(layout: Layout) -> None:
    with pytest.raises(NotFoundError) as caught:
        make_links(layout, SHELL)
    assert caught.value.code == "AGENT_SOURCE_MISSING"


@settings(max_examples=60)
@given(
    hops=st.lists(
        st.sampled_from(["..", "../..", "../../../../..", "code", "other", "deep/er", "/", "/tmp", "."]),
        max_size=4,
    )
)
def test_through_whatever_chain_a_made_link_stays_inside(
    tmp_path_factory: pytest.TempPathFactory, hops: list[str]
) -> None:
    layout = init_workspace(tmp_path_factory.mktemp("chain"))
    folder = layout.agent_source("basic", "shell")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "other").mkdir()
    targets = [*hops, "other"]
    for number, target in enumerate(targets):
        joined = (
            target if target.startswith("/") or number == len(targets) - 1 else f"{target}/hop{number + 1}"
        )
        (folder / ("code" if number == 0 else f"hop{number}")).symlink_to(joined)
    try:
        make_links(layout, SHELL)
    except PloinkyError:
        return
    resolved = layout.code_link("shell").resolve()
    assert resolved == layout.root or layout.root in resolved.parents
