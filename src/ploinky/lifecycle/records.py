"""What the lifecycle writes into the registry. Every change is one locked update, off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio.to_thread

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit
from ploinky.runtimes.protocol import Sandbox
from ploinky.wire.events import StateChanged
from ploinky.workspace.registry import Bind, BoundPort, ProfileConfig, RegistryEntry, not_enabled
from ploinky.workspace.states import AgentState

if TYPE_CHECKING:
    from ploinky.lifecycle.planner import StartPlan

Change = Callable[[RegistryEntry], RegistryEntry]


async def change_entry(ctx: LifecycleContext, key: str, change: Change) -> RegistryEntry:
    """Replace one entry by what ``change`` makes of it.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED.
    """

    def update(entries: dict[str, RegistryEntry]) -> RegistryEntry:
        if key not in entries:
            raise not_enabled(key, entries)
        entries[key] = change(entries[key])
        return entries[key]

    return await anyio.to_thread.run_sync(ctx.registry.update, update)


async def move(
    ctx: LifecycleContext, key: str, state: AgentState, reason: str = "", *, emit: Emit | None = None
) -> RegistryEntry:
    """Move an agent to ``state`` and tell it; nothing is told if it is there already."""
    before: list[AgentState] = []

    def change(entry: RegistryEntry) -> RegistryEntry:
        before.append(entry.state)
        return entry.moved_to(state, reason)

    entry = await change_entry(ctx, key, change)
    if emit is not None and before[0] is not state:
        await emit(StateChanged(agent=key, state=state.value, reason=reason))
    return entry


def planned(plan: StartPlan, runtime: str) -> Change:
    """Note what an agent is made from."""
    from ploinky.lifecycle.variables import AGENT_TOKEN  # the stop of an agent plans nothing

    spec, environment = plan.spec, plan.environment
    own = {entry.name for entry in plan.config.env}
    public = {name: value for name, value in environment.public_values.items() if name in own}

    def change(entry: RegistryEntry) -> RegistryEntry:
        return entry.model_copy(
            update={
                "container_image": spec.image,
                "container_name": spec.name,
                "profile": plan.config.profile,
                "profile_config": ProfileConfig(
                    env=public, secrets_loaded=tuple(sorted(environment.secret_names - {AGENT_TOKEN}))
                ),
                "binds": tuple(
                    Bind(source=str(mount.source), target=mount.target, ro=mount.read_only)
                    for mount in spec.mounts
                ),
                "runtime": runtime,
                "spec_digest": spec.digest,
            }
        )

    return change


def made(sandbox: Sandbox | None, install_digest: str | None) -> Change:
    """Note the sandbox and what its installs came from; None: they are not done yet."""

    def change(entry: RegistryEntry) -> RegistryEntry:
        update: dict[str, object] = {"install_digest": install_digest}
        if sandbox is not None:
            update["container_id"] = sandbox.id
        return entry.model_copy(update=update)

    return change


def without_sandbox(entry: RegistryEntry) -> RegistryEntry:
    """Note that the agent has no sandbox any more."""
    nothing: dict[str, object] = {
        "container_id": None,
        "install_digest": None,
        "spec_digest": None,
        "ports": (),
    }
    return entry.model_copy(update=nothing)


def bound(sandbox: Sandbox) -> Change:
    """Note the ports as the engine bound them."""
    ports = tuple(
        BoundPort(
            container_port=port.container_port,
            host_port=port.host_port,
            host_ip=port.host_ip,
            protocol=port.protocol,
        )
        for port in sandbox.ports
    )
    return lambda entry: entry.model_copy(update={"ports": ports, "container_id": sandbox.id})
