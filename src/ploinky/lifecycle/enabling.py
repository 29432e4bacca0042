"""Enable: registry entries, working folders and links. What starts or stops anything is not loaded for it.

Enabling an agent enables what its manifest's ``enable`` names, too. Nothing is cloned: a repository that
is missing is named with the command that adds it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio.to_thread

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import require_unlinked, safe_join
from ploinky.manifest.effective import effective
from ploinky.manifest.graph import Edge, plan_waves
from ploinky.manifest.refs import AgentRef, RunMode
from ploinky.manifest.values import EffectiveConfig
from ploinky.repos.find import MCP_CONFIG, AgentLocation
from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout
from ploinky.workspace.links import make_links
from ploinky.workspace.profiles import ActiveProfile
from ploinky.workspace.registry import Registry, RegistryEntry
from ploinky.workspace.states import AgentState
from ploinky.workspace.structure import init_workspace

if TYPE_CHECKING:
    from ploinky.lifecycle.context import LifecycleContext

_SAME = ("agent_name", "repo_name", "run_mode", "project_path")


@dataclass
class _Closure:
    """What enabling one agent takes along. ``entries`` are in the order in which they were met."""

    entries: dict[str, RegistryEntry] = field(default_factory=dict)
    edges: dict[str, tuple[Edge, ...]] = field(default_factory=dict)
    repos: set[str] = field(default_factory=set)


class Desk(Protocol):
    """What enabling works with: a workspace and its repositories. No engine."""

    @property
    def layout(self) -> Layout: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def repos(self) -> RepoStore: ...

    @property
    def profile(self) -> ActiveProfile: ...


HasSandbox = Callable[[RegistryEntry], Awaitable[bool]]


async def enable_agent(ctx: LifecycleContext, ref: AgentRef) -> list[RegistryEntry]:
    """``enable`` for those who have an engine at hand."""
    return await enable(ctx, ref, partial(has_sandbox, ctx))


async def has_sandbox(ctx: LifecycleContext, entry: RegistryEntry) -> bool:
    from ploinky.lifecycle.sandboxes import sandbox_name  # seldom asked, and much to load

    return await ctx.runtime.inspect(sandbox_name(ctx, entry)) is not None


async def enable(desk: Desk, ref: AgentRef, looked_for: HasSandbox) -> list[RegistryEntry]:
    """Enable the agent and everything its manifest's ``enable`` names, dependencies first.

    ``looked_for`` is asked, of the engine, only when an agent would take the place of another.

    Returns the entries of the whole closure, the asked-for agent's last; those that were enabled before
    with the same reference are returned as they are. No entry is written unless all can be enabled.

    Raises:
        NotFoundError: AGENT_NOT_FOUND, or REPO_NOT_INSTALLED with the ``ploinky add repo`` command.
        UsageError: ALREADY_ENABLED if the key names another agent, or this one in another mode that has
            a sandbox; AMBIGUOUS_AGENT.
        PloinkyError: a manifest's errors, DEPENDENCY_CYCLE.
    """
    init_workspace(desk.layout.root)
    closure = await anyio.to_thread.run_sync(_closure_of, desk, ref)
    waves = plan_waves(closure.edges)
    known = desk.registry.read()
    for key, entry in closure.entries.items():
        former = known.get(key)
        if former is not None and not _is_same(former, entry):
            if key == ref.key:
                await _require_replaceable(former, looked_for)
            else:
                closure.entries[key] = former
    ordered = [closure.entries[key] for wave in waves for key in wave if key != ref.key]
    ordered.append(closure.entries[ref.key])
    stored = await anyio.to_thread.run_sync(_store, desk, ordered, ref.key)
    for entry in stored:
        require_unlinked(desk.layout.work_dir(entry.key)).mkdir(parents=True, exist_ok=True)
        if desk.layout.agent_source(entry.repo_name, entry.agent_name).is_dir():
            make_links(desk.layout, entry)
    return stored


def _closure_of(desk: Desk, ref: AgentRef) -> _Closure:
    closure = _Closure()
    pending: list[tuple[AgentRef, str | None, Mapping[str, str]]] = [(ref, None, {})]
    while pending:
        wanted, enabled_by, addresses = pending.pop(0)
        if wanted.key in closure.entries:
            continue
        location, project = _locate(desk, wanted, addresses, trusted=enabled_by is None)
        manifest = desk.repos.read_manifest(location)
        config = effective(manifest, desk.profile.name, agent=wanted.key)
        entry = _entry(desk, wanted, location, project, config)
        closure.entries[wanted.key] = entry.model_copy(update={"enabled_by": enabled_by})
        closure.edges[wanted.key] = tuple(Edge(each.key, not each.no_wait) for each in config.enable)
        _enable_repos(desk, config)
        addresses = {name: source.url for name, source in config.repos.items()}
        pending += [(each, wanted.key, addresses) for each in config.enable]
    return closure


def _enable_repos(desk: Desk, config: EffectiveConfig) -> None:
    """Let the repositories that a manifest names count, as far as they are installed."""
    installed, enabled = desk.repos.installed(), desk.repos.enabled()
    for name in config.repos:
        if name in installed and name not in enabled:
            desk.repos.enable(name)


def _locate(
    desk: Desk, ref: AgentRef, addresses: Mapping[str, str], *, trusted: bool
) -> tuple[AgentLocation, Path]:
    """Where the agent lies, and its project path. ``trusted``: a person wrote the reference."""
    if ref.run_mode is RunMode.DEVEL:
        location = _locate_devel(desk, ref, trusted=trusted)
        return location, location.folder
    try:
        location = desk.repos.find_agent(ref)
    except NotFoundError as error:
        missing = [name for name in addresses if name not in desk.repos.installed()]
        if not missing:
            raise
        raise _repos_missing(ref, {name: addresses[name] for name in missing}) from error
    project = desk.layout.root if ref.run_mode is RunMode.GLOBAL else desk.layout.work_dir(ref.key)
    return location, project


def _locate_devel(desk: Desk, ref: AgentRef, *, trusted: bool) -> AgentLocation:
    """In devel mode the agent's own source is its project: a repository's, or a folder's."""
    where = ref.devel_repo or ref.repo or ""
    if "/" not in where:
        return desk.repos.find_agent(AgentRef(agent=ref.agent, repo=where))
    base = (desk.layout.root / where).resolve() if trusted else safe_join(desk.layout.root, where)
    for folder in (base / ref.agent, base):
        if (folder / "manifest.json").is_file():
            return AgentLocation(ref.repo or "local", ref.agent, folder)
    raise NotFoundError(
        "AGENT_NOT_FOUND",
        f"There is no manifest.json in {base} or {base / ref.agent}.",
        hint="Give the folder that holds the agent's manifest.json.",
        details={"agent": ref.agent},
    )


def _entry(
    desk: Desk, ref: AgentRef, location: AgentLocation, project: Path, config: EffectiveConfig
) -> RegistryEntry:
    return RegistryEntry(
        agent_name=location.agent,
        repo_name=location.repo,
        alias=ref.alias,
        container_image=config.image,
        container_name=desk.layout.container_name(location.repo, ref.key, project),
        project_path=str(project),
        run_mode=ref.run_mode,
        type=_type(location, config),
        state=AgentState.ENABLED,
    )


def _type(location: AgentLocation, config: EffectiveConfig) -> str:
    """``service``: a program of its own and no tools that the platform serves; else ``agent``."""
    runs = config.commands.agent or config.commands.start
    has_tools = any((folder / MCP_CONFIG).is_file() for folder in (location.folder, location.folder / "code"))
    return "service" if runs and not has_tools else "agent"


def _is_same(former: RegistryEntry, entry: RegistryEntry) -> bool:
    return all(getattr(former, name) == getattr(entry, name) for name in _SAME)


async def _require_replaceable(former: RegistryEntry, looked_for: HasSandbox) -> None:
    if await looked_for(former):
        shown = f"{former.repo_name}/{former.agent_name}"
        raise UsageError(
            "ALREADY_ENABLED",
            f"'{former.key}' is enabled already: {shown} in {former.run_mode.value} mode, with a sandbox.",
            hint=f"Disable it first (ploinky disable agent {former.key}) or enable under another name: "
            f"ploinky enable agent {shown} as NAME",
            details={"agent": former.key},
        )


def _store(desk: Desk, ordered: list[RegistryEntry], asked: str) -> list[RegistryEntry]:
    def change(entries: dict[str, RegistryEntry]) -> list[RegistryEntry]:
        order = max((entry.order for entry in entries.values()), default=0)
        stored = []
        for entry in ordered:
            former = entries.get(entry.key)
            if former is None or not _is_same(former, entry):
                order += 1
                entries[entry.key] = entry.model_copy(update={"order": order}).moved_to(
                    AgentState.ENABLED, "enabled"
                )
            elif entry.key == asked and former.enabled_by is not None:
                # asked for by a person now, so it stays when the other agent goes
                entries[entry.key] = former.model_copy(update={"enabled_by": None})
            stored.append(entries[entry.key])
        return stored

    return desk.registry.update(change)


def _repos_missing(ref: AgentRef, addresses: Mapping[str, str]) -> NotFoundError:
    commands = "\n".join(f"    ploinky add repo {name} {url}" for name, url in addresses.items())
    return NotFoundError(
        "REPO_NOT_INSTALLED",
        f"Agent '{ref.agent}' is in no installed repository.",
        hint=f"The manifest that asks for it names these repositories; add them:\n{commands}",
        details={"agent": ref.agent, "repos": ", ".join(addresses)},
    )
