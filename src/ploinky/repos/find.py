"""Find an agent by name in the repositories on disk.

An agent is a folder with ``manifest.json`` directly in a repository's folder. Without a repository's name
the enabled ones are searched, and a name that two of them hold must be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.files import safe_join
from ploinky.base.names import closest, is_name, require_name
from ploinky.repos.predefined import PREDEFINED
from ploinky.workspace.layout import Layout

MANIFEST = "manifest.json"
MCP_CONFIG = "mcp-config.json"  # names an agent's tools, beside its manifest or in its code


@dataclass(frozen=True)
class AgentLocation:
    """An agent on disk; ``folder`` is resolved and lies inside its repository."""

    repo: str
    agent: str
    folder: Path

    @property
    def manifest_path(self) -> Path:
        return self.folder / MANIFEST

    def __str__(self) -> str:
        return f"{self.repo}/{self.agent}"


@dataclass(frozen=True)
class Repositories:
    """The installed repositories' names, and those of them that count as enabled."""

    layout: Layout
    installed: tuple[str, ...]
    enabled: tuple[str, ...]

    def agents_of(self, repo: str) -> Iterator[AgentLocation]:
        """The agents of one installed repository, by name."""
        folder = self.layout.repo(repo)
        for child in sorted(folder.iterdir(), key=lambda each: each.name):
            if is_name(child.name) and (location := self.locate(repo, child.name)) is not None:
                yield location

    def locate(self, repo: str, agent: str) -> AgentLocation | None:
        """The agent, or None if the repository has none; a link that leads out of it counts as none."""
        root = self.layout.repo(repo)
        try:
            folder = safe_join(root, agent)
        except UsageError:
            return None
        found = folder != root.resolve() and (folder / MANIFEST).is_file()
        return AgentLocation(repo, agent, folder) if found else None

    def find(self, agent: str, repo: str | None) -> AgentLocation:
        """The one agent of that name.

        Raises:
            NotFoundError: ``REPO_NOT_INSTALLED``, ``AGENT_NOT_FOUND`` with the nearest name.
            UsageError: ``AMBIGUOUS_AGENT`` with the choices; ``BAD_NAME``.
        """
        require_name(agent, what="an agent")
        if repo is not None and repo not in self.installed:
            raise not_installed(repo, self.installed)
        searched = self.enabled if repo is None else (repo,)
        found = [location for each in searched if (location := self.locate(each, agent)) is not None]
        if len(found) > 1:
            raise _ambiguous(agent, found)
        if not found:
            raise self._not_found(agent, searched)
        return found[0]

    def _not_found(self, agent: str, searched: Sequence[str]) -> PloinkyError:
        where = f"repository '{searched[0]}'" if len(searched) == 1 else "the enabled repositories"
        elsewhere = [repo for repo in self.installed if repo not in searched and self.locate(repo, agent)]
        names = {location.agent for repo in searched for location in self.agents_of(repo)}
        near = closest(agent, names)
        if elsewhere:
            hint = f"Repository '{elsewhere[0]}' has it: ploinky enable agent {elsewhere[0]}/{agent}"
        elif near:
            hint = f"Did you mean '{near}'?"
        elif not self.installed:
            hint = "No repository is installed yet: ploinky add repo basic"
        else:
            hint = "See what there is: ploinky list agents"
        return NotFoundError(
            "AGENT_NOT_FOUND", f"No agent '{agent}' in {where}.", hint=hint, details={"agent": agent}
        )


def not_installed(repo: str, installed: Sequence[str]) -> NotFoundError:
    """The error for a repository that is not there."""
    near = closest(repo, installed)
    if repo in PREDEFINED:
        hint = f"It is a known one; clone it: ploinky add repo {repo}"
    elif near:
        hint = f"Did you mean '{near}'?"
    else:
        hint = f"Clone it: ploinky add repo {repo} URL"
    return NotFoundError(
        "REPO_NOT_INSTALLED", f"Repository '{repo}' is not installed.", hint=hint, details={"repo": repo}
    )


def _ambiguous(agent: str, found: Sequence[AgentLocation]) -> UsageError:
    choices = [str(location) for location in found]
    return UsageError(
        "AMBIGUOUS_AGENT",
        f"Agent '{agent}' is in {len(found)} repositories: {', '.join(choices)}.",
        hint=f"Name the one you mean: ploinky enable agent {choices[0]}",
        details={"agent": agent, "choices": ", ".join(choices)},
    )
