"""Stop an agent, or remove its sandbox, whatever state a former command left behind."""

from __future__ import annotations

import contextlib
from functools import partial

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit, Events, as_events
from ploinky.lifecycle.journal import agent_lock
from ploinky.lifecycle.options import STOP_GRACE_S
from ploinky.lifecycle.records import change_entry, move, without_sandbox
from ploinky.lifecycle.recovery import recover
from ploinky.lifecycle.sandboxes import require_same_runtime, sandbox_name, socket_folder
from ploinky.runtimes.protocol import SandboxState
from ploinky.runtimes.spec import ROUTER_SOCKET_NAME
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState, Desired

LOCK_TIMEOUT_S = 60.0


def stop_agent(ctx: LifecycleContext, key: str, *, grace_s: float = STOP_GRACE_S) -> Events:
    """Stop the agent and record that it should stay stopped; no-op for one that does not run.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. DeadlineError: AGENT_BUSY.
    """
    return as_events(partial(stop, ctx, key, grace_s))


def remove_agent(ctx: LifecycleContext, key: str, *, grace_s: float = STOP_GRACE_S) -> Events:
    """Stop the agent and remove its sandbox with all that was made for it; it stays enabled.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. DeadlineError: AGENT_BUSY.
    """
    return as_events(partial(remove, ctx, key, grace_s))


async def stop(ctx: LifecycleContext, key: str, grace_s: float, emit: Emit) -> None:
    """What ``stop_agent`` does."""
    await _want_stopped(ctx, key)
    async with agent_lock(ctx.layout, key, timeout_s=LOCK_TIMEOUT_S):
        await recover(ctx, key, emit)
        await _stop_sandbox(ctx, key, grace_s)
        entry = await _want_stopped(ctx, key)
        if entry.state not in (AgentState.ENABLED, AgentState.STOPPED):
            await move(ctx, key, AgentState.STOPPED, "stopped", emit=emit)


async def remove(ctx: LifecycleContext, key: str, grace_s: float, emit: Emit) -> None:
    """What ``remove_agent`` does."""
    await _want_stopped(ctx, key)
    async with agent_lock(ctx.layout, key, timeout_s=LOCK_TIMEOUT_S):
        await remove_locked(ctx, key, grace_s, emit)


async def remove_locked(ctx: LifecycleContext, key: str, grace_s: float, emit: Emit | None) -> None:
    """Remove the agent's sandbox; the agent's lock is held by the caller."""
    await recover(ctx, key, emit)
    name = await _stop_sandbox(ctx, key, grace_s)
    await ctx.runtime.remove(name)
    folder = socket_folder(ctx, key)
    with contextlib.suppress(OSError):  # the router's door, which ends with the agent
        (folder / ROUTER_SOCKET_NAME).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()

    def forget(entry: RegistryEntry) -> RegistryEntry:
        return without_sandbox(entry).model_copy(update={"desired": Desired.STOPPED})

    await change_entry(ctx, key, forget)
    await move(ctx, key, AgentState.ENABLED, "removed", emit=emit)


async def _stop_sandbox(ctx: LifecycleContext, key: str, grace_s: float) -> str:
    """Stop whatever runs under the agent's name; the name."""
    entry = ctx.registry.require(key)
    require_same_runtime(ctx, entry)
    name = sandbox_name(ctx, entry)
    sandbox = await ctx.runtime.inspect(name)
    if sandbox is not None and sandbox.state is SandboxState.RUNNING:
        await ctx.runtime.stop(name, grace_s=grace_s)
    return name


async def _want_stopped(ctx: LifecycleContext, key: str) -> RegistryEntry:
    """Written before the lock is waited for, so that nobody restarts what is about to be stopped."""

    def change(entry: RegistryEntry) -> RegistryEntry:
        return entry.model_copy(update={"desired": Desired.STOPPED})

    return await change_entry(ctx, key, change)
