"""One layer of a manifest (the top level or a profile) as values: readers from the model's parts.

Every reader takes what the model has checked already, so none of them fails. None means that the layer
says nothing about a field; an empty value says that there is none.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from ploinky.manifest.env import parse_env
from ploinky.manifest.fields import (
    EnvValue,
    ExposePart,
    HookPart,
    NetworkPart,
    ProbePart,
    RepoPart,
    ResourcesPart,
    SecurityPart,
    WhenPart,
)
from ploinky.manifest.model import Layer
from ploinky.manifest.ports import parse_port
from ploinky.manifest.refs import AgentRef, parse_agent_ref
from ploinky.manifest.texts import parse_capability, parse_memory, parse_volume
from ploinky.manifest.values import (
    EnvEntry,
    Health,
    Hook,
    HookName,
    McpSpec,
    NetworkMode,
    NetworkSpec,
    PortSpec,
    Probe,
    ReadinessProtocol,
    RepoSource,
    ResourceSpec,
    SecuritySpec,
    VolumeOptions,
    VolumeSpec,
    When,
)

_MODES = {mode.value: mode for mode in NetworkMode} | {"bridge": NetworkMode.WORKSPACE}
_COMMANDS = ("agent", "start", "cli", "run")


def env_of(layer: Layer) -> tuple[EnvEntry, ...]:
    if isinstance(layer.env, list):
        return parse_env([_plain(item) for item in layer.env])
    return parse_env({name: _plain(value) for name, value in (layer.env or {}).items()})


def hooks_of(layer: Layer) -> dict[HookName, Hook]:
    """The hooks that the layer names; one that it names with nothing to run has no steps."""
    found = {}
    for name in HookName:
        value: str | list[str] | HookPart | None = getattr(layer, name.value)
        if value is not None:
            found[name] = _hook(value)
    return found


def ports_of(layer: Layer) -> tuple[PortSpec, ...] | None:
    if layer.port is None and layer.ports is None:
        return None
    specs: list[int | str] = []
    for value in (layer.port, layer.ports):
        specs += value if isinstance(value, list) else [] if value is None else [value]
    return tuple(port for spec in specs for port in parse_port(spec))


def volumes_of(layer: Layer) -> dict[str, VolumeSpec]:
    """By the host side as written."""
    return {host: parse_volume(host, target) for host, target in (layer.volumes or {}).items()}


def volume_options_of(layer: Layer) -> dict[str, VolumeOptions]:
    return {
        path: VolumeOptions(part.chmod, tuple(part.make_world_writable_subdirs or ()))
        for path, part in (layer.volume_options or {}).items()
    }


def enable_of(layer: Layer) -> tuple[AgentRef, ...]:
    return tuple(parse_agent_ref(text) for text in layer.enable or ())


def repos_of(layer: Layer) -> dict[str, RepoSource]:
    return {
        name: RepoSource(value.url, value.branch) if isinstance(value, RepoPart) else RepoSource(value)
        for name, value in (layer.repos or {}).items()
    }


def expose_of(layer: Layer) -> dict[str, EnvEntry]:
    """Variables given by ``expose``: fixed values, or ``$OTHER``."""
    values = {
        name: value.value if isinstance(value, ExposePart) else value
        for name, value in (layer.expose or {}).items()
    }
    return {entry.name: entry for entry in parse_env(values)}


def health_of(layer: Layer) -> Health | None:
    if layer.health is None:
        return None
    readiness = layer.health.readiness
    probe = _probe(readiness)
    asked = readiness.protocol if readiness is not None and probe is None else None
    return Health(_probe(layer.health.liveness), probe, ReadinessProtocol(asked) if asked else None)


def mcp_of(layer: Layer) -> McpSpec | None:
    part = layer.mcp
    if part is None:
        return None
    command = shlex.split(part.command) if isinstance(part.command, str) else part.command or []
    return McpSpec(
        argv=(*command, *(part.args or ())) if command else (),
        env=tuple((part.env or {}).items()),
        port=part.port,
        path=part.path or "/mcp",
        url=part.url,
        headers=tuple((part.headers or {}).items()),
    )


def network_of(layer: Layer) -> NetworkSpec | None:
    value = layer.network
    if value is None:
        return None
    part = NetworkPart(mode=value) if isinstance(value, str) else value
    return NetworkSpec(_MODES[part.mode or "workspace"], part.name, tuple(part.aliases or ()))


def resources_of(part: ResourcesPart | None) -> ResourceSpec:
    if part is None:
        return ResourceSpec()
    return ResourceSpec(part.cpus, None if part.memory is None else parse_memory(part.memory), part.pids)


def security_of(part: SecurityPart | None) -> SecuritySpec | None:
    if part is None:
        return None
    return SecuritySpec(
        privileged=bool(part.privileged),
        capabilities=tuple(dict.fromkeys(parse_capability(text) for text in part.capabilities or ())),
        read_only_root=bool(part.read_only_root),
        user=None if part.user is None else str(part.user),
    )


def commands_of(layer: Layer) -> dict[str, str]:
    """By field of ``Commands``: what the layer names, an empty text included; ``commands`` yields."""
    named: dict[str, str | None] = {"workdir": layer.workdir}
    for field in _COMMANDS:
        older = getattr(layer.commands, field) if layer.commands else None
        own = getattr(layer, field)
        named[field] = older if own is None else own
    entrypoint = layer.entrypoint
    named["entrypoint"] = shlex.join(entrypoint) if isinstance(entrypoint, list) else entrypoint
    return {field: text for field, text in named.items() if text is not None}


def _plain(value: object) -> object:
    return value.model_dump(by_alias=True, exclude_none=True) if isinstance(value, EnvValue) else value


def _hook(value: str | list[str] | HookPart) -> Hook:
    if isinstance(value, HookPart):
        return Hook(_hook(value.run).steps, _when(value.when))
    steps = [value] if isinstance(value, str) else value
    return Hook(tuple(step for step in steps if step.strip()))


def _when(part: WhenPart | None) -> When | None:
    if part is None:
        return None
    if isinstance(part.env, str):
        name, _, value = part.env.partition("=")
        env: Mapping[str, object] = {name: value}
    else:
        env = part.env or {}
    exists = [part.exists] if isinstance(part.exists, str) else part.exists or []
    return When(tuple((entry.name, entry.literal or "") for entry in parse_env(env)), tuple(exists))


def _probe(part: ProbePart | None) -> Probe | None:
    if part is None or (part.script, part.http, part.tcp) == (None, None, None):
        return None
    default = Probe()
    threshold = part.failure_threshold or part.retries
    return Probe(
        script=part.script,
        http=part.http,
        tcp=part.tcp,
        port=part.port,
        interval_s=part.interval or default.interval_s,
        timeout_s=part.timeout or default.timeout_s,
        failure_threshold=threshold or default.failure_threshold,
        success_threshold=part.success_threshold or default.success_threshold,
        start_period_s=part.start_period or default.start_period_s,
    )
