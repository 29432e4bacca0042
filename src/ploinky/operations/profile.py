"""``profile``: which one is active, what it gives to the enabled agents, which ones there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.manifest.effective import effective
from ploinky.manifest.env import looks_like_key
from ploinky.manifest.model import Manifest
from ploinky.manifest.refs import RunMode
from ploinky.manifest.values import DEFAULT_PROFILE, KNOWN_PROFILES, EffectiveConfig, EnvEntry
from ploinky.operations.platform import Platform
from ploinky.repos.find import AgentLocation
from ploinky.secrets.sources import SecretSources
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.exposures import Exposures
from ploinky.workspace.profiles import set_active_profile
from ploinky.workspace.registry import RegistryEntry

_HIDDEN = "***"


@dataclass(frozen=True)
class EnabledAgent:
    """An enabled agent whose manifest can be read; ``exposures`` are those of the workspace."""

    key: str
    location: AgentLocation
    manifest: Manifest
    exposures: Exposures

    def under(self, profile: str | None) -> EffectiveConfig:
        """What it is under a profile.

        Raises:
            NotFoundError: ``PROFILE_NOT_FOUND``.
        """
        return self.exposures.applied(effective(self.manifest, profile, agent=self.key))


@dataclass(frozen=True)
class _Crew:
    """The enabled agents, and what kept others from being among them."""

    agents: tuple[EnabledAgent, ...]
    unreadable: tuple[Notice, ...]


def effective_configs(platform: Platform) -> dict[str, EffectiveConfig]:
    """Every enabled agent's configuration under the active profile; those that have none are left out."""
    return {config.agent: config for config in _configs(_crew(platform), platform.profile.name)}


async def show_profile(platform: Platform) -> AsyncIterator[Event]:
    """The active profile and what it gives to each enabled agent."""
    crew = _crew(platform)
    for notice in crew.unreadable:
        yield notice
    yield Result(value=await anyio.to_thread.run_sync(_shown, platform, crew, platform.profile.name))


async def use_profile(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Make ``name`` the workspace's profile.

    Raises:
        NotFoundError: ``PROFILE_NOT_FOUND`` if agents are enabled and none of them can run under it.
    """
    crew = _crew(platform)
    refused: list[PloinkyError] = []
    for agent in crew.agents:
        try:
            agent.under(name)
        except NotFoundError as error:
            refused.append(error)
    if crew.agents and len(refused) == len(crew.agents):
        raise refused[0]
    set_active_profile(platform.layout, name)
    for notice in crew.unreadable:
        yield notice
    for each in refused:
        yield Notice(level="warning", message=each.message, hint=each.hint)
    value = await anyio.to_thread.run_sync(_shown, platform, crew, name)
    if any(entry.state.value == "RUNNING" for entry in platform.registry.read().values()):
        yield Notice(message="Running agents keep their profile until: ploinky restart")
    yield Result(value=value)


async def list_profiles(platform: Platform) -> AsyncIterator[Event]:
    """Every profile that an enabled agent knows, and how many of its secrets are there."""
    crew = _crew(platform)
    for notice in crew.unreadable:
        yield notice
    yield Result(value=await anyio.to_thread.run_sync(_rows, platform, crew))


def locate_enabled(platform: Platform, entry: RegistryEntry) -> AgentLocation:
    """The folder that an enabled agent comes from.

    Raises:
        NotFoundError: ``AGENT_NOT_FOUND``.
    """
    if entry.run_mode is RunMode.DEVEL:
        return AgentLocation(entry.repo_name, entry.agent_name, Path(entry.project_path))
    return platform.repos.find_agent(f"{entry.repo_name}/{entry.agent_name}")


def read_enabled(platform: Platform, key: str, entry: RegistryEntry) -> EnabledAgent:
    """An enabled agent with its manifest.

    Raises:
        NotFoundError: ``AGENT_NOT_FOUND``, ``MANIFEST_NOT_FOUND``. ManifestError.
    """
    location = locate_enabled(platform, entry)
    return EnabledAgent(key, location, platform.repos.read_manifest(location), Exposures(platform.layout))


def shown_value(entry: EnvEntry) -> str | None:
    """The value that the manifest gives, hidden if it is probably a key; None if it gives none."""
    given = entry.default if entry.literal is None else entry.literal
    return _HIDDEN if given and looks_like_key(entry.name) and not given.startswith("$") else given


def secret_facts(sources: SecretSources, name: str) -> JsonObject:
    """Whether a secret is set, and where; an alias in a circle counts as not set, with the reason."""
    fault = None
    try:
        found = sources.find(name)
    except PloinkyError as error:
        if error.code != "CIRCULAR_ALIAS":
            raise
        found, fault = None, error.message
    ok = found is not None and bool(found.value)
    source = found.source.value if found is not None and ok else None
    return {"name": name, "ok": ok, "source": source, "fault": fault}


def _rows(platform: Platform, crew: _Crew) -> list[JsonValue]:
    names = dict.fromkeys(name for agent in crew.agents for name in agent.manifest.profile_names)
    active = platform.profile.name or _common_default(crew)
    rows: list[JsonValue] = []
    for name in names or dict.fromkeys(KNOWN_PROFILES):
        wanted = list(dict.fromkeys(each for config in _configs(crew, name) for each in config.secrets))
        sources = platform.secrets.sources(name)
        sources.prefetch(wanted)
        missing: list[JsonValue] = [each for each in wanted if not secret_facts(sources, each)["ok"]]
        rows.append(
            {
                "name": name,
                "active": name == active,
                "status": "missing" if missing else "active" if name == active else "ready",
                "secrets": len(wanted),
                "found": len(wanted) - len(missing),
                "missing": missing,
            }
        )
    return rows


def _shown(platform: Platform, crew: _Crew, name: str | None) -> JsonObject:
    agents: list[JsonValue] = []
    for config in _configs(crew, name):
        sources = platform.secrets.sources(config.profile)
        sources.prefetch(config.secrets)
        agents.append(_config_facts(sources, config))
    return {"profile": name, "origin": platform.profile.origin.value, "agents": agents}


def _config_facts(sources: SecretSources, config: EffectiveConfig) -> JsonObject:
    environment: JsonObject = {
        entry.name: value for entry in config.env if (value := shown_value(entry)) is not None
    }
    hooks: list[JsonValue] = [
        {"name": name.value, "steps": list[JsonValue](hook.steps)} for name, hook in config.hooks.items()
    ]
    return {
        "agent": config.agent,
        "profile": config.profile,
        "environment": environment,
        "secrets": [secret_facts(sources, name) for name in config.secrets],
        "hooks": hooks,
        "code": "rw" if config.code_writable else "ro",
        "skills": "rw" if config.skills_writable else "ro",
    }


def _crew(platform: Platform) -> _Crew:
    agents: list[EnabledAgent] = []
    unreadable: list[Notice] = []
    for key, entry in platform.registry.read().items():
        try:
            agents.append(read_enabled(platform, key, entry))
        except PloinkyError as error:
            message = f"Agent '{key}' is left out: {error.message}"
            unreadable.append(Notice(level="warning", message=message, hint=error.hint, agent=key))
    return _Crew(tuple(agents), tuple(unreadable))


def _configs(crew: _Crew, profile: str | None) -> list[EffectiveConfig]:
    """The configurations of those agents that can run under a profile."""
    found = []
    for agent in crew.agents:
        try:
            found.append(agent.under(profile))
        except NotFoundError:
            continue
    return found


def _common_default(crew: _Crew) -> str:
    named: Mapping[str, None] = dict.fromkeys(
        agent.manifest.default_profile or DEFAULT_PROFILE for agent in crew.agents
    )
    return next(iter(named), DEFAULT_PROFILE)
