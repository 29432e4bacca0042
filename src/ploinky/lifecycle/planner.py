"""The only place where manifest, workspace and secrets become a ``RunSpec`` and a ``LaunchRequest``.

``resolve_agent`` answers what an agent is and which variables it gets; ``plan_agent`` adds what its
sandbox is made of. Secrets go into ``environment`` only, never into ``RunSpec.env``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.channel.model import LaunchRequest, RestartPolicy
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.dependencies import Dependencies, find_dependencies
from ploinky.lifecycle.fingerprints import install_digest
from ploinky.lifecycle.mounts import CODE_TARGET, Place, Seen, plan_mounts
from ploinky.lifecycle.sandboxes import sandbox_name, socket_folder
from ploinky.lifecycle.scripts import check_scripts, kept_files
from ploinky.lifecycle.sources import effective_config, locate
from ploinky.lifecycle.variables import AGENT_TOKEN, TOKEN_TTL_S, main_and_sidecar, platform_variables
from ploinky.manifest.effective import effective
from ploinky.manifest.ports import find_clash
from ploinky.manifest.values import EffectiveConfig, PortSpec
from ploinky.repos.find import AgentLocation
from ploinky.runtimes.errors import sandbox_needs_engine
from ploinky.runtimes.spec import (
    Network,
    NetworkMode,
    PublishedPort,
    Resources,
    RunSpec,
    Security,
)
from ploinky.secrets.environment import ResolvedEnvironment, expand_shown, resolve_environment
from ploinky.workspace.exposures import Exposures
from ploinky.workspace.registry import RegistryEntry

_PUBLIC_IN_SPEC = ("PLOINKY_AGENT_NAME", "AGENT_NAME", "PLOINKY_PROFILE", "WORKSPACE_PATH", "NODE_PATH")
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 30.0
_MAIN_GRACE_S = 3.0


@dataclass(frozen=True)
class ResolvedAgent:
    """What an agent is under the active profile. ``platform`` are the variables that are no secrets."""

    entry: RegistryEntry
    location: AgentLocation
    place: Place
    config: EffectiveConfig
    platform: Mapping[str, str]
    environment: ResolvedEnvironment
    notices: tuple[str, ...]


@dataclass(frozen=True)
class StartPlan:
    """All that a start needs, decided before anything is made.

    ``launch`` lacks the environment that the image itself brings, which is read from the sandbox.
    ``install_digest`` is the hash of what steps 3 to 11 make: spec, hooks, scripts, dependencies, and the
    content of the image once it is known (``of_image``).
    """

    key: str
    entry: RegistryEntry
    location: AgentLocation
    place: Place
    config: EffectiveConfig
    platform: Mapping[str, str]
    environment: ResolvedEnvironment
    seen: Seen
    spec: RunSpec
    launch: LaunchRequest
    dependencies: Dependencies
    install_digest: str
    notices: tuple[str, ...]

    def of_image(self, image_id: str | None) -> StartPlan:
        """The plan for an image of this content: what was installed in another is not used again."""
        if image_id is None:
            return self
        return replace(
            self,
            dependencies=self.dependencies.in_image(image_id),
            install_digest=hashlib.sha256(f"{self.install_digest}@{image_id}".encode()).hexdigest(),
        )


def resolve_agent(ctx: LifecycleContext, entry: RegistryEntry) -> ResolvedAgent:
    """What the agent is and gets. The environment holds a fresh token of the agent's own.

    Raises:
        NotFoundError: AGENT_NOT_FOUND, MANIFEST_NOT_FOUND.
        NeedsApprovalError: MISSING_SECRETS, naming all.
        PloinkyError: a manifest's errors, PROFILE_NOT_FOUND.
    """
    location = locate(ctx, entry)
    manifest = ctx.repos.read_manifest(location)
    config = Exposures(ctx.layout).applied(effective(manifest, ctx.profile.name, agent=entry.key))
    kept = kept_files(location, manifest)
    place = Place(entry.key, location.folder, entry.run_mode, Path(entry.project_path), kept)
    platform = platform_variables(ctx, entry, config, place)
    token = ctx.signer.mint(entry.key, TOKEN_TTL_S)
    sources = ctx.secrets.sources(config.profile)
    found = resolve_environment(config, sources, builtins={**platform, AGENT_TOKEN: token})
    ctx.secrets.redactor.add(found.values[name] for name in found.secret_names)
    environment = replace(found, secret_names=found.secret_names | {AGENT_TOKEN})
    return ResolvedAgent(
        entry, location, place, config, platform, environment, (*config.notices, *found.notices)
    )


def plan_dependencies(ctx: LifecycleContext, entry: RegistryEntry) -> tuple[str, Dependencies]:
    """The image of an enabled agent and what it depends on; secrets are needed only if its image names one.

    Raises:
        NotFoundError: AGENT_NOT_FOUND, MANIFEST_NOT_FOUND.
        PloinkyError: as ``find_dependencies``; UNRESOLVED_VARIABLE, MISSING_SECRETS.
    """
    config, folder = effective_config(ctx, entry), locate(ctx, entry).folder
    environment = resolve_agent(ctx, entry).environment if "$" in config.image else ResolvedEnvironment()
    image = expand_shown(config.image, environment, what=f"The image of agent '{entry.key}'")
    found = find_dependencies(
        ctx.layout, config, key=entry.key, folder=folder, image=image, runtime=ctx.runtime.kind
    )
    return image, found


def plan_agent(ctx: LifecycleContext, entry: RegistryEntry) -> StartPlan:
    """Plan the start of an enabled agent. Reads files, writes none.

    Raises:
        NotFoundError: AGENT_NOT_FOUND, MANIFEST_NOT_FOUND, HOOK_SCRIPT_MISSING.
        NeedsApprovalError: MISSING_SECRETS, naming all.
        PloinkyError: a manifest's errors, PROFILE_NOT_FOUND, SANDBOX_NEEDS_ENGINE, PATH_ESCAPES, PORT_CLASH.
    """
    agent = resolve_agent(ctx, entry)
    config = agent.config
    if ctx.runtime.kind == "sandbox" and not config.sandbox_allowed:
        raise sandbox_needs_engine(entry.key, f"it runs from the image {config.image} only")
    check_scripts(ctx.layout.repos, agent.location, config)
    _check_ports(ctx, config)
    image = expand_shown(config.image, agent.environment, what=f"The image of agent '{entry.key}'")
    dependencies = find_dependencies(
        ctx.layout,
        config,
        key=entry.key,
        folder=agent.location.folder,
        image=image,
        runtime=ctx.runtime.kind,
    )
    seen = plan_mounts(
        ctx.layout, agent.place, config, has_node=dependencies.node is not None, given=agent.environment
    )
    spec = _run_spec(ctx, agent, seen, image)
    return StartPlan(
        key=entry.key,
        entry=entry,
        location=agent.location,
        place=agent.place,
        config=config,
        platform=agent.platform,
        environment=agent.environment,
        seen=seen,
        spec=spec,
        launch=_launch(agent),
        dependencies=dependencies,
        install_digest=install_digest(spec, config, agent.location.folder, dependencies.key),
        notices=agent.notices,
    )


def _run_spec(ctx: LifecycleContext, agent: ResolvedAgent, seen: Seen, image: str) -> RunSpec:
    config, key = agent.config, agent.entry.key
    return RunSpec(
        name=sandbox_name(ctx, agent.entry),
        workspace=ctx.layout.id,
        agent=key,
        image=image,
        socket_dir=socket_folder(ctx, key),
        launcher_dir=ctx.launcher_dir,
        log_path=ctx.layout.agent_log(key),
        mounts=seen.mounts,
        masks=seen.masks,
        env=tuple((name, agent.platform[name]) for name in _PUBLIC_IN_SPEC),
        ports=tuple(
            PublishedPort(port.container_port, port.host_port, port.host_ip, port.protocol)
            for port in config.ports
        ),
        network=Network(
            NetworkMode(config.network.mode.value),
            name=config.network.name,
            aliases=tuple(dict.fromkeys([key, *config.network.aliases])),
            peers=tuple(dict.fromkeys(ref.key for ref in config.enable)),
        ),
        resources=_resources(ctx, config),
        security=Security(
            config.security.privileged,
            config.security.capabilities,
            config.security.read_only_root,
            config.security.user,
        ),
        workdir=config.commands.workdir or CODE_TARGET,
    )


def _check_ports(ctx: LifecycleContext, config: EffectiveConfig) -> None:
    port = ctx.router.port()
    if find_clash([PortSpec(port, host_port=port), *config.ports]) is not None:
        raise UsageError(
            "PORT_CLASH",
            f"Agent '{config.agent}' wants port {port} of this machine, where the router listens.",
            hint="Give the agent another host port in its manifest, or the router: ploinky start PORT",
            details={"agent": config.agent, "port": str(port)},
        )


def _resources(ctx: LifecycleContext, config: EffectiveConfig) -> Resources:
    """The manifest's word, else the workspace's, else the platform's."""
    asked, limits, usual = config.resources, ctx.settings.limits, Resources()
    return Resources(
        cpus=asked.cpus or limits.cpus or usual.cpus,
        memory=asked.memory or limits.memory or usual.memory,
        pids=asked.pids or limits.pids or usual.pids,
    )


def _launch(agent: ResolvedAgent) -> LaunchRequest:
    main, sidecar = main_and_sidecar(agent.config.commands)
    return LaunchRequest(
        main=main,
        sidecar=sidecar,
        env=tuple(sorted(agent.environment.values.items())),
        cwd=agent.config.commands.workdir or CODE_TARGET,
        restart=RestartPolicy.ALWAYS,
        backoff_first_s=_FIRST_BACKOFF_S,
        backoff_max_s=_LONGEST_BACKOFF_S,
        grace_s=_MAIN_GRACE_S,
    )
