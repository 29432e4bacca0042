"""A manifest with one profile applied: layers laid over each other into an ``EffectiveConfig``.

Built-in defaults < top level < ``profiles.default`` < the ``extends`` chain < the active profile.
By key merge: env, mounts, volumes, repos, expose, dependencies, limits and commands. Whole override: each
hook, ports, network, health, mcp, security. Concatenated without doubles: secrets and enable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ploinky.base.errors import NotFoundError
from ploinky.manifest import layers
from ploinky.manifest.fields import MountsPart
from ploinky.manifest.model import Layer, Manifest
from ploinky.manifest.refs import AgentRef
from ploinky.manifest.values import (
    DEFAULT_PROFILE,
    DEFAULT_WORKDIR,
    KNOWN_PROFILES,
    Commands,
    EffectiveConfig,
    EnvEntry,
    Health,
    NetworkSpec,
    ResourceSpec,
    SecuritySpec,
)

__all__ = ["EffectiveConfig", "effective", "profile_environment"]

K = TypeVar("K")
V = TypeVar("V")
_UNKNOWN_PROFILE_ENV = "prod"


def effective(manifest: Manifest, profile: str | None, *, agent: str) -> EffectiveConfig:
    """What the agent is under ``profile``; None is the manifest's ``defaultProfile``, else dev.

    A manifest without profiles serves every profile. A profile that it lacks is served by its ``default``,
    with a notice if somebody asked for that profile.

    Raises:
        NotFoundError: ``PROFILE_NOT_FOUND``, listing those it has.
    """
    active = profile or manifest.default_profile or DEFAULT_PROFILE
    stack = _stack(manifest, active, agent)
    return EffectiveConfig(
        agent=agent,
        profile=active,
        profile_env=profile_environment(manifest, active),
        image=manifest.container or manifest.image or "",
        about=_last(layer.about for layer in stack) or "",
        env=tuple(_variables(stack).values()),
        secrets=tuple(dict.fromkeys(name for layer in stack for name in layer.secrets or ())),
        hooks={name: hook for name, hook in _each(stack, layers.hooks_of).items() if hook.steps},
        code_writable=_writable(stack, active, lambda mounts: mounts.code),
        skills_writable=_writable(stack, active, lambda mounts: mounts.skills),
        ports=_last(map(layers.ports_of, stack)) or (),
        volumes=tuple(_each(stack, layers.volumes_of).values()),
        volume_options=_each(stack, layers.volume_options_of),
        enable=_enable(stack),
        repos=_each(stack, layers.repos_of),
        health=_last(map(layers.health_of, stack)) or Health(),
        commands=_commands(stack),
        mcp=_last(map(layers.mcp_of, stack)),
        network=_last(map(layers.network_of, stack)) or NetworkSpec(),
        resources=_resources(stack),
        security=_last(layers.security_of(layer.container_security) for layer in stack) or SecuritySpec(),
        sandbox_allowed=manifest.sandbox is not False,
        lite_sandbox=bool(manifest.lite_sandbox),
        sso_provider=manifest.sso_provider not in (None, False),
        dependencies=_each(stack, lambda layer: layer.dependencies or {}),
        notices=_notices(manifest, profile, agent),
    )


def profile_environment(manifest: Manifest, profile: str) -> str:
    """dev, qa or prod: the profile itself, or the nearest of these that it extends.

    A profile that is related to none of them counts as prod, as strict as its read-only mounts.
    """
    for name in _chain(manifest, profile):
        if name in KNOWN_PROFILES:
            return name
    return _UNKNOWN_PROFILE_ENV


def _variables(stack: Sequence[Layer]) -> dict[str, EnvEntry]:
    """``env``, and ``expose`` over it: it gives values to names that ``env`` lists or requires."""
    env = _each(stack, lambda layer: {entry.name: entry for entry in layers.env_of(layer)})
    for name, given in _each(stack, layers.expose_of).items():
        env[name] = replace(given, required=name in env and env[name].required)
    return env


def _stack(manifest: Manifest, active: str, agent: str) -> Sequence[Layer]:
    """The layers from the lowest to the active profile."""
    profiles = manifest.profiles or {}
    if profiles and active not in profiles and "default" not in profiles:
        raise _profile_not_found(manifest, active, agent)
    names = ["default", *reversed(_chain(manifest, active))]
    return [manifest, *(profiles[name] for name in dict.fromkeys(names) if name in profiles)]


def _chain(manifest: Manifest, profile: str) -> list[str]:
    """The profile and those that it extends, nearest first; its own name even if there is no such profile."""
    profiles = manifest.profiles or {}
    names: list[str] = []
    name: str | None = profile
    while name is not None and name not in names:
        names.append(name)
        name = profiles[name].extends if name in profiles else None
    return names


def _notices(manifest: Manifest, asked: str | None, agent: str) -> tuple[str, ...]:
    if asked is None or not manifest.profiles or asked in manifest.profiles:
        return ()
    return (f"Agent '{agent}' has no profile '{asked}'; its profile 'default' is used.",)


def _last(values: Iterable[V | None]) -> V | None:
    """The value of the highest layer that says something."""
    said = None
    for value in values:
        said = said if value is None else value
    return said


def _by_key(maps: Iterable[Mapping[K, V]]) -> dict[K, V]:
    """One map of all; of equal keys the higher layer's value at the lower layer's place."""
    merged: dict[K, V] = {}
    for layer in maps:
        merged.update(layer)
    return merged


def _each(stack: Sequence[Layer], read: Callable[[Layer], Mapping[K, V]]) -> dict[K, V]:
    return _by_key(map(read, stack))


def _writable(stack: Sequence[Layer], active: str, read: Callable[[MountsPart], str | None]) -> bool:
    said = _last(read(layer.mounts) for layer in stack if layer.mounts is not None)
    return active == DEFAULT_PROFILE if said is None else said == "rw"


def _enable(stack: Sequence[Layer]) -> tuple[AgentRef, ...]:
    """Each key once; the higher layer's words win, but a blocking entry stays blocking."""
    merged: dict[str, AgentRef] = {}
    for layer in stack:
        for ref in layers.enable_of(layer):
            former = merged.get(ref.key)
            merged[ref.key] = replace(ref, no_wait=ref.no_wait and (former is None or former.no_wait))
    return tuple(merged.values())


def _commands(stack: Sequence[Layer]) -> Commands:
    """An empty command in a higher layer takes the lower one away."""
    said = {"workdir": DEFAULT_WORKDIR} | {
        field: text for field, text in _each(stack, layers.commands_of).items() if text.strip()
    }
    return Commands(**said)


def _resources(stack: Sequence[Layer]) -> ResourceSpec:
    limits = [layers.resources_of(layer.resources) for layer in stack]
    return ResourceSpec(
        cpus=_last(limit.cpus for limit in limits),
        memory=_last(limit.memory for limit in limits),
        pids=_last(limit.pids for limit in limits),
    )


def _profile_not_found(manifest: Manifest, profile: str, agent: str) -> NotFoundError:
    listed = "\n".join(f"    - {name}" for name in manifest.profile_names)
    return NotFoundError(
        "PROFILE_NOT_FOUND",
        f"Profile '{profile}' not found in manifest\n\n  Available profiles for agent '{agent}':\n{listed}",
        hint=f'\n  To add a new profile, update manifest.json:\n    "profiles": {{\n'
        f'      "{profile}": {{ ... }}\n    }}',
        details={"profile": profile, "agent": agent, "available": ",".join(manifest.profile_names)},
    )
