"""The embedded engine: agents in bubblewrap, without a daemon, an image or root.

An agent sees the host's ``/usr`` read-only and its own mounts. State lies in the folder given to the
constructor (``bubblewrap_records``), so any process with the same folder manages the same sandboxes. The
network is the host's own or none: a published port is the one that the agent itself binds.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import anyio

from ploinky.base import processes
from ploinky.base.errors import PloinkyError
from ploinky.runtimes import bubblewrap_process as process
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap_args import SandboxFiles, host_name, sandbox_args, user_ids
from ploinky.runtimes.bubblewrap_check import Bwrap, check_bubblewrap, find_bwrap
from ploinky.runtimes.bubblewrap_host import find_host_system, host_names, made_up_etc
from ploinky.runtimes.bubblewrap_mounts import (
    check_mounts,
    held_sources,
    make_mount_points,
    remove_mount_points,
)
from ploinky.runtimes.bubblewrap_records import DAMAGED, Record, RecordStore, Run, SandboxFolder
from ploinky.runtimes.bubblewrap_watch import RecordWatcher
from ploinky.runtimes.cgroups import find_cgroup_home, remove_groups
from ploinky.runtimes.launcher_ready import wait_for_launcher
from ploinky.runtimes.log_files import begin_log, read_log, since_offset
from ploinky.runtimes.protocol import LOOPBACK, RuntimeEvent, RuntimeHealth, Sandbox, SandboxState
from ploinky.runtimes.sandbox_limits import plan_limits
from ploinky.runtimes.seccomp import filter_program
from ploinky.runtimes.spec import LABEL_WORKSPACE, NetworkMode, PublishedPort, RunSpec

LABEL_LIMITS = "ploinky.limits"
_START_TIMEOUT_S = 15.0
_CLEAR_TIMEOUT_S = 30.0
_LONGEST_SOCKET_PATH = 107


class BubblewrapRuntime:
    """``Runtime`` over bubblewrap. ``state`` is a folder of the workspace, made when first needed;
    ``environ`` gives ``PATH`` (to find bwrap and interpreters) and ``HOME``."""

    def __init__(self, state: Path, environ: Mapping[str, str]) -> None:
        self._store = RecordStore(state)
        self._environ = environ
        self._bwrap: Bwrap | None = None

    @property
    def kind(self) -> str:
        return "sandbox"

    @property
    def uses_images(self) -> bool:
        return False

    async def check(self) -> RuntimeHealth:
        return await check_bubblewrap(self._environ)

    async def create(self, spec: RunSpec) -> AsyncIterator[str]:
        self._store.sweep()
        _refuse_impossible(spec)
        if self._store.folder(spec.name).path.exists():
            raise errors.name_in_use(spec.name)
        check_mounts(spec)
        for line in _remarks(spec):
            yield line
        made = make_mount_points(spec)
        try:
            self._store.add(Record(id=secrets.token_hex(6), spec=spec, made_folders=made))
        except BaseException:
            remove_mount_points(made)
            raise

    async def start(self, name: str) -> None:
        folder = self._store.folder(name)
        async with folder.locked() as there:
            record = folder.record() if there else None
            if record is None:
                raise errors.sandbox_not_found(name)
            run = folder.run()
            if run is not None and run.alive:
                await self._answers(record.spec, run)
            else:
                await self._begin(folder, record)

    async def stop(self, name: str, *, grace_s: float) -> None:
        folder = self._store.folder(name)
        async with folder.locked() as there:
            if there:
                await self._end(folder, grace_s)

    async def remove(self, name: str) -> None:
        self._store.sweep()
        folder = self._store.folder(name)
        async with folder.locked() as there:
            if not there:
                return
            record = await self._end_for_good(folder)
            if record is not None:
                await _empty(record.spec.socket_dir)
                remove_mount_points(record.made_folders)
            self._store.discard(folder)

    async def image_id(self, image: str) -> str | None:
        """Images are hints."""
        return None

    async def inspect(self, name: str) -> Sandbox | None:
        return _sandbox(self._store.folder(name))

    async def list(self, workspace: str) -> list[Sandbox]:
        self._store.sweep()
        found = []
        for name in self._store.names():
            folder = self._store.folder(name)
            await self._end_orphan(folder)
            sandbox = _sandbox(folder)
            if sandbox is not None and sandbox.labels[LABEL_WORKSPACE] == workspace:
                found.append(sandbox)
        return found

    async def forget(self, workspace: str) -> None:
        self._store.sweep()

    async def router_host(self, workspace: str) -> str:
        """Agents share the host's network."""
        return LOOPBACK

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: str | None = None
    ) -> AsyncIterator[bytes]:
        folder = self._store.folder(name)
        record, run = folder.record(), folder.run()
        if record is None:
            raise errors.sandbox_not_found(name)
        if run is None:
            return
        path = record.spec.log_path
        start = since_offset(path, since, run.started_at, run.log_offset)

        def running() -> bool:
            latest = folder.run()
            return latest is not None and latest.alive

        async for chunk in read_log(path, start=start, tail=tail, follow=follow, running=running):
            yield chunk

    def events(self, workspace: str) -> AsyncIterator[RuntimeEvent]:
        return RecordWatcher(self._store, workspace).events()

    async def aclose(self) -> None:
        """Nothing is held open: the sandboxes go on."""

    async def _begin(self, folder: SandboxFolder, record: Record) -> None:
        """Start the launcher, record the run and wait for its answer; nothing runs after a failure."""
        spec = record.spec
        check_mounts(spec)
        if self._bwrap is None:
            self._bwrap = await find_bwrap(self._environ)
        gate, opener = os.pipe2(os.O_CLOEXEC)
        try:
            await self._undo(folder)
            with held_sources(spec) as held:
                plan = self._plan(folder, spec, self._bwrap, held)
                run = await self._spawn(folder, plan, gate)
            folder.save_run(run)
            os.write(opener, b"x")
            await self._answers(spec, run)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._undo(folder)
            raise
        finally:
            os.close(gate)
            os.close(opener)

    async def _spawn(self, folder: SandboxFolder, plan: process.SpawnPlan, gate: int) -> Run:
        """Like ``process.spawn``; when this host lets no sandbox be made at all, the error says why."""
        try:
            return await process.spawn(folder, plan, gate)
        except PloinkyError as error:
            health = await self.check()
            if not health.usable:
                raise errors.runtime_unavailable("sandbox", health.reason, hint=health.hint) from error
            raise

    def _plan(
        self, folder: SandboxFolder, spec: RunSpec, bwrap: Bwrap, held: Mapping[str, int]
    ) -> process.SpawnPlan:
        files = write_etc(folder, spec)
        host = find_host_system(self._environ)
        limits = plan_limits(find_cgroup_home(), spec.name, spec.resources)
        held = held if bwrap.knows_bind_fd else {}
        return process.SpawnPlan(
            bwrap=bwrap.path,
            args=tuple(sandbox_args(spec, host, files, bwrap.version, held)),
            log_path=spec.log_path,
            log_offset=begin_log(spec.log_path),
            limits=limits,
            resources=spec.resources,
            seccomp=filter_program(os.uname().machine),
            held=tuple(held.values()),
        )

    async def _answers(self, spec: RunSpec, run: Run) -> None:
        async def alive() -> bool:
            return run.alive

        what = f"the launcher of {spec.name} to answer"
        if not await wait_for_launcher(spec.socket_path, alive=alive, what=what, timeout_s=_START_TIMEOUT_S):
            raise errors.start_failed(spec.name, process.said_since(spec.log_path, run.log_offset))

    async def _undo(self, folder: SandboxFolder) -> None:
        """End whatever an earlier or failed start left, so that the sandbox is as if never started."""
        await self._end(folder, 0)
        folder.run_file.unlink(missing_ok=True)
        folder.status_file.unlink(missing_ok=True)

    async def _end_orphan(self, folder: SandboxFolder) -> None:
        """End a launcher whose starter was killed before it could record the run."""
        run, child = folder.run(), folder.monitor_status().child()
        if child is not None and (run is None or run.process != child):
            with folder.try_locked() as locked:
                if locked:
                    await self._undo(folder)

    async def _end_for_good(self, folder: SandboxFolder) -> Record | None:
        """End a sandbox that is to be removed, even if its files are damaged: then what is known is None."""
        try:
            await self._end(folder, 0)
            return folder.record()
        except PloinkyError as error:
            if error.code != DAMAGED:
                raise
        await process.end_leftover(folder)
        await _remove_groups(folder.name, ())
        return None

    async def _end(self, folder: SandboxFolder, grace_s: float) -> None:
        run, record = folder.run(), folder.record()
        if run is not None:
            await process.end(run, grace_s=grace_s, name=folder.name)
        await process.end_leftover(folder)
        await _remove_groups(folder.name, run.cgroups if run is not None else ())
        if record is not None:
            await _clear(record.spec.socket_path)


async def _remove_groups(name: str, recorded: tuple[Path, ...]) -> None:
    """Remove control groups that were recorded, and those that a killed starter would have made."""
    home = find_cgroup_home()
    groups = {*recorded, *(home.folders(name) if home is not None else ())}
    await remove_groups(sorted(groups))


def write_etc(folder: SandboxFolder, spec: RunSpec) -> SandboxFiles:
    """Write the sandbox's own files of ``/etc`` from the host's present names and name servers."""
    uid, gid = user_ids(spec)
    resolv_conf, hosts = host_names()
    texts = made_up_etc(host_name(spec), uid=uid, gid=gid, resolv_conf=resolv_conf, hosts=hosts)
    for name, text in texts.items():
        (folder.etc / name).write_text(text, encoding="utf-8")
    return SandboxFiles(folder.etc, tuple(texts), folder.empty_file)


def _refuse_impossible(spec: RunSpec) -> None:
    if spec.security.privileged:
        raise errors.sandbox_needs_engine(spec.name, "its manifest asks for a privileged container")
    if spec.security.capabilities:
        names = ", ".join(spec.security.capabilities)
        raise errors.sandbox_needs_engine(spec.name, f"its manifest asks for the capabilities {names}")
    if len(os.fsencode(spec.socket_path)) > _LONGEST_SOCKET_PATH:
        raise errors.create_failed(
            spec.name,
            f"the path {spec.socket_path} is longer than {_LONGEST_SOCKET_PATH} bytes.",
            hint="Set XDG_RUNTIME_DIR to a short folder.",
        )


def _remarks(spec: RunSpec) -> Iterator[str]:
    """What a person should know of the difference between the spec and this engine."""
    for port in _ports(spec):
        asked = next(each for each in spec.ports if each.container_port == port.container_port)
        if asked.host_port not in (0, port.host_port):
            yield (
                f"{spec.agent} shares the host's network: its port {port.container_port} is not offered as "
                f"{asked.host_port}."
            )


def _ports(spec: RunSpec) -> tuple[PublishedPort, ...]:
    """Ports as they can be reached: in the host's network the agent binds them itself."""
    if spec.network.mode is NetworkMode.NONE:
        return ()
    return tuple(
        PublishedPort(port.container_port, port.container_port, port.host_ip, port.protocol)
        for port in spec.ports
    )


def _sandbox(folder: SandboxFolder) -> Sandbox | None:
    record, run = folder.record(), folder.run()
    if record is None:
        return None
    labels = record.spec.labels
    if run is None:
        return Sandbox(folder.name, record.id, SandboxState.CREATED, labels)
    labels[LABEL_LIMITS] = run.limits
    if run.alive:
        return Sandbox(
            folder.name,
            record.id,
            SandboxState.RUNNING,
            labels,
            pid=run.pid,
            started_at=run.started_at,
            ports=_ports(record.spec),
        )
    code = folder.monitor_status().exit_code
    return Sandbox(
        folder.name, record.id, SandboxState.EXITED, labels, exit_code=code, started_at=run.started_at
    )


async def _empty(folder: Path) -> None:
    """Remove what lies in a folder that the agent could write to."""
    for each in _children(folder):
        await _clear(each)


async def _clear(path: Path) -> None:
    """Remove whatever the agent put at a path; links are removed, not followed.

    A folder there is mischief, perhaps without rights and thousands of levels deep: the system's own
    tools cope with that.
    """
    if not _is_real_folder(path):
        _unlink(path)
        return
    for words in (("chmod", "-R", "u+rwx"), ("rm", "-rf")):
        await processes.run([*words, "--", str(path)], timeout_s=_CLEAR_TIMEOUT_S)


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if _is_real_folder(folder) else []


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
