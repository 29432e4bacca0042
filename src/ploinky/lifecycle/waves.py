"""Many agents: waves of the ``enable`` graph, side by side inside a wave, backwards for stopping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit, Events, as_events
from ploinky.lifecycle.failures import dependency_failed
from ploinky.lifecycle.options import STOP_GRACE_S, StartOptions, usual_options
from ploinky.lifecycle.planner import effective_config
from ploinky.lifecycle.records import move
from ploinky.lifecycle.starting import start
from ploinky.lifecycle.stopping import remove, stop
from ploinky.manifest.graph import Edge, plan_waves
from ploinky.wire.events import Failure
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState

_STARTS_PER_CPU = 3  # a start waits more than it works
_STOPS_AT_ONCE = 8
Graph = Mapping[str, tuple[Edge, ...]]
Verb = Callable[[str, Emit], Awaitable[None]]


def start_waves(ctx: LifecycleContext, keys: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The waves in which the agents and all they ``enable`` (if enabled here) start.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. CycleError: showing the circle.
    """
    return plan_waves(_graph(ctx, keys))


def start_agents(ctx: LifecycleContext, keys: Collection[str], options: StartOptions | None = None) -> Events:
    """Start agents and their dependencies; a Failure is yielded per failed agent, the rest goes on.

    Raises:
        PloinkyError: the agent's own error if one failed by itself; AGENTS_FAILED if several did.
        NotFoundError: AGENT_NOT_ENABLED. CycleError: showing the circle.
    """
    return as_events(partial(_start_all, ctx, tuple(keys), options or usual_options(ctx.settings)))


def stop_agents(ctx: LifecycleContext, keys: Collection[str], *, grace_s: float = STOP_GRACE_S) -> Events:
    """Stop agents, those that others need last.

    Raises:
        PloinkyError: as ``start_agents`` does.
    """
    verb = partial(_stop_one, ctx, grace_s)
    return as_events(partial(_backwards, ctx, tuple(keys), verb))


def remove_agents(ctx: LifecycleContext, keys: Collection[str], *, grace_s: float = STOP_GRACE_S) -> Events:
    """Stop agents and remove their sandboxes; they stay enabled.

    Raises:
        PloinkyError: as ``start_agents`` does.
    """
    verb = partial(_remove_one, ctx, grace_s)
    return as_events(partial(_backwards, ctx, tuple(keys), verb))


@dataclass
class _Outcome:
    """Who failed, and by whose fault. ``errors`` keeps those that failed by themselves."""

    causes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, PloinkyError] = field(default_factory=dict)

    def raise_if_any(self, verb: str) -> None:
        """Raises:
        PloinkyError: the one error, or AGENTS_FAILED naming all.
        """
        if len(self.errors) == 1:
            raise next(iter(self.errors.values()))
        if self.errors:
            names = ", ".join(self.errors)
            also = sorted(set(self.causes) - set(self.errors))
            more = f" Not started because of them: {', '.join(also)}." if also else ""
            raise PloinkyError(
                "AGENTS_FAILED",
                f"{len(self.errors)} agents could not be {verb}: {names}.{more}",
                hint="See what happened to each: ploinky status",
                details={"agents": names},
            )


async def _start_all(ctx: LifecycleContext, keys: tuple[str, ...], options: StartOptions, emit: Emit) -> None:
    edges = await anyio.to_thread.run_sync(_graph, ctx, keys)
    outcome = _Outcome()
    limit = anyio.CapacityLimiter(ctx.settings.start.parallel or _STARTS_PER_CPU * ctx.cpus)
    for wave in plan_waves(edges):
        async with anyio.create_task_group() as tasks:
            for key in wave:
                cause = _failed_need(edges[key], outcome)
                if cause is not None:
                    await _not_started(ctx, key, cause, outcome, emit)
                else:
                    work = partial(start, ctx, key, options)
                    tasks.start_soon(_guarded, key, work, limit, outcome, emit)
    outcome.raise_if_any("started")


async def _not_started(ctx: LifecycleContext, key: str, cause: str, outcome: _Outcome, emit: Emit) -> None:
    """An agent that already runs goes on running; any other is FAILED, with the cause."""
    outcome.causes[key] = cause
    error = dependency_failed(key, cause)
    if ctx.registry.require(key).state is not AgentState.RUNNING:
        await move(ctx, key, AgentState.FAILED, error.message, emit=emit)
    await emit(Failure(code=error.code, message=error.message, hint=error.hint, agent=key))


async def _backwards(ctx: LifecycleContext, keys: tuple[str, ...], verb: Verb, emit: Emit) -> None:
    edges = await anyio.to_thread.run_sync(partial(_graph, ctx, keys, closure=False))
    outcome = _Outcome()
    limit = anyio.CapacityLimiter(_STOPS_AT_ONCE)
    for wave in reversed(_waves_or_one(edges)):
        async with anyio.create_task_group() as tasks:
            for key in reversed(wave):
                tasks.start_soon(_guarded, key, partial(verb, key), limit, outcome, emit)
    outcome.raise_if_any("stopped")


def _waves_or_one(edges: Graph) -> tuple[tuple[str, ...], ...]:
    """Stopping must work whatever the manifests say by now: a circle has no order."""
    try:
        return plan_waves(edges)
    except PloinkyError:
        return (tuple(edges),)


async def _guarded(
    key: str,
    work: Callable[[Emit], Awaitable[None]],
    limit: anyio.CapacityLimiter,
    outcome: _Outcome,
    emit: Emit,
) -> None:
    async with limit:
        try:
            await work(emit)
        except PloinkyError as error:
            outcome.errors[key] = error
            outcome.causes[key] = key
            await emit(Failure(code=error.code, message=error.message, hint=error.hint, agent=key))


def _failed_need(edges: Iterable[Edge], outcome: _Outcome) -> str | None:
    """The agent by whose fault one that these edges belong to cannot start."""
    return next((outcome.causes[edge.target] for edge in edges if _blocks(edge, outcome)), None)


def _blocks(edge: Edge, outcome: _Outcome) -> bool:
    return edge.blocking and edge.target in outcome.causes


def _graph(ctx: LifecycleContext, keys: Collection[str], *, closure: bool = True) -> Graph:
    """The edges of the agents and, with ``closure``, of all that they enable and that is enabled here."""
    entries = ctx.registry.read()
    edges: dict[str, tuple[Edge, ...]] = {}
    pending = [ctx.registry.require(key).key for key in keys]
    while pending:
        key = pending.pop(0)
        if key in edges:
            continue
        edges[key] = _edges_of(ctx, entries, key)
        if closure:
            pending += [edge.target for edge in edges[key]]
    return edges


def _edges_of(ctx: LifecycleContext, entries: Mapping[str, RegistryEntry], key: str) -> tuple[Edge, ...]:
    """One agent's edges; a manifest that cannot be read has none here, its start will tell why."""
    try:
        config = effective_config(ctx, entries[key])
    except PloinkyError:
        return ()
    return tuple(Edge(ref.key, not ref.no_wait) for ref in config.enable if ref.key in entries)


async def _stop_one(ctx: LifecycleContext, grace_s: float, key: str, emit: Emit) -> None:
    await stop(ctx, key, grace_s, emit)


async def _remove_one(ctx: LifecycleContext, grace_s: float, key: str, emit: Emit) -> None:
    await remove(ctx, key, grace_s, emit)
