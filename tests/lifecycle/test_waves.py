"""Many agents: who waits for whom, who fails with whom, and the way back."""

from __future__ import annotations

import time

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.backwards import remove_agents, stop_agents
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.waves import start_agents, start_waves
from ploinky.wire.events import Event, Failure, StateChanged
from ploinky.workspace.states import AgentState, Desired
from tests.lifecycle.stage import Stage, collect

pytestmark = pytest.mark.bubblewrap


def reached(events: list[Event], state: str) -> list[str]:
    """Agents in the order in which they entered a state."""
    return [event.agent for event in events if isinstance(event, StateChanged) and event.state == state]


async def start_what_can(stage: Stage, keys: list[str]) -> tuple[list[Event], PloinkyError]:
    events: list[Event] = []
    try:
        async for event in start_agents(stage.ctx, keys):
            events.append(event)  # noqa: PERF401 (what came before the error counts)
    except PloinkyError as error:
        return events, error
    raise AssertionError(f"{keys} all started")


async def test_an_agent_starts_after_all_it_needs(stage: Stage) -> None:
    stage.add("top", {"enable": ["middle", "side"]})
    stage.add("middle", {"enable": ["base"]})
    stage.add("side", {})
    stage.add("base", {})
    await stage.enable("top")
    assert start_waves(stage.ctx, ["top"]) == (("side", "base"), ("middle",), ("top",))
    events = await collect(start_agents(stage.ctx, ["top"]))
    order = reached(events, "RUNNING")
    assert set(order[:2]) == {"side", "base"}
    assert order[2:] == ["middle", "top"]
    middle_creating = events.index(
        next(e for e in events if isinstance(e, StateChanged) and e.agent == "middle")
    )
    base_running = max(i for i, e in enumerate(events) if isinstance(e, StateChanged) and e.agent == "base")
    assert middle_creating > base_running


async def test_a_no_wait_edge_puts_nothing_in_order(stage: Stage) -> None:
    stage.add("top", {"enable": ["slow no-wait"]})
    stage.add("slow", {"install": "sleep 0.5"})
    await stage.enable("top")
    assert start_waves(stage.ctx, ["top"]) == (("top", "slow"),)
    events = await collect(start_agents(stage.ctx, ["top"]))
    assert reached(events, "RUNNING") == ["top", "slow"]


async def test_a_circle_of_no_wait_edges_is_none(stage: Stage) -> None:
    stage.add("one", {"enable": ["two"]})
    stage.add("two", {"enable": ["one no-wait"]})
    await stage.enable("one")
    assert start_waves(stage.ctx, ["two"]) == (("two",), ("one",))


async def test_a_failed_agent_fails_those_that_need_it_and_nobody_else(stage: Stage) -> None:
    stage.add("top", {"enable": ["middle"]})
    stage.add("middle", {"enable": ["broken"]})
    stage.add("broken", {"install": "exit 9"})
    stage.add("other", {})
    for name in ("top", "other"):
        await stage.enable(name)
    events, error = await start_what_can(stage, ["top", "other"])
    assert error.code == "HOOK_FAILED"
    failures = {event.agent: event for event in events if isinstance(event, Failure)}
    assert set(failures) == {"broken", "middle", "top"}
    assert "'broken'" in failures["top"].message
    assert failures["top"].code == failures["middle"].code == "DEPENDENCY_FAILED"
    assert {key: stage.entry(key).state for key in ("top", "middle", "broken", "other")} == {
        "top": AgentState.FAILED,
        "middle": AgentState.FAILED,
        "broken": AgentState.FAILED,
        "other": AgentState.RUNNING,
    }


async def test_several_failures_are_told_together(stage: Stage) -> None:
    for name in ("one", "two"):
        stage.add(name, {"install": "exit 9"})
        await stage.enable(name)
    events, error = await start_what_can(stage, ["one", "two"])
    assert error.code == "AGENTS_FAILED"
    assert "one" in error.message
    assert "two" in error.message
    assert {event.agent for event in events if isinstance(event, Failure)} == {"one", "two"}


async def test_a_failed_no_wait_agent_does_not_fail_the_one_that_names_it(stage: Stage) -> None:
    stage.add("top", {"enable": ["base", "broken no-wait"]})
    stage.add("base", {})
    stage.add("broken", {"install": "exit 9"})
    await stage.enable("top")
    assert start_waves(stage.ctx, ["top"]) == (("base", "broken"), ("top",))
    await start_what_can(stage, ["top"])
    assert stage.entry("top").state is AgentState.RUNNING


async def test_agents_of_a_wave_start_side_by_side(stage: Stage) -> None:
    names = ["one", "two"]
    for name in names:
        meet = "until [ -e /shared/one ] && [ -e /shared/two ]; do sleep 0.02; done"
        stage.add(name, {"install": [f"touch /shared/{name}", meet]})
        await stage.enable(name)
    with anyio.fail_after(30):
        await collect(start_agents(stage.ctx, names))
    assert all(stage.entry(name).state is AgentState.RUNNING for name in names)


async def test_stopping_goes_the_other_way_round(stage: Stage) -> None:
    stage.add("top", {"enable": ["middle"]})
    stage.add("middle", {"enable": ["base"]})
    stage.add("base", {})
    await stage.enable("top")
    await collect(start_agents(stage.ctx, ["top"]))
    events = await collect(stop_agents(stage.ctx, ["base", "middle", "top"]))
    assert reached(events, "STOPPED") == ["top", "middle", "base"]
    assert {entry.desired for entry in stage.ctx.registry.read().values()} == {Desired.STOPPED}


async def test_removing_all_leaves_no_sandbox(stage: Stage) -> None:
    for name in ("one", "two", "three"):
        stage.add(name, {"agent": "sleep 1000"})
        await stage.enable(name)
    await collect(start_agents(stage.ctx, ["one", "two"]))
    await collect(remove_agents(stage.ctx, ["one", "two", "three"]))
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert {entry.state for entry in stage.ctx.registry.read().values()} == {AgentState.ENABLED}


async def test_a_manifest_that_broke_does_not_keep_its_agent_from_being_stopped(stage: Stage) -> None:
    folder = stage.add("broke", {"agent": "sleep 1000"})
    await stage.enable("broke")
    await collect(start_agent(stage.ctx, "broke"))
    (folder / "manifest.json").write_text("{")
    await collect(stop_agents(stage.ctx, ["broke"]))
    assert stage.entry("broke").state is AgentState.STOPPED


async def test_an_agent_that_is_not_enabled_is_an_error_before_anything_starts(stage: Stage) -> None:
    stage.add("one", {})
    await stage.enable("one")
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agents(stage.ctx, ["one", "onne"]))
    assert caught.value.code == "AGENT_NOT_ENABLED"
    assert stage.entry("one").state is AgentState.ENABLED


async def test_starting_grows_far_slower_than_the_number_of_agents(stage: Stage) -> None:
    names = [f"agent{number}" for number in range(8)]
    for name in names:
        stage.add(name, {"install": "sleep 0.4"})
        await stage.enable(name)
    began = time.monotonic()
    await collect(start_agents(stage.ctx, names[:1]))
    one_s = time.monotonic() - began
    began = time.monotonic()
    await collect(start_agents(stage.ctx, names[1:], StartOptions()))
    assert time.monotonic() - began < 7 * one_s
