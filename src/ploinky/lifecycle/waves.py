"""Many agents started: waves of the ``enable`` graph, side by side inside a wave. ``backwards`` stops."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

import anyio

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.crew import Outcome, guarded, read_graph
from ploinky.lifecycle.emitting import Emit, Events, as_events
from ploinky.lifecycle.failures import dependency_failed
from ploinky.lifecycle.options import StartOptions, usual_options
from ploinky.lifecycle.records import move
from ploinky.lifecycle.starting import start
from ploinky.manifest.graph import Edge, plan_waves
from ploinky.wire.events import Failure
from ploinky.workspace.states import AgentState

_STARTS_PER_CPU = 3  # a start waits more than it works


def start_waves(ctx: LifecycleContext, keys: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The waves in which the agents and all they ``enable`` (if enabled here) start.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. CycleError: showing the circle.
    """
    return plan_waves(read_graph(ctx, keys))


def start_agents(ctx: LifecycleContext, keys: Collection[str], options: StartOptions | None = None) -> Events:
    """Start agents and their dependencies; a Failure is yielded per failed agent, the rest goes on.

    Raises:
        PloinkyError: the agent's own error if one failed by itself; AGENTS_FAILED if several did.
        NotFoundError: AGENT_NOT_ENABLED. CycleError: showing the circle.
    """
    return as_events(partial(_start_all, ctx, tuple(keys), options or usual_options(ctx.settings)))


async def _start_all(ctx: LifecycleContext, keys: tuple[str, ...], options: StartOptions, emit: Emit) -> None:
    edges = await anyio.to_thread.run_sync(read_graph, ctx, keys)
    outcome = Outcome()
    limit = anyio.CapacityLimiter(ctx.settings.start.parallel or _STARTS_PER_CPU * ctx.cpus)
    for wave in plan_waves(edges):
        async with anyio.create_task_group() as tasks:
            for key in wave:
                cause = _failed_need(edges[key], outcome)
                if cause is not None:
                    await _not_started(ctx, key, cause, outcome, emit)
                else:
                    work = partial(start, ctx, key, options)
                    tasks.start_soon(guarded, key, work, limit, outcome, emit)
    outcome.raise_if_any("started")


async def _not_started(ctx: LifecycleContext, key: str, cause: str, outcome: Outcome, emit: Emit) -> None:
    """An agent that already runs goes on running; any other is FAILED, with the cause."""
    outcome.causes[key] = cause
    error = dependency_failed(key, cause)
    if ctx.registry.require(key).state is not AgentState.RUNNING:
        await move(ctx, key, AgentState.FAILED, error.message, emit=emit)
    await emit(Failure(code=error.code, message=error.message, hint=error.hint, agent=key))


def _failed_need(edges: Iterable[Edge], outcome: Outcome) -> str | None:
    """The agent by whose fault one that these edges belong to cannot start."""
    return next((outcome.causes[edge.target] for edge in edges if _blocks(edge, outcome)), None)


def _blocks(edge: Edge, outcome: Outcome) -> bool:
    return edge.blocking and edge.target in outcome.causes
