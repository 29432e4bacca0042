"""Many agents stopped or removed: the waves of the ``enable`` graph, the last one first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.crew import Graph, Outcome, guarded, read_graph
from ploinky.lifecycle.emitting import Emit, Events, as_events
from ploinky.lifecycle.options import STOP_GRACE_S
from ploinky.lifecycle.stopping import remove, stop
from ploinky.manifest.graph import plan_waves

_STOPS_AT_ONCE = 8
Verb = Callable[[str, Emit], Awaitable[None]]


def stop_agents(ctx: LifecycleContext, keys: Collection[str], *, grace_s: float = STOP_GRACE_S) -> Events:
    """Stop agents, those that others need last.

    Raises:
        PloinkyError: as ``waves.start_agents`` does.
    """
    verb = partial(_stop_one, ctx, grace_s)
    return as_events(partial(_backwards, ctx, tuple(keys), verb))


def remove_agents(ctx: LifecycleContext, keys: Collection[str], *, grace_s: float = STOP_GRACE_S) -> Events:
    """Stop agents and remove their sandboxes; they stay enabled.

    Raises:
        PloinkyError: as ``waves.start_agents`` does.
    """
    verb = partial(_remove_one, ctx, grace_s)
    return as_events(partial(_backwards, ctx, tuple(keys), verb))


async def _backwards(ctx: LifecycleContext, keys: tuple[str, ...], verb: Verb, emit: Emit) -> None:
    edges = await anyio.to_thread.run_sync(partial(read_graph, ctx, keys, closure=False))
    outcome = Outcome()
    limit = anyio.CapacityLimiter(_STOPS_AT_ONCE)
    for wave in reversed(_waves_or_one(edges)):
        async with anyio.create_task_group() as tasks:
            for key in reversed(wave):
                tasks.start_soon(guarded, key, partial(verb, key), limit, outcome, emit)
    outcome.raise_if_any("stopped")


def _waves_or_one(edges: Graph) -> tuple[tuple[str, ...], ...]:
    """Stopping must work whatever the manifests say by now: a circle has no order."""
    try:
        return plan_waves(edges)
    except PloinkyError:
        return (tuple(edges),)


async def _stop_one(ctx: LifecycleContext, grace_s: float, key: str, emit: Emit) -> None:
    await stop(ctx, key, grace_s, emit)


async def _remove_one(ctx: LifecycleContext, grace_s: float, key: str, emit: Emit) -> None:
    await remove(ctx, key, grace_s, emit)
