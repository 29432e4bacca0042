"""Enable and disable: registry entries, working folders and links."""

from __future__ import annotations

from ploinky.lifecycle.context import LifecycleContext
from ploinky.manifest import AgentRef
from ploinky.workspace.registry import RegistryEntry


async def enable_agent(ctx: LifecycleContext, ref: AgentRef) -> list[RegistryEntry]:
    """Enable the agent and everything its manifest's ``enable`` names, dependencies first.

    Returns the entries of the whole closure, the asked-for agent's last; those that were enabled before
    with the same reference are returned as they are. Nothing is written unless all can be enabled.

    Raises:
        NotFoundError: AGENT_NOT_FOUND, or REPO_NOT_INSTALLED with the ``ploinky add repo`` command.
        PloinkyError: a manifest's errors, DEPENDENCY_CYCLE, ALIAS_IN_USE.
    """
    raise NotImplementedError


async def disable_agent(ctx: LifecycleContext, key: str, *, purge: bool = False) -> None:
    """Stop and remove the agent's sandbox, its links and its entry; with ``purge`` its working folder too.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED.
    """
    raise NotImplementedError
