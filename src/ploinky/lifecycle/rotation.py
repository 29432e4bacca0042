"""Which running agents were given a variable, and how they are started anew one after the other.

Each agent keeps the profile it was started with; those that others need come first, and one is ready before
the next is stopped. Nothing of an agent is installed again: a secret is no part of its sandbox.
"""

from __future__ import annotations

from functools import partial

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit, Events, as_events
from ploinky.lifecycle.options import STOP_GRACE_S, StartOptions
from ploinky.lifecycle.planner import resolve_agent
from ploinky.lifecycle.starting import start
from ploinky.lifecycle.stopping import stop
from ploinky.lifecycle.waves import start_waves
from ploinky.wire.events import Failure
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState


def running_users(ctx: LifecycleContext, name: str) -> tuple[str, ...]:
    """Running agents whose environment ``name`` is part of, by itself or by an alias, in order of start.

    An agent whose environment cannot be resolved by now counts if its manifest names the variable.

    Raises:
        CycleError: showing the circle.
    """
    entries = ctx.registry.read()
    running = [key for key, entry in entries.items() if entry.state is AgentState.RUNNING]
    users = {key for key in running if _uses(ctx, entries[key], name)}
    ordered = [key for wave in start_waves(ctx, users) for key in wave] if users else []
    return tuple(key for key in ordered if key in users)


def restart_each(ctx: LifecycleContext, keys: tuple[str, ...], options: StartOptions) -> Events:
    """Stop and start the agents one by one; a Failure is yielded for each that fails, the rest goes on.

    Raises:
        PloinkyError: the first agent's error, after all were tried.
    """
    return as_events(partial(_restart_each, ctx, keys, options))


async def _restart_each(
    ctx: LifecycleContext, keys: tuple[str, ...], options: StartOptions, emit: Emit
) -> None:
    first: PloinkyError | None = None
    for key in keys:
        own = ctx.as_last_started(ctx.registry.require(key))
        try:
            await anyio.to_thread.run_sync(resolve_agent, own, ctx.registry.require(key))
            await stop(own, key, STOP_GRACE_S, emit)
            await start(own, key, options, emit)
        except PloinkyError as error:
            first = first or error
            await emit(Failure(code=error.code, message=error.message, hint=error.hint, agent=key))
    if first is not None:
        raise first


def _uses(ctx: LifecycleContext, entry: RegistryEntry, name: str) -> bool:
    try:
        agent = resolve_agent(ctx.as_last_started(entry), entry)
    except PloinkyError:
        return name in entry.profile_config.secrets_loaded
    return name in agent.environment.used
