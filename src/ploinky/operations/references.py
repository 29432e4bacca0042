"""Which enabled agent a word means."""

from __future__ import annotations

from ploinky.manifest import AgentRef
from ploinky.workspace.registry import Registry, RegistryEntry, not_enabled


def find_enabled(registry: Registry, ref: AgentRef) -> RegistryEntry | None:
    """The enabled agent that ``ref`` names: by its alias, its key, or its name in the repository given."""
    entries = registry.read()
    found = entries.get(ref.alias or ref.agent)
    if found is not None and ref.repo in (None, found.repo_name):
        return found
    if ref.alias is not None:
        return None
    matching = [
        entry
        for entry in entries.values()
        if entry.agent_name == ref.agent and ref.repo in (None, entry.repo_name)
    ]
    return matching[0] if len(matching) == 1 else None


def require_enabled(registry: Registry, ref: AgentRef) -> RegistryEntry:
    """Like ``find_enabled``.

    Raises:
        NotFoundError: ``AGENT_NOT_ENABLED`` with a did-you-mean.
    """
    found = find_enabled(registry, ref)
    if found is None:
        raise not_enabled(ref.alias or ref.agent, registry.read())
    return found
