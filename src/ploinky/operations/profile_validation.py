"""``profile validate``: whether all that a profile needs is there, agent by agent; nothing is started."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.manifest.texts import relative_script
from ploinky.manifest.values import DEFAULT_PROFILE, EffectiveConfig, EnvEntry
from ploinky.operations.platform import Platform
from ploinky.operations.profile import read_enabled, secret_facts, shown_value
from ploinky.secrets.sources import SecretSources, SourceKind
from ploinky.wire.events import Event, Result
from ploinky.workspace.profiles import require_profile_name
from ploinky.workspace.registry import RegistryEntry

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLATFORM = {"AGENT_NAME", "WORKSPACE_PATH", "NODE_PATH", "AGENT_PORT", "PORT", "ROUTER_HOST"}


async def validate_profile(platform: Platform, name: str | None) -> AsyncIterator[Event]:
    """Check manifest, variables, secrets and scripts of every enabled agent; ``errors`` counts the faults.

    None: the active profile, else dev.

    Raises:
        UsageError: ``BAD_PROFILE_NAME``. PloinkyError: what a remote store says.
    """
    known = require_profile_name(name or platform.profile.name or DEFAULT_PROFILE, "profile validate")
    yield Result(value=await anyio.to_thread.run_sync(_validated, platform, known))


def _validated(platform: Platform, name: str) -> JsonObject:
    reports: list[JsonValue] = []
    errors = 0
    for key, entry in platform.registry.read().items():
        report, faults = _report(platform, key, entry, name)
        reports.append(report)
        errors += faults
    return {"profile": name, "agents": reports, "errors": errors}


def _report(platform: Platform, key: str, entry: RegistryEntry, name: str) -> tuple[JsonObject, int]:
    report: JsonObject = {"agent": key, "manifest": None, "definition": None}
    try:
        agent = read_enabled(platform, key, entry)
    except PloinkyError as error:
        return report | {"manifest": error.message}, 1
    try:
        config = agent.under(name)
    except PloinkyError as error:
        return report | {"definition": error.message.splitlines()[0]}, 1
    sources = platform.secrets.sources(name)
    sources.prefetch({*config.secrets, *(each.source for each in config.env if not each.is_pattern)})
    folder = agent.location.folder
    variables = [_variable(sources, each) for each in config.env if not each.is_pattern]
    secrets = [secret_facts(sources, secret) for secret in config.secrets]
    known = {str(row["name"]) for row in secrets if row["ok"]}
    known |= {str(row["name"]) for row in variables if row["source"] or row["value"] is not None}
    placeholders = [*_placeholders(config, known)]
    scripts = [_script(folder, script) for script in _scripts(config)]
    warnings: list[JsonValue] = [
        *(str(warning) for warning in agent.manifest.warnings),
        *config.notices,
        *(f"{each} is not named by any hook of the profile" for each in _undeclared(folder, config, name)),
    ]
    lists: JsonObject = {
        "environment": list[JsonValue](variables),
        "secrets": list[JsonValue](secrets),
        "placeholders": list[JsonValue](placeholders),
        "scripts": list[JsonValue](scripts),
        "warnings": warnings,
    }
    faults = sum(not row["ok"] for row in (*variables, *secrets, *placeholders, *scripts))
    return report | lists, faults


def _variable(sources: SecretSources, entry: EnvEntry) -> JsonObject:
    found, fault = None, None
    try:
        found = sources.find(entry.source) if entry.literal is None else None
        given = entry.default if entry.literal is None else entry.literal
        if found is None and given is not None:
            kind = SourceKind.DEFAULT if entry.literal is None else SourceKind.LITERAL
            found = sources.follow(entry.name, given, kind)
    except PloinkyError as error:
        if error.code != "CIRCULAR_ALIAS":
            raise
        fault = error.message
    own = found is None or found.source in (SourceKind.DEFAULT, SourceKind.LITERAL)
    return {
        "name": entry.name,
        "value": shown_value(entry) if own and found is not None else None,
        "source": None if found is None or own else found.source.value,
        "ok": fault is None and (not entry.required or (found is not None and bool(found.value))),
        "required": entry.required,
        "fault": fault,
    }


def _placeholders(config: EffectiveConfig, known: set[str]) -> Iterator[JsonObject]:
    """``${NAME}`` in image and volumes that nothing of the agent's environment can fill."""
    texts = [("image", config.image), *(("volumes", volume.host) for volume in config.volumes)]
    given = known | _PLATFORM
    for field, text in texts:
        for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
            yield {"field": field, "name": name, "ok": name in given or name.startswith("PLOINKY_")}


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


def _undeclared(folder: Path, config: EffectiveConfig, profile: str) -> list[str]:
    """Scripts named after the profile, as the convention has it, that nothing runs."""
    declared = set(_scripts(config))
    found = sorted(folder.joinpath("scripts").glob(f"{profile}_*.sh"))
    return [f"scripts/{path.name}" for path in found if f"scripts/{path.name}" not in declared]
