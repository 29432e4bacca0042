"""``profile``: which one is active, what it gives to the enabled agents, whether all it needs is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.manifest.effective import effective
from ploinky.manifest.env import looks_like_key
from ploinky.manifest.model import Manifest
from ploinky.manifest.texts import relative_script
from ploinky.manifest.values import DEFAULT_PROFILE, KNOWN_PROFILES, EffectiveConfig, RunMode
from ploinky.operations.platform import Platform
from ploinky.repos.find import AgentLocation
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.profiles import set_active_profile
from ploinky.workspace.registry import RegistryEntry

_HIDDEN = "***"


@dataclass(frozen=True)
class _Agent:
    key: str
    location: AgentLocation
    manifest: Manifest


def effective_configs(platform: Platform) -> dict[str, EffectiveConfig]:
    """Every enabled agent's configuration under the active profile; those that have none are left out."""
    found = {}
    for agent in _agents(platform):
        try:
            found[agent.key] = effective(agent.manifest, platform.profile.name, agent=agent.key)
        except NotFoundError:
            continue
    return found


async def show_profile(platform: Platform) -> AsyncIterator[Event]:
    """The active profile and what it gives to each enabled agent."""
    yield Result(value=_shown(platform, platform.profile.name))


async def use_profile(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Make ``name`` the workspace's profile.

    Raises:
        NotFoundError: ``PROFILE_NOT_FOUND`` if agents are enabled and none of them can run under it.
    """
    agents = list(_agents(platform))
    refused: list[PloinkyError] = []
    for agent in agents:
        try:
            effective(agent.manifest, name, agent=agent.key)
        except NotFoundError as error:
            refused.append(error)
    if agents and len(refused) == len(agents):
        raise refused[0]
    set_active_profile(platform.layout, name)
    for each in refused:
        yield Notice(level="warning", message=each.message, hint=each.hint)
    value = _shown(platform, name)
    if any(entry.state.value == "RUNNING" for entry in platform.registry.read().values()):
        yield Notice(message="Running agents keep their profile until: ploinky restart")
    yield Result(value=value)


async def list_profiles(platform: Platform) -> AsyncIterator[Event]:
    """Every profile that an enabled agent knows, and how many of its secrets are there."""
    agents = list(_agents(platform))
    names = dict.fromkeys(name for agent in agents for name in agent.manifest.profile_names)
    active = platform.profile.name or _common_default(agents)
    rows: list[JsonValue] = []
    for name in [each for each in names if each != "default"] or list(KNOWN_PROFILES):
        wanted = _secrets(agents, name)
        missing = [each for each in wanted if not _is_found(platform, name, each)]
        status = "missing" if missing else "active" if name == active else "ready"
        listed: list[JsonValue] = [*missing]
        rows.append(
            {
                "name": name,
                "active": name == active,
                "status": status,
                "secrets": len(wanted),
                "found": len(wanted) - len(missing),
                "missing": listed,
            }
        )
    yield Result(value=rows)


async def validate_profile(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Check manifest, variables, secrets and scripts of every enabled agent; ``errors`` counts the faults."""
    reports: list[JsonValue] = []
    errors = 0
    for key, entry in platform.registry.read().items():
        report, faults = _validate(platform, key, entry, name)
        reports.append(report)
        errors += faults
    yield Result(value={"profile": name, "agents": reports, "errors": errors})


def _validate(platform: Platform, key: str, entry: RegistryEntry, name: str) -> tuple[JsonObject, int]:
    report: JsonObject = {"agent": key, "manifest": None, "definition": None}
    try:
        location = _location(platform, entry)
        manifest = platform.repos.read_manifest(location)
    except PloinkyError as error:
        return report | {"manifest": error.message}, 1
    try:
        config = effective(manifest, name, agent=key)
    except PloinkyError as error:
        return report | {"definition": error.message.splitlines()[0]}, 1
    variables = [_variable(platform, name, entry) for entry in config.env if not entry.is_pattern]
    secrets = [_secret(platform, name, secret) for secret in config.secrets]
    scripts = [_script(location.folder, script) for script in _scripts(config)]
    undeclared = _undeclared_scripts(location.folder, config, name)
    faults = sum(not row["ok"] for row in (*variables, *secrets, *scripts))
    warnings: list[JsonValue] = [
        *(str(warning) for warning in manifest.warnings),
        *config.notices,
        *(f"{script} is not named by any hook of the profile" for script in undeclared),
    ]
    lists: JsonObject = {
        "environment": list[JsonValue](variables),
        "secrets": list[JsonValue](secrets),
        "scripts": list[JsonValue](scripts),
        "warnings": warnings,
    }
    return report | lists, faults


def _variable(platform: Platform, profile: str, entry: object) -> JsonObject:
    from ploinky.manifest.values import EnvEntry

    assert isinstance(entry, EnvEntry)
    found = entry.literal is not None or entry.default is not None
    known = None if found else platform.secrets.sources(profile).find(entry.source)
    shown = entry.literal if entry.literal is not None else entry.default
    value = _HIDDEN if shown and looks_like_key(entry.name) else shown
    return {
        "name": entry.name,
        "value": value,
        "source": known.source.value if known else None,
        "ok": found or known is not None or not entry.required,
        "required": entry.required,
    }


def _secret(platform: Platform, profile: str, name: str) -> JsonObject:
    found = platform.secrets.sources(profile).find(name)
    ok = found is not None and bool(found.value)
    return {"name": name, "ok": ok, "source": found.source.value if found and ok else None}


def _script(folder: Path, script: str) -> JsonObject:
    path = folder / script
    exists = path.is_file() and folder.resolve() in path.resolve().parents
    executable = exists and os.access(path, os.X_OK)
    return {"script": script, "ok": exists, "executable": executable}


def _scripts(config: EffectiveConfig) -> Iterator[str]:
    steps = [step for hook in config.hooks.values() for step in hook.steps]
    probes = [probe for probe in (config.health.liveness, config.health.readiness) if probe is not None]
    words = [relative_script(step) for step in steps] + [probe.script for probe in probes]
    yield from dict.fromkeys(word for word in words if word)


def _undeclared_scripts(folder: Path, config: EffectiveConfig, profile: str) -> list[str]:
    """Scripts named after the profile, as the convention has it, that nothing runs."""
    declared = set(_scripts(config))
    found = sorted(folder.joinpath("scripts").glob(f"{profile}_*.sh"))
    return [f"scripts/{path.name}" for path in found if f"scripts/{path.name}" not in declared]


def _shown(platform: Platform, name: str | None) -> JsonObject:
    agents: list[JsonValue] = []
    for agent in _agents(platform):
        try:
            config = effective(agent.manifest, name, agent=agent.key)
        except NotFoundError:
            continue
        agents.append(_config_facts(platform, config))
    return {"profile": name, "origin": platform.profile.origin.value, "agents": agents}


def _config_facts(platform: Platform, config: EffectiveConfig) -> JsonObject:
    environment: JsonObject = {
        entry.name: _HIDDEN if looks_like_key(entry.name) and entry.literal else entry.literal
        for entry in config.env
        if entry.literal is not None
    }
    hooks: list[JsonValue] = [
        {"name": name.value, "steps": list[JsonValue](hook.steps)} for name, hook in config.hooks.items()
    ]
    return {
        "agent": config.agent,
        "profile": config.profile,
        "environment": environment,
        "secrets": [_secret(platform, config.profile, name) for name in config.secrets],
        "hooks": hooks,
        "code": "rw" if config.code_writable else "ro",
        "skills": "rw" if config.skills_writable else "ro",
    }


def _agents(platform: Platform) -> Iterator[_Agent]:
    """The enabled agents whose manifests can be read."""
    for key, entry in platform.registry.read().items():
        try:
            location = _location(platform, entry)
            manifest = platform.repos.read_manifest(location)
        except PloinkyError:
            continue
        yield _Agent(key, location, manifest)


def _location(platform: Platform, entry: RegistryEntry) -> AgentLocation:
    if entry.run_mode is RunMode.DEVEL:
        return AgentLocation(entry.repo_name, entry.agent_name, Path(entry.project_path))
    return platform.repos.find_agent(f"{entry.repo_name}/{entry.agent_name}")


def _secrets(agents: list[_Agent], profile: str) -> list[str]:
    names: dict[str, None] = {}
    for agent in agents:
        try:
            names |= dict.fromkeys(effective(agent.manifest, profile, agent=agent.key).secrets)
        except NotFoundError:
            continue
    return list(names)


def _is_found(platform: Platform, profile: str, name: str) -> bool:
    found = platform.secrets.sources(profile).find(name)
    return found is not None and bool(found.value)


def _common_default(agents: list[_Agent]) -> str:
    named: Mapping[str, None] = dict.fromkeys(
        agent.manifest.default_profile or DEFAULT_PROFILE for agent in agents
    )
    return next(iter(named), DEFAULT_PROFILE)
