"""Mount points that must be there before bwrap starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap_mounts import check_mounts, make_mount_points, remove_mount_points
from ploinky.runtimes.spec import Mount, RunSpec


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    for each in ("outer", "inner", "sock", "launcher"):
        (tmp_path / each).mkdir()
    (tmp_path / "file").write_text("x")
    return tmp_path / "outer"


def spec_of(outer: Path, *mounts: Mount, masks: tuple[str, ...] = ()) -> RunSpec:
    home = outer.parent
    return RunSpec(
        "n",
        "w",
        "a",
        "i",
        home / "sock",
        home / "launcher",
        home / "log",
        mounts=(Mount(outer, "/code", read_only=True), *mounts),
        masks=masks,
    )


def test_missing_places_are_made_and_removed_again(outer: Path) -> None:
    home = outer.parent
    spec = spec_of(
        outer,
        Mount(home / "inner", "/code/a/deps", read_only=True),
        Mount(home / "file", "/code/conf", read_only=True),
    )
    made = make_mount_points(spec)
    assert ((outer / "a" / "deps").is_dir(), (outer / "conf").is_file()) == (True, True)
    assert set(made) == {outer / "a", outer / "a" / "deps", outer / "conf"}
    remove_mount_points(made)
    assert list(outer.iterdir()) == []


def test_a_place_that_was_there_or_is_used_stays(outer: Path) -> None:
    (outer / "deps").mkdir()
    spec = spec_of(
        outer,
        Mount(outer.parent / "inner", "/code/deps", read_only=True),
        Mount(outer.parent / "inner", "/code/more", read_only=True),
    )
    made = make_mount_points(spec)
    (outer / "more" / "kept").touch()
    remove_mount_points(made)
    assert sorted(each.name for each in outer.iterdir()) == ["deps", "more"]


@pytest.mark.parametrize("where", ["elsewhere", "outer/inside"])
@pytest.mark.parametrize("link", ["deps", "dir"])
def test_no_place_is_made_through_a_symlink(outer: Path, link: str, where: str) -> None:
    elsewhere = outer.parent / where
    elsewhere.mkdir()
    (outer / link).symlink_to(elsewhere)
    target = "/code/deps" if link == "deps" else "/code/dir/deps"
    with pytest.raises(PloinkyError) as refused:
        make_mount_points(spec_of(outer, Mount(outer.parent / "inner", target, read_only=True)))
    assert refused.value.code == errors.CREATE_FAILED
    assert list(elsewhere.iterdir()) == []


def test_a_file_cannot_stand_where_a_folder_belongs(outer: Path) -> None:
    (outer / "deps").write_text("a file")
    spec = spec_of(
        outer,
        Mount(outer.parent / "inner", "/code/a", read_only=True),
        Mount(outer.parent / "inner", "/code/deps", read_only=True),
    )
    with pytest.raises(PloinkyError) as refused:
        make_mount_points(spec)
    assert "must be a folder" in refused.value.message
    assert [each.name for each in outer.iterdir()] == ["deps"]  # what was made before is gone again


def test_below_a_mask_nothing_is_made_on_the_host(outer: Path) -> None:
    (outer / ".ploinky").mkdir()
    spec = spec_of(
        outer,
        Mount(outer.parent / "inner", "/code/.ploinky/repos/r", read_only=False),
        masks=("/code/.ploinky",),
    )
    assert make_mount_points(spec) == ()
    assert list((outer / ".ploinky").iterdir()) == []


@pytest.mark.parametrize(
    "target", ["code", "/", "/a/../../etc", "/usr", "/proc/1", "/dev/sda", "/etc", "/usr/no-such/x"]
)
def test_some_targets_are_the_sandbox_s_own(outer: Path, target: str) -> None:
    with pytest.raises(PloinkyError) as refused:
        check_mounts(spec_of(outer, Mount(outer, target, read_only=True)))
    assert refused.value.code == errors.CREATE_FAILED


def test_a_source_that_is_missing_is_named(outer: Path) -> None:
    missing = outer / "nothing"
    with pytest.raises(PloinkyError) as refused:
        check_mounts(spec_of(outer, Mount(missing, "/x", read_only=True)))
    assert str(missing) in refused.value.message
