"""Bubblewrap under the contract: real sandboxes on this host."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.channel.binary import launcher_folder
from ploinky.runtimes.bubblewrap import BubblewrapRuntime
from ploinky.runtimes.cgroups import Limit, find_cgroup_home
from ploinky.runtimes.spec import Mount, Resources, RunSpec
from tests.contract.engine_under_test import EngineUnderTest, Trait

MEBIBYTE = 1024**2


@cache
def unusable() -> str | None:
    try:
        launcher_folder(os.environ)
    except PloinkyError as error:
        return error.message
    health = anyio.run(BubblewrapRuntime(Path("/nonexistent"), os.environ).check)
    return None if health.usable else health.reason


@asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[EngineUnderTest]:
    state = folder / "state"
    source = (
        "__import__('ploinky.runtimes.bubblewrap', fromlist=['_']).BubblewrapRuntime("
        f"__import__('pathlib').Path({str(state)!r}), __import__('os').environ)"
    )
    yield EngineUnderTest(
        kind="sandbox",
        folder=folder,
        traits=_traits(),
        open_runtime=lambda: BubblewrapRuntime(state, os.environ),
        base=base_spec(folder),
        leftovers=lambda name: leftovers(state, name),
        half_make=lambda spec: half_make(state, spec),
        second_process=source,
    )


def base_spec(folder: Path) -> RunSpec:
    """A spec under a folder of the test, whose agent may write ``/code``."""
    for each in ("sockets", "code", "logs"):
        (folder / each).mkdir(exist_ok=True)
    return RunSpec(
        name=folder.name,
        workspace=folder.name,
        agent="agent",
        image="debian:12",
        socket_dir=folder / "sockets" / "agent",
        launcher_dir=launcher_folder(os.environ),
        log_path=folder / "logs" / "agent.log",
        mounts=(Mount(folder / "code", "/code", read_only=False),),
        resources=Resources(memory=512 * MEBIBYTE),
    )


def half_make(state: Path, spec: RunSpec) -> None:
    """The folder of a sandbox before it got its name."""
    part = state / f".part-{spec.name}-killed"
    (part / "etc").mkdir(parents=True)
    (part / "lock").touch(mode=0o600)


def leftovers(state: Path, name: str) -> list[str]:
    """Files of the state folder, control groups, processes and mounts that tell of a sandbox."""
    found = [str(path) for path in state.rglob(f"*{name}*")]
    home = find_cgroup_home()
    found += [str(path) for path in (home.folders(name) if home else ()) if path.exists()]
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _mentions(process, name):
            found.append(f"process {process.name}")
    return found


def _mentions(process: Path, name: str) -> bool:
    """Whether a process in another view of the file system sees the sandbox's socket folder."""
    try:
        if (process / "ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink():
            return False
        folder, _, agent = name.rpartition("-")
        return f"/{folder}/sockets/{agent} " in (process / "mountinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def _traits() -> frozenset[Trait]:
    home = find_cgroup_home()
    held = home.limits if home is not None else frozenset()
    traits = {Trait.ISOLATES, Trait.PROCESSES, Trait.OUTLIVES}
    traits |= {Trait.MEMORY} if Limit.MEMORY in held else set()
    traits |= {Trait.PIDS} if Limit.PIDS in held or os.geteuid() != 0 else set()
    return frozenset(traits)
