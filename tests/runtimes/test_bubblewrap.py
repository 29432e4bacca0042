"""What is bubblewrap's own: the host's programs and network, records, control groups, refusals."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.processes import ProcessId
from ploinky.base.waits import wait_until
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap import LABEL_LIMITS, BubblewrapRuntime
from ploinky.runtimes.bubblewrap_process import ended
from ploinky.runtimes.protocol import SandboxState
from ploinky.runtimes.spec import Mount, Network, NetworkMode, PublishedPort, RunSpec, Security
from tests.contract import engine_bubblewrap
from tests.contract.engine_under_test import create
from tests.contract.inside import launch, text_of

pytestmark = pytest.mark.bubblewrap


@pytest.fixture
async def spec(short_folder: Path) -> AsyncIterator[RunSpec]:
    reason = await anyio.to_thread.run_sync(engine_bubblewrap.unusable)
    if reason is not None:
        pytest.skip(reason)
    made = engine_bubblewrap.base_spec(short_folder)
    made.socket_dir.mkdir()
    yield made
    await BubblewrapRuntime(short_folder / "state", os.environ).remove(made.name)


@pytest.fixture
def runtime(short_folder: Path) -> BubblewrapRuntime:
    return BubblewrapRuntime(short_folder / "state", os.environ)


async def test_a_damaged_record_can_be_removed(
    runtime: BubblewrapRuntime, spec: RunSpec, short_folder: Path
) -> None:
    await create(runtime, spec)
    await runtime.start(spec.name)
    (short_folder / "state" / spec.name / "record.json").write_text("{")
    with pytest.raises(PloinkyError) as refused:
        await runtime.inspect(spec.name)
    assert refused.value.code == "SANDBOX_RECORD"
    await runtime.remove(spec.name)
    assert engine_bubblewrap.leftovers(short_folder / "state", spec.name) == []


async def test_a_port_is_the_one_that_the_agent_binds(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    spec = replace(spec, ports=(PublishedPort(7000, 17000), PublishedPort(7001)))
    lines = await create(runtime, spec)
    assert [line for line in lines if "7000" in line and "17000" in line]
    await runtime.start(spec.name)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert [(port.container_port, port.host_port) for port in sandbox.ports] == [(7000, 7000), (7001, 7001)]


async def test_without_a_network_no_port_is_offered(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    spec = replace(spec, ports=(PublishedPort(7000),), network=Network(NetworkMode.NONE))
    await create(runtime, spec)
    await runtime.start(spec.name)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.ports == ()


async def test_what_limits_hold_is_told(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    await create(runtime, spec)
    await runtime.start(spec.name)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert [each.split("=")[0] for each in sandbox.labels[LABEL_LIMITS].split()] == ["memory", "pids", "cpu"]
    assert "limits: memory=" in (await runtime.check()).reason


@pytest.mark.parametrize(
    "security", [Security(privileged=True), Security(capabilities=("NET_ADMIN",))], ids=["root", "capability"]
)
async def test_what_only_an_engine_can_do_names_one(
    runtime: BubblewrapRuntime, spec: RunSpec, security: Security
) -> None:
    with pytest.raises(PloinkyError) as refused:
        await create(runtime, replace(spec, security=security))
    assert refused.value.code == errors.SANDBOX_NEEDS_ENGINE
    assert "podman" in (refused.value.hint or "")


async def test_a_path_too_long_for_a_socket_is_refused(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    deep = spec.socket_dir / ("d" * 100)
    deep.mkdir()
    with pytest.raises(PloinkyError) as refused:
        await create(runtime, replace(spec, socket_dir=deep))
    assert refused.value.code == errors.CREATE_FAILED
    assert "XDG_RUNTIME_DIR" in (refused.value.hint or "")


async def test_a_refused_sandbox_leaves_no_mount_point(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    code = spec.mounts[0].source
    inner = Mount(code.parent / "logs", "/code/inner", read_only=True)
    with pytest.raises(PloinkyError):
        await create(runtime, replace(spec, mounts=(*spec.mounts, inner, replace(inner, target="/usr/no/x"))))
    assert list(code.iterdir()) == []


async def test_a_missing_mount_point_is_made_and_goes_with_the_sandbox(
    runtime: BubblewrapRuntime, spec: RunSpec
) -> None:
    code = spec.mounts[0].source
    deps = code.parent / "deps"
    deps.mkdir()
    (deps / "module").touch()
    mounts = (Mount(code, "/code", read_only=True), Mount(deps, "/code/node_modules", read_only=True))
    spec = replace(spec, mounts=mounts)
    await create(runtime, spec)
    await runtime.start(spec.name)
    assert await text_of(spec, "ls /code/node_modules") == "module"
    await runtime.remove(spec.name)
    assert list(code.iterdir()) == []


async def test_a_launcher_that_nobody_recorded_is_ended_by_the_next_look(
    runtime: BubblewrapRuntime, spec: RunSpec, short_folder: Path
) -> None:
    await create(runtime, spec)
    await runtime.start(spec.name)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.pid is not None
    launcher = ProcessId.find(sandbox.pid)
    assert launcher is not None
    (short_folder / "state" / spec.name / "run.json").unlink()  # as if the starter had been killed before
    assert [each.state for each in await runtime.list(spec.workspace)] == [SandboxState.CREATED]
    with anyio.fail_after(10):
        await ended(launcher)


async def test_a_sandbox_lives_on_when_its_monitor_is_killed(
    runtime: BubblewrapRuntime, spec: RunSpec
) -> None:
    await create(runtime, spec)
    await runtime.start(spec.name)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    monitor = int(Path(f"/proc/{sandbox.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(monitor, signal.SIGKILL)
    assert await text_of(spec, "echo alive") == "alive"
    await runtime.stop(spec.name, grace_s=2)
    after = await runtime.inspect(spec.name)
    assert after is not None
    assert (after.state, after.exit_code) == (SandboxState.EXITED, None)


async def test_a_broken_launcher_is_reported_with_what_it_said(
    runtime: BubblewrapRuntime, spec: RunSpec
) -> None:
    broken = spec.socket_dir.parent / "launcher"
    broken.mkdir()
    (broken / "launcher").write_text("#!/bin/sh\necho this launcher is broken >&2\nexit 3\n")
    (broken / "launcher").chmod(0o755)
    spec = replace(spec, launcher_dir=broken)
    await create(runtime, spec)
    with pytest.raises(PloinkyError) as failed:
        await runtime.start(spec.name)
    assert failed.value.code == errors.START_FAILED
    assert "this launcher is broken" in failed.value.message
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.CREATED


async def test_a_mount_that_vanished_since_is_named(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    gone = spec.socket_dir.parent / "gone"
    gone.mkdir()
    spec = replace(spec, mounts=(*spec.mounts, Mount(gone, "/gone", read_only=True)))
    await create(runtime, spec)
    gone.rmdir()
    with pytest.raises(PloinkyError) as failed:
        await runtime.start(spec.name)
    assert str(gone) in failed.value.message


async def test_output_of_every_run_stays_in_the_log(runtime: BubblewrapRuntime, spec: RunSpec) -> None:
    await create(runtime, spec)
    for number in (1, 2):
        await runtime.start(spec.name)
        await launch(spec, f"echo run {number}; touch /code/{number}; exec sleep 60")
        marker = spec.mounts[0].source / str(number)

        async def printed(marker: Path = marker) -> bool:
            return marker.exists()

        await wait_until(printed, what="the agent's output", timeout_s=10)
        await runtime.stop(spec.name, grace_s=2)
    assert b"".join([chunk async for chunk in runtime.logs(spec.name)]) == b"run 1\nrun 2\n"
    await runtime.remove(spec.name)
    assert spec.log_path.read_text() == "run 1\nrun 2\n"
