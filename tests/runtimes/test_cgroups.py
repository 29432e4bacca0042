"""Control groups of both versions, in made-up trees; and what is said when there are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ploinky.runtimes.cgroups import Limit, entry_files, find_cgroup_home, make_group, remove_groups
from ploinky.runtimes.sandbox_limits import expected_limits, plan_limits
from ploinky.runtimes.spec import Resources

ALL = Resources(cpus=1.5, memory=1000, pids=10)


def group(path: Path, *files: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for file in ("cgroup.procs", *files):
        (path / file).touch()


def proc(tmp_path: Path, mountinfo: str, own: str) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "mountinfo").write_text(mountinfo)
    (folder / "cgroup").write_text(own)
    return folder


V1 = "".join(
    f"3{number} 1 0:{number} / /sys/fs/cgroup/{names} rw - cgroup cgroup rw,{names}\n"
    for number, names in enumerate(("memory", "pids", "cpu,cpuacct"))
)
V2 = "30 1 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_1_gives_each_limit_its_own_tree(tmp_path: Path) -> None:
    top = tmp_path / "sys/fs/cgroup"
    for name in ("memory", "pids", "cpu,cpuacct"):
        group(top / name)
    found = find_cgroup_home(proc(tmp_path, V1, "4:memory:/x\n3:pids:/\n2:cpu,cpuacct:/\n"), root=tmp_path)
    assert found is not None
    assert (found.version, dict(found.bases)) == (
        1,
        {Limit.MEMORY: top / "memory", Limit.PIDS: top / "pids", Limit.CPU: top / "cpu,cpuacct"},
    )


def test_version_2_is_used_where_children_get_controllers(tmp_path: Path) -> None:
    top = tmp_path / "sys/fs/cgroup"
    user = top / "user.slice"
    group(top, "cgroup.subtree_control")
    group(user, "cgroup.subtree_control")
    group(user / "session", "cgroup.subtree_control")
    (user / "cgroup.subtree_control").write_text("cpu memory pids\n")
    found = find_cgroup_home(proc(tmp_path, V2, "0::/user.slice/session\n"), root=tmp_path)
    assert found is not None
    assert (found.version, found.limits) == (2, frozenset(Limit))
    assert found.folders("n") == (user / "ploinky-n",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_tree_that_may_not_be_changed_is_no_home(tmp_path: Path) -> None:
    top = tmp_path / "sys/fs/cgroup"
    group(top, "cgroup.subtree_control")
    (top / "cgroup.subtree_control").write_text("cpu memory pids\n")
    top.chmod(0o555)
    assert find_cgroup_home(proc(tmp_path, V2, "0::/\n"), root=tmp_path) is None


@pytest.mark.parametrize(("mountinfo", "own"), [("", ""), (V2, "0::/\n"), (V1, "4:memory:/\n")])
def test_without_a_usable_tree_there_is_no_home(tmp_path: Path, mountinfo: str, own: str) -> None:
    assert find_cgroup_home(proc(tmp_path, mountinfo, own), root=tmp_path) is None


async def test_a_group_of_this_host_holds_its_limits_and_goes_again() -> None:
    home = find_cgroup_home()
    if home is None or Limit.MEMORY not in home.limits:
        pytest.skip("no control groups here")
    name = f"test-{os.getpid()}"
    held = make_group(home, name, ALL)
    try:
        assert held == home.limits
        assert all(file.exists() for file in entry_files(home, name))
        make_group(home, name, Resources(memory=2000, pids=20))  # a group that was left is made anew
    finally:
        await remove_groups(home.folders(name))
    assert not any(folder.exists() for folder in home.folders(name))


def test_what_does_not_hold_is_said() -> None:
    plan = plan_limits(None, "n", Resources(cpus=1, memory=1, pids=1))
    pids = "none" if os.geteuid() == 0 else "process"
    assert plan.text == f"memory=process pids={pids} cpu=none"
    assert plan_limits(None, "n", Resources(memory=None, pids=None)).text == (
        "memory=unlimited pids=unlimited cpu=unlimited"
    )
    assert expected_limits(None) == plan.text
