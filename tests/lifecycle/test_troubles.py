"""Engines that fail, are slow or lose what they held: what is told, and what is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.journal import JournalFile
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.stopping import remove_agent, stop_agent
from ploinky.lifecycle.waves import start_agents
from ploinky.runtimes.fake import FakeEngine, FakeRuntime, Trouble
from ploinky.runtimes.fake_launcher import ProgramCall, ProgramResult
from ploinky.wire.events import StepStarted
from ploinky.workspace.states import AgentState, Desired
from tests.lifecycle.stage import Stage, collect, make_context, plain_environ, short_folder
from tests.lifecycle.test_reconcile import ready, until, watching


async def programs(call: ProgramCall) -> ProgramResult:
    """Commands of agents run until they are ended; everything else succeeds."""
    if call.main:
        await anyio.sleep_forever()
    return ProgramResult()


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine(programs=programs) as made:
        yield made


@pytest.fixture
async def fake(engine: FakeEngine) -> AsyncIterator[Stage]:
    """A fresh workspace over an engine in memory."""
    with short_folder() as folder:
        root = folder / "workspace"
        root.mkdir()
        yield Stage(make_context(root, folder / "run", FakeRuntime(engine), plain_environ()))


async def failure(stage: Stage, key: str) -> PloinkyError:
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, key))
    return caught.value


async def test_an_engine_that_cannot_create_fails_the_agent_and_leaves_nothing(
    fake: Stage, engine: FakeEngine
) -> None:
    fake.add("one", {})
    await fake.enable("one")
    engine.troubles["one"] = Trouble(fail_create="the disk is full")
    error = await failure(fake, "one")
    assert error.code == "CONTAINER_CREATE_FAILED"
    entry = fake.entry("one")
    assert (entry.state, "the disk is full" in entry.state_reason) == (AgentState.FAILED, True)
    assert entry.container_id is None
    assert engine.sandboxes == {}
    assert JournalFile(fake.layout, "one").read() is None


async def test_an_engine_that_cannot_start_removes_what_it_made(fake: Stage, engine: FakeEngine) -> None:
    fake.add("one", {})
    await fake.enable("one")
    engine.troubles["one"] = Trouble(fail_start="no memory")
    assert (await failure(fake, "one")).code == "CONTAINER_START_FAILED"
    assert engine.sandboxes == {}
    engine.troubles.clear()
    await collect(start_agent(fake.ctx, "one"))
    assert fake.entry("one").state is AgentState.RUNNING


async def test_a_start_that_is_given_up_leaves_nothing_half_made(fake: Stage, engine: FakeEngine) -> None:
    fake.add("one", {})
    await fake.enable("one")
    async with aclosing(start_agent(fake.ctx, "one")) as events:
        async for event in events:
            if isinstance(event, StepStarted) and event.step == 6:
                break
    assert engine.sandboxes == {}
    entry = fake.entry("one")
    assert (entry.state, entry.state_reason) == (AgentState.FAILED, "the start was interrupted")
    assert JournalFile(fake.layout, "one").read() is None


async def test_one_agent_that_is_slow_to_create_delays_only_its_own_wave(
    fake: Stage, engine: FakeEngine
) -> None:
    engine.troubles["slow"] = Trouble(create_delay_s=0.5)
    for name in ("slow", "quick"):
        fake.add(name, {})
        await fake.enable(name)
    events = await collect(start_agents(fake.ctx, ["slow", "quick"]))
    order = [event.agent for event in events if isinstance(event, StepStarted) and event.step == 12]
    assert order == ["quick", "slow"]


async def test_at_most_as_many_agents_as_set_start_at_once(fake: Stage, engine: FakeEngine) -> None:
    settings = fake.ctx.settings
    start = settings.start.model_copy(update={"parallel": 2})
    narrow = settings.model_copy(update={"start": start})
    limited = replace(fake, ctx=replace(fake.ctx, read_settings=lambda: narrow))
    names = [f"agent{number}" for number in range(6)]
    for name in names:
        engine.troubles[name] = Trouble(create_delay_s=0.02)
        fake.add(name, {})
        await fake.enable(name)
    running = most = 0
    async for event in start_agents(limited.ctx, names):
        if isinstance(event, StepStarted):
            running += {1: 1}.get(event.step, 0)
            most = max(most, running)
            running -= {12: 1}.get(event.step, 0)
    assert most == 2


async def test_a_sandbox_of_another_runtime_is_not_forgotten(stage: Stage, fake: Stage) -> None:
    stage.add("one", {})
    await stage.enable("one")
    await collect(start_agent(stage.ctx, "one"))
    other = stage.with_runtime(fake.ctx.runtime)
    error = await failure(other, "one")
    assert error.code == "OTHER_RUNTIME"
    assert "--runtime sandbox" in str(error)
    with pytest.raises(PloinkyError, match="made by the runtime 'sandbox'"):
        await collect(stop_agent(other.ctx, "one"))
    await collect(remove_agent(stage.ctx, "one"))
    await collect(start_agent(other.ctx, "one"))
    assert stage.entry("one").runtime == "fake"
    await collect(remove_agent(other.ctx, "one"))


async def test_a_sandbox_that_dies_again_and_again_is_given_up(fake: Stage, engine: FakeEngine) -> None:
    fake.add("one", {"agent": "serve"})
    await fake.enable("one")
    await collect(start_agent(fake.ctx, "one"))
    async with watching(fake, most=3) as reconciler:
        await until(reconciler, "one", ready)
        engine.troubles["one"] = Trouble(fail_start="no memory")
        await engine.die(fake.entry("one").container_name)
        failed = await until(reconciler, "one", lambda s: s is not None and "after 3 restarts" in s.reason)
        assert failed is not None
        assert failed.state is AgentState.FAILED
        assert "no memory" in failed.reason


async def test_what_vanished_and_should_not_run_is_noted(fake: Stage, engine: FakeEngine) -> None:
    fake.add("one", {"agent": "serve"})
    entry = await fake.enable("one")
    await collect(start_agent(fake.ctx, "one"))
    fake.ctx.registry.update(
        lambda entries: entries.update(one=entries["one"].model_copy(update={"desired": Desired.STOPPED}))
    )
    await engine.die(entry.container_name)
    engine.vanish(entry.container_name)
    async with watching(fake) as reconciler:
        status = await until(reconciler, "one", lambda s: s is not None and s.state is AgentState.ENABLED)
    assert status is not None
    assert status.reason == "its sandbox vanished"
    assert fake.entry("one").install_digest is None
