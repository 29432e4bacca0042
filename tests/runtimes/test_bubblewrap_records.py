"""Records of sandboxes survive damage, races and killed commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.processes import ProcessId, run
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap_records import Record, RecordStore, Run, boot_id
from ploinky.runtimes.spec import Mount, Network, NetworkMode, PublishedPort, Resources, RunSpec, Security


def record(name: str = "n") -> Record:
    spec = RunSpec(
        name=name,
        workspace="w",
        agent="a",
        image="i",
        socket_dir=Path("/s"),
        launcher_dir=Path("/l"),
        log_path=Path("/log"),
        mounts=(Mount(Path("/code"), "/code", read_only=True),),
        masks=("/code/x",),
        env=(("A", "ä\n"),),
        ports=(PublishedPort(80, 8080),),
        network=Network(NetworkMode.NONE, "net", ("alias",)),
        resources=Resources(1.5, None, 7),
        security=Security(capabilities=("NET_ADMIN",), user="1:2"),
        extra_labels=(("k", "v"),),
    )
    return Record(id="0123", spec=spec, made_folders=(Path("/code/x"),))


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "state")


def test_a_spec_is_read_back_as_it_was_written(store: RecordStore) -> None:
    store.add(record())
    found = store.folder("n").record()
    assert found == record()
    assert found is not None
    assert found.spec.digest == record().spec.digest


def test_records_are_private(store: RecordStore) -> None:
    folder = store.add(record())
    assert store.state.stat().st_mode & 0o777 == 0o700
    assert (folder.path / "record.json").stat().st_mode & 0o777 == 0o600


def test_a_name_is_added_once_and_the_second_leaves_nothing(store: RecordStore) -> None:
    store.add(record())
    with pytest.raises(PloinkyError) as refused:
        store.add(record())
    assert refused.value.code == errors.NAME_IN_USE
    assert [each.name for each in store.state.iterdir()] == ["n"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b", "x" * 201, "a\n"])
def test_no_name_leads_out_of_the_state_folder(store: RecordStore, name: str) -> None:
    with pytest.raises(PloinkyError) as refused:
        store.folder(name)
    assert refused.value.code == "BAD_NAME"


def test_a_damaged_record_is_an_error_not_an_absence(store: RecordStore) -> None:
    folder = store.add(record())
    (folder.path / "record.json").write_text('{"id": 1')
    with pytest.raises(PloinkyError) as refused:
        folder.record()
    assert refused.value.code == "SANDBOX_RECORD"


def test_what_a_killed_creator_or_remover_left_is_swept_up(store: RecordStore) -> None:
    store.state.mkdir()
    (store.state / ".gone-n-abc" / "etc").mkdir(parents=True)
    part = store.state / ".part-n-abc"
    part.mkdir()
    (part / "lock").touch()
    store.add(record("other"))
    store.sweep()
    assert [each.name for each in store.state.iterdir()] == ["other"]


def test_a_creator_at_work_is_not_swept_away(store: RecordStore) -> None:
    folder = store.add(record())
    part = store.state / ".part-n-abc"
    folder.path.rename(part)
    with store.folder("n").__class__(part).try_locked() as locked:
        assert locked
        store.sweep()
        assert part.exists()


async def test_one_at_a_time_changes_a_sandbox(store: RecordStore) -> None:
    folder = store.add(record())
    program = (
        "import fcntl, os, sys; d = os.open(sys.argv[1], os.O_RDWR); "
        "fcntl.flock(d, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    argv = [sys.executable, "-c", program, str(folder.path / "lock")]
    async with folder.locked() as there:
        assert there
        assert (await run(argv, timeout_s=10)).returncode != 0
    assert (await run(argv, timeout_s=10)).returncode == 0


async def test_who_waits_for_a_removed_sandbox_finds_none(store: RecordStore) -> None:
    folder = store.add(record())
    answers: list[bool] = []

    async def wait() -> None:
        async with folder.locked() as there:
            answers.append(there)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, folder.locked():
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            store.discard(folder)
    assert answers == [False]
    assert list(store.state.iterdir()) == []


def test_a_pid_that_was_reused_is_not_the_sandbox() -> None:
    me = ProcessId.find(os.getpid())
    assert me is not None
    run_of_me = Run(boot=boot_id(), pid=me.pid, ticks=me.started, started_at="", log_offset=0)
    assert run_of_me.alive
    assert not run_of_me.model_copy(update={"ticks": me.started - 1}).alive
    assert not run_of_me.model_copy(update={"boot": "another"}).alive


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", (None, None, None)),
        ('{ "child-pid": 5, "pid-namespace": 7 }\n', (5, 7, None)),
        ('{ "child-pid": 5, "pid-namespace": 7 }\n{ "exit-code": 3 }\n', (5, 7, 3)),
        ('{ "child-pid": 5, "pid-na', (None, None, None)),
    ],
)
def test_what_the_monitor_wrote_is_understood(
    store: RecordStore, text: str, facts: tuple[int | None, ...]
) -> None:
    folder = store.add(record())
    folder.status_file.write_text(text)
    status = folder.monitor_status()
    assert (status.child_pid, status.pid_namespace, status.exit_code) == facts
    assert status.child() is None
