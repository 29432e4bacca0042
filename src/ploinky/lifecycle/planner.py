"""The only place where manifest, workspace and secrets become a ``RunSpec`` and a ``LaunchRequest``."""

from __future__ import annotations

from dataclasses import dataclass

from ploinky.channel.client import LaunchRequest
from ploinky.lifecycle.context import LifecycleContext
from ploinky.manifest import EffectiveConfig
from ploinky.repos.store import AgentLocation
from ploinky.runtimes.spec import RunSpec
from ploinky.secrets.resolve import ResolvedEnvironment
from ploinky.workspace.registry import RegistryEntry


@dataclass(frozen=True)
class StartPlan:
    """All that a start needs, decided before anything is made.

    ``launch`` lacks the environment that the image itself brings, which is read from the sandbox.
    ``install_digest`` is the hash of what steps 3 to 11 make: spec, hooks, scripts, dependencies.
    """

    key: str
    entry: RegistryEntry
    location: AgentLocation
    config: EffectiveConfig
    environment: ResolvedEnvironment
    spec: RunSpec
    launch: LaunchRequest
    install_digest: str
    notices: tuple[str, ...]


def plan_agent(ctx: LifecycleContext, entry: RegistryEntry) -> StartPlan:
    """Plan the start of an enabled agent. Reads files, writes none.

    Raises:
        NotFoundError: AGENT_NOT_FOUND, MANIFEST_NOT_FOUND, HOOK_SCRIPT_MISSING.
        NeedsApprovalError: MISSING_SECRETS, naming all.
        PloinkyError: a manifest's errors, PROFILE_NOT_FOUND, SANDBOX_NEEDS_ENGINE, PATH_ESCAPES.
    """
    raise NotImplementedError
