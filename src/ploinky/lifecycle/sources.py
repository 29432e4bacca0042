"""Where an enabled agent comes from, and what its manifest says under the active profile."""

from __future__ import annotations

from pathlib import Path

from ploinky.lifecycle.context import LifecycleContext
from ploinky.manifest.effective import effective
from ploinky.manifest.refs import AgentRef, RunMode
from ploinky.manifest.values import EffectiveConfig
from ploinky.repos.find import AgentLocation
from ploinky.workspace.exposures import Exposures
from ploinky.workspace.registry import RegistryEntry


def locate(ctx: LifecycleContext, entry: RegistryEntry) -> AgentLocation:
    """The folder that an enabled agent's manifest and code come from; in devel mode its project path.

    Raises:
        NotFoundError: AGENT_NOT_FOUND.
    """
    if entry.run_mode is RunMode.DEVEL:
        return AgentLocation(entry.repo_name, entry.agent_name, Path(entry.project_path))
    return ctx.repos.find_agent(AgentRef(agent=entry.agent_name, repo=entry.repo_name))


def effective_config(ctx: LifecycleContext, entry: RegistryEntry) -> EffectiveConfig:
    """The manifest of an enabled agent with the active profile applied."""
    manifest = ctx.repos.read_manifest(locate(ctx, entry))
    return Exposures(ctx.layout).applied(effective(manifest, ctx.profile.name, agent=entry.key))
