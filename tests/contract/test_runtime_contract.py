"""The state table of ``protocol.py`` and what stands beside it, for every engine."""

from __future__ import annotations

import ipaddress

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.runtimes import errors
from ploinky.runtimes.protocol import Runtime, RuntimeEventKind, SandboxState
from ploinky.runtimes.spec import LABEL_AGENT, LABEL_DIGEST, LABEL_WORKSPACE, RunSpec
from tests.contract.engine_under_test import EngineUnderTest, create
from tests.contract.inside import DEADLINE_S, events_of

STATES = ["created", "running", "exited"]


async def brought_to(state: str, runtime: Runtime, spec: RunSpec) -> None:
    await create(runtime, spec)
    if state in ("running", "exited"):
        await runtime.start(spec.name)
    if state == "exited":
        await runtime.stop(spec.name, grace_s=2)


async def state_of(runtime: Runtime, spec: RunSpec) -> SandboxState | None:
    sandbox = await runtime.inspect(spec.name)
    return sandbox.state if sandbox is not None else None


async def test_a_usable_engine_says_so(runtime: Runtime) -> None:
    health = await runtime.check()
    assert (health.usable, bool(health.version), bool(health.reason)) == (True, True, True)


async def test_a_created_sandbox_does_not_run(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert (sandbox.name, sandbox.state, sandbox.pid) == (spec.name, SandboxState.CREATED, None)
    assert not spec.socket_path.exists()


async def test_a_sandbox_carries_the_labels_of_its_spec(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a", extra_labels=(("ploinky.profile", "qa"),))
    await create(runtime, spec)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.labels.items() >= {
        (LABEL_WORKSPACE, spec.workspace),
        (LABEL_AGENT, "a"),
        (LABEL_DIGEST, spec.digest),
        ("ploinky.profile", "qa"),
    }


@pytest.mark.parametrize("state", STATES)
async def test_a_name_is_given_once(engine: EngineUnderTest, runtime: Runtime, state: str) -> None:
    spec = engine.spec("a")
    await brought_to(state, runtime, spec)
    with pytest.raises(PloinkyError) as refused:
        await create(runtime, spec)
    assert refused.value.code == errors.NAME_IN_USE
    assert await state_of(runtime, spec) == SandboxState(state)


async def test_what_was_never_created_cannot_be_started(engine: EngineUnderTest, runtime: Runtime) -> None:
    with pytest.raises(PloinkyError) as refused:
        await runtime.start(f"{engine.base.name}-nobody")
    assert refused.value.code == errors.SANDBOX_NOT_FOUND


async def test_a_started_sandbox_runs_and_answers(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    await runtime.start(spec.name)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.RUNNING
    assert sandbox.started_at is not None
    assert spec.socket_path.is_socket()


async def test_starting_twice_is_starting_once(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    await runtime.start(spec.name)
    before = await runtime.inspect(spec.name)
    await runtime.start(spec.name)
    assert await runtime.inspect(spec.name) == before


async def test_an_exited_sandbox_starts_again(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await brought_to("exited", runtime, spec)
    await runtime.start(spec.name)
    assert await state_of(runtime, spec) is SandboxState.RUNNING


async def test_a_stopped_sandbox_has_exited(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await brought_to("exited", runtime, spec)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.EXITED
    assert sandbox.exit_code is not None


@pytest.mark.parametrize("state", ["absent", "created", "exited"])
async def test_stopping_what_does_not_run_changes_nothing(
    engine: EngineUnderTest, runtime: Runtime, state: str
) -> None:
    spec = engine.spec("a")
    if state != "absent":
        await brought_to(state, runtime, spec)
    before = await runtime.inspect(spec.name)
    await runtime.stop(spec.name, grace_s=1)
    assert await runtime.inspect(spec.name) == before


@pytest.mark.parametrize("state", ["absent", *STATES])
async def test_a_removed_sandbox_leaves_nothing(
    engine: EngineUnderTest, runtime: Runtime, state: str
) -> None:
    spec = engine.spec("a")
    if state != "absent":
        await brought_to(state, runtime, spec)
    await runtime.remove(spec.name)
    assert await runtime.inspect(spec.name) is None
    assert await runtime.list(spec.workspace) == []
    assert engine.leftovers(spec.name) == []
    assert list(spec.socket_dir.iterdir()) == []


async def test_what_a_killed_create_left_is_forgotten(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    engine.half_make(spec)
    await runtime.forget(spec.workspace)
    assert engine.leftovers(spec.name) == []
    await runtime.forget(spec.workspace)


async def test_forgetting_leaves_sandboxes_as_they_are(engine: EngineUnderTest, runtime: Runtime) -> None:
    specs = [engine.spec("a"), engine.spec("b"), engine.spec("c")]
    for spec, state in zip(specs, STATES, strict=True):
        await brought_to(state, runtime, spec)
    await runtime.forget(engine.base.workspace)
    assert [await state_of(runtime, spec) for spec in specs] == [SandboxState(state) for state in STATES]
    await runtime.start(specs[0].name)
    assert await state_of(runtime, specs[0]) is SandboxState.RUNNING


async def test_the_routers_address_is_the_same_before_and_after(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    spec = engine.spec("a")
    before = await runtime.router_host(spec.workspace)
    ipaddress.ip_address(before)
    await brought_to("running", runtime, spec)
    assert await runtime.router_host(spec.workspace) == before


async def test_a_removed_name_is_free_again(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await brought_to("running", runtime, spec)
    await runtime.remove(spec.name)
    await brought_to("running", runtime, spec)
    assert await state_of(runtime, spec) is SandboxState.RUNNING


async def test_a_workspace_lists_its_own_sandboxes_by_name(engine: EngineUnderTest, runtime: Runtime) -> None:
    first, second = engine.spec("b"), engine.spec("a")
    other = engine.spec("c", workspace=f"{engine.base.workspace}-other")
    for spec in (first, second, other):
        await create(runtime, spec)
    await runtime.start(first.name)
    listed = [(each.name, each.state) for each in await runtime.list(first.workspace)]
    assert listed == [(second.name, SandboxState.CREATED), (first.name, SandboxState.RUNNING)]


async def test_another_runtime_object_finds_and_ends_a_sandbox(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    spec = engine.spec("a")
    await brought_to("running", runtime, spec)
    other = engine.open_runtime()
    assert await other.inspect(spec.name) == await runtime.inspect(spec.name)
    await other.stop(spec.name, grace_s=2)
    await other.aclose()
    assert await state_of(runtime, spec) is SandboxState.EXITED


async def test_events_tell_of_start_death_and_removal(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    listener = engine.open_runtime()
    async with events_of(listener, spec.workspace) as events:
        await create(runtime, spec)
        await runtime.start(spec.name)
        await events.wait_for(RuntimeEventKind.STARTED, spec.name)
        await runtime.stop(spec.name, grace_s=2)
        died = await events.wait_for(RuntimeEventKind.DIED, spec.name)
        sandbox = await runtime.inspect(spec.name)
        assert sandbox is not None
        assert died.exit_code == sandbox.exit_code
        await runtime.remove(spec.name)
        await events.wait_for(RuntimeEventKind.REMOVED, spec.name)
    await listener.aclose()


async def test_events_of_another_workspace_are_not_told(engine: EngineUnderTest, runtime: Runtime) -> None:
    own, other = engine.spec("a"), engine.spec("b", workspace=f"{engine.base.workspace}-other")
    async with events_of(runtime, own.workspace) as events:
        for spec in (other, own):
            await brought_to("running", runtime, spec)
        told = await events.next()
        assert told.name == own.name


async def test_logs_of_nobody_are_an_error(engine: EngineUnderTest, runtime: Runtime) -> None:
    with pytest.raises(PloinkyError) as refused:
        _ = [chunk async for chunk in runtime.logs(f"{engine.base.name}-nobody")]
    assert refused.value.code == errors.SANDBOX_NOT_FOUND


async def test_a_sandbox_that_never_ran_has_an_empty_log(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    assert [chunk async for chunk in runtime.logs(spec.name)] == []


async def test_eight_sandboxes_at_once_do_not_disturb_each_other(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    specs = [engine.spec(f"n{number}") for number in range(8)]
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for spec in specs:
                tasks.start_soon(brought_to, "running", runtime, spec)
        listed = await runtime.list(engine.base.workspace)
        assert [each.state for each in listed] == [SandboxState.RUNNING] * 8
        async with anyio.create_task_group() as tasks:
            for spec in specs:
                tasks.start_soon(runtime.remove, spec.name)
    assert [found for spec in specs for found in engine.leftovers(spec.name)] == []


async def test_starting_from_two_sides_starts_once(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    other = engine.open_runtime()
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.start, spec.name)
            tasks.start_soon(other.start, spec.name)
    await other.aclose()
    assert await state_of(runtime, spec) is SandboxState.RUNNING


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.01, 0.05])
async def test_a_cancelled_start_can_be_undone_and_done(
    engine: EngineUnderTest, runtime: Runtime, after_s: float
) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    with anyio.move_on_after(after_s):
        await runtime.start(spec.name)
    await runtime.remove(spec.name)
    assert engine.leftovers(spec.name) == []
    await brought_to("running", runtime, spec)
    assert await state_of(runtime, spec) is SandboxState.RUNNING


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.05])
async def test_a_cancelled_create_leaves_all_or_nothing(
    engine: EngineUnderTest, runtime: Runtime, after_s: float
) -> None:
    spec = engine.spec("a")
    with anyio.move_on_after(after_s):
        await create(runtime, spec)
    assert await state_of(runtime, spec) in (None, SandboxState.CREATED)
    await runtime.remove(spec.name)
    assert engine.leftovers(spec.name) == []
