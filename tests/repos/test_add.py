"""A repository is there whole or not at all, whatever it comes from and whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import DeadlineError, NotFoundError, PloinkyError, UsageError
from ploinky.base.waits import wait_until
from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout
from tests.repos.conftest import commit, git, said, write_agents

ADDER = """
import sys, anyio
from pathlib import Path
from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout

async def main():
    async for _ in RepoStore(Layout(Path(sys.argv[1]))).add("slow", sys.argv[2]):
        pass

anyio.run(main)
"""


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/repo.git"


def staged(layout: Layout) -> list[Path]:
    return [path for path in layout.repos.iterdir() if path.name.startswith(".")]


async def test_a_work_tree_is_cloned_and_its_agents_counted(
    store: RepoStore, layout: Layout, origin: Path
) -> None:
    lines = await said(store.add("demo", str(origin)))
    assert lines[0] == f"Cloning {origin}"
    assert lines[-1] == "Added repository 'demo' with 2 agents."
    assert store.installed() == store.enabled() == ("demo",)
    assert await store.head_commit("demo") == git(origin, "rev-parse", "HEAD")
    assert staged(layout) == []


@pytest.mark.parametrize("form", ["{}", "file://{}", "relative"])
async def test_a_bare_repository_is_cloned(store: RepoStore, tmp_path: Path, origin: Path, form: str) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(origin), str(bare))
    url = "bare.git" if form == "relative" else form.format(bare)
    await said(store.add("demo", url, relative_to=tmp_path))
    assert [str(each) for each in store.agents()] == ["demo/explorer", "demo/shell"]


async def test_a_branch_is_chosen(store: RepoStore, origin: Path) -> None:
    git(origin, "switch", "--quiet", "--create", "next/1")
    write_agents(origin, "extra")
    commit(origin)
    git(origin, "switch", "--quiet", "main")
    await said(store.add("demo", str(origin), "next/1"))
    (row,) = [row for row in await store.list() if row.installed]
    assert (row.branch, row.agents, row.url, row.enabled) == ("next/1", 3, str(origin), True)


async def test_a_plain_folder_is_copied(store: RepoStore, layout: Layout, tmp_path: Path) -> None:
    folder = write_agents(tmp_path / "mine", "tool")
    os.mkfifo(folder / "pipe")
    (folder / "tool" / "run").write_text("#!/bin/sh\n")
    (folder / "tool" / "run").chmod(0o755)
    await said(store.add("mine", str(folder)))
    copied = layout.repo("mine")
    assert os.access(copied / "tool" / "run", os.X_OK)
    assert not (copied / "pipe").exists()
    commit_of_copy = await store.head_commit("mine")
    assert commit_of_copy is not None
    assert commit_of_copy.startswith("sha256:")


async def test_a_folder_that_holds_the_workspace_is_not_copied_into_it(
    store: RepoStore, layout: Layout
) -> None:
    with pytest.raises(UsageError, match="holds this workspace"):
        await said(store.add("all", str(layout.root.parent)))
    assert store.installed() == ()
    assert staged(layout) == []


@pytest.mark.parametrize(
    "url", ["-oProxyCommand=x", "ext::sh -c true", "git://host/x", "http://host/x.git", "a::b"]
)
async def test_an_address_that_could_run_something_is_refused(
    store: RepoStore, layout: Layout, url: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await said(store.add("bad", url))
    assert caught.value.code == "BAD_REPO_URL"
    assert list(layout.repos.iterdir()) == []


async def test_what_is_not_there_is_told(store: RepoStore, tmp_path: Path, origin: Path) -> None:
    with pytest.raises(NotFoundError) as missing:
        await said(store.add("demo", str(tmp_path / "missing")))
    assert missing.value.code == "REPO_SOURCE_NOT_FOUND"
    with pytest.raises(UsageError, match="Did you mean 'basic'") as unknown:
        await said(store.add("basics"))
    assert unknown.value.code == "REPO_URL_NEEDED"
    with pytest.raises(UsageError) as branch:
        await said(store.add("demo", str(origin), "--upload-pack=x"))
    assert branch.value.code == "BAD_BRANCH"


async def test_a_failed_clone_leaves_nothing_and_tells_what_git_said(
    store: RepoStore, layout: Layout, origin: Path
) -> None:
    with pytest.raises(PloinkyError, match="Remote branch nope not found") as caught:
        await said(store.add("demo", str(origin), "nope"))
    assert caught.value.code == "GIT_FAILED"
    assert list(layout.repos.iterdir()) == []


async def test_a_name_that_is_taken_is_not_overwritten(
    store: RepoStore, layout: Layout, origin: Path
) -> None:
    layout.repo("demo").mkdir()
    (layout.repo("demo") / "mine").write_text("kept")
    with pytest.raises(UsageError) as caught:
        await said(store.add("demo", str(origin)))
    assert caught.value.code == "REPO_EXISTS"
    assert (layout.repo("demo") / "mine").read_text() == "kept"


async def test_a_server_that_never_answers_runs_into_the_deadline(
    store: RepoStore, layout: Layout, silent_server: str
) -> None:
    with pytest.raises(DeadlineError) as caught:
        await said(store.add("slow", silent_server, timeout_s=0.3))
    assert caught.value.code == "GIT_TIMEOUT"
    assert list(layout.repos.iterdir()) == []


async def test_giving_up_leaves_nothing_and_two_at_once_do_not_meet(
    store: RepoStore, layout: Layout, silent_server: str
) -> None:
    lines = store.add("slow", silent_server)
    assert (await anext(lines)).startswith("Cloning")
    with pytest.raises(PloinkyError) as caught:
        await said(store.add("slow", silent_server))
    assert caught.value.code == "FILE_LOCKED"
    await lines.aclose()
    assert list(layout.repos.iterdir()) == []


async def test_a_password_in_the_address_is_never_shown(
    store: RepoStore, origin: Path, layout: Layout
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://me:hunter2hunter2@127.0.0.1:{server.getsockname()[1]}/repo.git"
    with pytest.raises(PloinkyError) as caught:
        await said(store.add("demo", url, timeout_s=10))
    assert caught.value.code == "GIT_FAILED"
    assert "hunter2" not in str(caught.value)
    await said(store.add("demo", str(origin)))
    git(layout.repo("demo"), "remote", "set-url", "origin", url)
    assert "hunter2" not in str(await store.list())
    with pytest.raises(PloinkyError) as failed:
        await said(store.update("demo"))
    assert "hunter2" not in str(failed.value)
    await store.trust("demo")
    assert "hunter2" not in layout.trust_file.read_text()


async def test_a_killed_add_leaves_nothing_that_looks_installed_and_the_next_one_cleans_up(
    store: RepoStore, layout: Layout, origin: Path, silent_server: str
) -> None:
    argv = [sys.executable, "-c", ADDER, str(layout.root), silent_server]
    with subprocess.Popen(argv) as process:

        async def begun() -> bool:
            return bool(staged(layout))

        await wait_until(begun, what="the clone to begin", timeout_s=30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert store.installed() == ()
    assert store.agents() == ()
    await said(store.add("demo", str(origin)))
    assert [path.name for path in layout.repos.iterdir()] == ["demo"]


async def test_the_next_one_leaves_a_folder_of_somebody_still_at_work(
    store: RepoStore, layout: Layout, origin: Path, silent_server: str
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(said, store.add("slow", silent_server))

        async def begun() -> bool:
            return bool(staged(layout))

        await wait_until(begun, what="the clone to begin", timeout_s=30)
        (at_work,) = staged(layout)
        (layout.repos / ".tmp-1-0-other").mkdir()  # pid 1 was started at another tick
        await said(store.add("demo", str(origin)))
        assert staged(layout) == [at_work]
        tasks.cancel_scope.cancel()
    assert [path.name for path in layout.repos.iterdir()] == ["demo"]
