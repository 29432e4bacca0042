"""A run in the words of the Docker-compatible API: a pure function, no engine is asked.

Nothing secret is in it: engines keep and show what a container is made of. Without an image of its own the
container sees the programs of this machine, read-only, as bubblewrap shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.runtimes.bubblewrap_host import HOST_TOOLS, HostSystem
from ploinky.runtimes.engine_config import (
    SCRATCH_OPTIONS,
    CreateBody,
    Facts,
    JsonObject,
    Traits,
    bind,
    limits,
    rights,
)
from ploinky.runtimes.spec import Mount, Resources, Security
from ploinky.skills.runs import RunPlan
from ploinky.skills.scene import NET, TMP, First, Scene, inner_args, python_prefix

LABEL = "ploinky.run"


@dataclass(frozen=True)
class Container:
    """What a run's container is made of besides its plan: who it is inside, whose it is (``owner``)."""

    image: str
    first: First
    user: str
    owner: str
    mounts: tuple[Mount, ...]


def container_body(
    plan: RunPlan, container: Container, *, proxied: bool, traits: Traits, facts: Facts
) -> CreateBody:
    """The container of ``plan``: no network, a read-only root, no rights, bounds; gone when it ends."""
    half = plan.bounds.memory // 2
    extra = () if traits.tmpfs_option is None else (traits.tmpfs_option,)
    resources = Resources(memory=plan.bounds.memory, pids=plan.bounds.processes)
    host: JsonObject = {
        "AutoRemove": True,
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "IpcMode": "private",
        "ShmSize": half,
        "Tmpfs": {TMP: ",".join((*SCRATCH_OPTIONS, f"size={half}", *extra))},
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "none"},
        "Mounts": [bind(each) for each in container.mounts],
        **rights(Security(), facts),
        **(limits(resources) if facts.limits else {}),
    }
    if facts.rootless and traits.keeps_id:
        uid, gid = container.user.split(":")
        host["UsernsMode"] = f"keep-id:uid={uid},gid={gid}"
    return {
        "Image": container.image,
        "Entrypoint": inner_args(plan, container.first, proxied=proxied),
        "Cmd": [],
        "Env": [],
        "Labels": {LABEL: container.owner},
        "WorkingDir": "/",
        "User": container.user,
        "HostConfig": host,
    }


def own_mounts(plan: RunPlan, scene: Scene, sources: Mapping[str, Path]) -> tuple[Mount, ...]:
    """What every run sees: the first program, the plan's folders. ``sources`` are checked paths by target."""
    shown = [Mount(path, target, read_only=target != plan.seen_at) for target, path in sources.items()]
    return (Mount(scene.run, NET, read_only=True), *shown)


def host_mounts(host: HostSystem, scene: Scene, etc_names: tuple[str, ...]) -> tuple[Mount, ...]:
    """This machine's programs, and an ``/etc`` that tells nothing of it."""
    folders = ["/usr", *host.folders]
    folders += [str(tool.prefix) for tool in host.tools if tool.prefix is not None]
    prefix = python_prefix()
    folders += [] if prefix is None else [str(prefix)]
    mounts = [Mount(Path(each), each, read_only=True) for each in dict.fromkeys(folders)]
    mounts += [Mount(Path(f"/etc/{name}").resolve(), f"/etc/{name}", read_only=True) for name in host.etc]
    mounts += [Mount(scene.etc / name, f"/etc/{name}", read_only=True) for name in etc_names]
    if host.tools:
        mounts.append(Mount(scene.folder / "tools", HOST_TOOLS, read_only=True))
    return tuple(mounts)
