"""The fake engine's own character: scripted programs, and trouble to order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import open_channel
from ploinky.channel.model import LauncherState, LaunchRequest, SpawnRequest
from ploinky.runtimes import errors
from ploinky.runtimes.fake import FakeEngine, FakeRuntime, Trouble
from ploinky.runtimes.fake_launcher import NoSuchProgramError, ProgramCall, ProgramResult
from ploinky.runtimes.protocol import RuntimeEventKind, SandboxState
from ploinky.runtimes.spec import RunSpec
from tests.contract.inside import events_of


async def programs(call: ProgramCall) -> ProgramResult:
    if call.argv[0] == "cat":
        return ProgramResult(stdout=call.stdin)
    if call.argv[0] == "fail":
        return ProgramResult(code=3, stderr=b"it failed")
    if call.argv[0] == "hang":
        await anyio.sleep_forever()
    raise NoSuchProgramError


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine(programs=programs) as made:
        yield made


@pytest.fixture
def spec(short_folder: Path) -> RunSpec:
    return RunSpec("n", "w", "demo", "image", short_folder, short_folder, short_folder / "log")


async def running(engine: FakeEngine, spec: RunSpec) -> FakeRuntime:
    runtime = FakeRuntime(engine)
    _ = [line async for line in runtime.create(spec)]
    await runtime.start(spec.name)
    return runtime


async def test_programs_are_functions(engine: FakeEngine, spec: RunSpec) -> None:
    await running(engine, spec)
    async with open_channel(spec.socket_path) as channel:
        echoed = await channel.run(SpawnRequest(("cat",), env=(("A", "b"),), cwd="/code"), b"x" * 700_000)
        failed = await channel.run(SpawnRequest(("fail", "now")))
        missing = await channel.run(SpawnRequest(("nothing",)))
    assert (len(echoed.stdout), failed.exit.code, failed.stderr) == (700_000, 3, b"it failed")
    assert missing.exit.code == 127
    first, second, _ = engine.sandboxes[spec.name].launcher.calls
    assert (first.agent, first.argv, first.env, first.cwd) == ("demo", ("cat",), {"A": "b"}, "/code")
    assert second.argv == ("fail", "now")


async def test_a_program_that_hangs_can_be_killed(engine: FakeEngine, spec: RunSpec) -> None:
    await running(engine, spec)
    async with open_channel(spec.socket_path) as channel, channel.spawn(SpawnRequest(("hang",))) as program:
        await program.end_input()
        await program.kill()
        assert (await program.wait()).signal == 15


async def test_a_launch_is_seen_and_its_state_can_be_moved(engine: FakeEngine, spec: RunSpec) -> None:
    await running(engine, spec)
    launcher = engine.sandboxes[spec.name].launcher
    launcher.files["/code/mcp-config.json"] = b"{}"
    async with open_channel(spec.socket_path) as channel:
        watch = channel.watch()
        assert (await anext(watch)).state is LauncherState.WAITING
        await channel.launch(LaunchRequest(("serve",)))
        assert (await anext(watch)).state is LauncherState.RUNNING
        await launcher.enter(LauncherState.BACKOFF, last_code=1)
        moved = await anext(watch)
        await watch.aclose()  # type: ignore[attr-defined]
        with pytest.raises(PloinkyError) as refused:
            await channel.launch(LaunchRequest(("serve",)))
        found = await channel.read_file("/code/mcp-config.json", 100)
        assert await channel.read_file("/nothing", 100) is None
    assert (moved.state, moved.last_code) == (LauncherState.BACKOFF, 1)
    assert refused.value.code == "ALREADY_LAUNCHED"
    assert found is not None
    assert found.data == b"{}"
    assert [call.argv for call in launcher.calls if call.main] == [("serve",)]


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (Trouble(fail_create="no space"), errors.CREATE_FAILED),
        (Trouble(fail_start="no such image"), errors.START_FAILED),
    ],
)
async def test_an_agent_in_trouble_fails(
    engine: FakeEngine, spec: RunSpec, trouble: Trouble, code: str
) -> None:
    engine.troubles["demo"] = trouble
    with pytest.raises(PloinkyError) as failed:
        await running(engine, spec)
    assert failed.value.code == code
    other = replace(spec, name="o", agent="other")
    assert (await (await running(engine, other)).inspect("o")) is not None


async def test_an_agent_dies_as_often_as_ordered(engine: FakeEngine, spec: RunSpec) -> None:
    engine.troubles["demo"] = Trouble(dies_after_s=0.0)
    runtime = FakeRuntime(engine)
    async with events_of(runtime, spec.workspace) as events:
        await running(engine, spec)
        assert (await events.wait_for(RuntimeEventKind.DIED, spec.name)).exit_code == 1
    await runtime.start(spec.name)
    await anyio.lowlevel.checkpoint()
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.RUNNING


async def test_a_slow_agent_can_be_given_up(engine: FakeEngine, spec: RunSpec) -> None:
    engine.troubles["demo"] = Trouble(start_delay_s=60)
    with anyio.move_on_after(0.01) as scope:
        await running(engine, spec)
    assert scope.cancelled_caught
    sandbox = await FakeRuntime(engine).inspect(spec.name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.CREATED


async def test_a_launcher_that_is_shut_down_ends_its_sandbox(engine: FakeEngine, spec: RunSpec) -> None:
    runtime = await running(engine, spec)
    async with events_of(runtime, spec.workspace) as events:
        async with open_channel(spec.socket_path) as channel:
            await channel.shutdown(1)
        assert (await events.wait_for(RuntimeEventKind.DIED, spec.name)).exit_code == 0
    assert not spec.socket_path.exists()
