"""Runs a program that nobody trusts, in bubblewrap: one writable folder, a clean environment, bounds on all.

The folder is seen at ``/skill``, with a home of its own inside; the system is read-only; there is no network
but the proxy of ``proxy`` to the hosts of the plan. The whole tree of processes ends with the call. Variables
(credentials among them) travel in memory, never in an argv. Assistants' ``exec`` uses it too.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.base.files import hold_path
from ploinky.base.outbound import OutboundPolicy
from ploinky.runtimes.bubblewrap_args import SandboxFiles, etc_args, system_args, tmpfs_args
from ploinky.runtimes.bubblewrap_check import Bwrap, find_bwrap
from ploinky.runtimes.bubblewrap_host import HOST_TOOLS, HostSystem, find_host_system, made_up_etc
from ploinky.runtimes.cgroups import find_cgroup_home, remove_groups
from ploinky.runtimes.sandbox_limits import LimitPlan, plan_limits
from ploinky.runtimes.seccomp import filter_program
from ploinky.runtimes.spec import Resources
from ploinky.skills.proxy import ProxyRules, serving_proxy, upstream_of

FOLDER = "/skill"
HOME = f"{FOLDER}/.home"
_NET = "/run/ploinky"
_TMP = "/tmp"  # noqa: S108 (inside: a tmpfs of its own)
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 97; shift; done; shift; exec "$@"'
_PATH = f"{FOLDER}/bin:{FOLDER}/.venv/bin:{FOLDER}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"
_WATCH_S = 0.1


class Ending(StrEnum):
    """Why a run ended."""

    EXIT = "exit"
    TIME = "time"
    DISK = "disk"


@dataclass(frozen=True)
class Bounds:
    """What a run may use: seconds, bytes of memory, of the writable folder, of output; processes."""

    timeout_s: float = 300.0
    memory: int = 2 * 1024**3
    disk: int = 1024**3
    processes: int = 256
    output: int = 1024 * 1024


@dataclass(frozen=True)
class RunPlan:
    """One program to run: its words, the writable ``folder`` of this machine, the hosts it may reach.

    ``shown`` are further paths of this machine seen read-only, by where they are seen; ``seen_at`` is where
    the writable folder is.
    """

    argv: tuple[str, ...]
    folder: Path
    hosts: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    shown: Mapping[str, Path] = field(default_factory=dict)
    seen_at: str = FOLDER
    cwd: str = FOLDER
    stdin: bytes = b""
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class Ran:
    """How a run ended; ``refused`` are hosts that it asked for in vain."""

    returncode: int
    stdout: bytes
    stderr: bytes
    ending: Ending
    refused: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.ending is Ending.EXIT and self.returncode == 0


class Sandbox:
    """Runs plans on this machine. ``environ`` is that of the product, ``policy`` that of its fetches."""

    def __init__(self, environ: Mapping[str, str], policy: OutboundPolicy | None = None) -> None:
        self._environ = dict(environ)
        self._policy = policy or OutboundPolicy()
        self._host = find_host_system(environ)

    async def run(self, plan: RunPlan) -> Ran:
        """Run ``plan`` to its end or its bounds.

        Raises:
            PloinkyError: ``RUNTIME_UNAVAILABLE`` where bubblewrap cannot run: then nothing runs at all.
        """
        bwrap = await find_bwrap(self._environ)
        rules = ProxyRules(plan.hosts, self._policy, upstream_of(self._environ))
        name = f"skill-{secrets.token_hex(6)}"
        bounds = plan.bounds
        resources = Resources(memory=bounds.memory, pids=bounds.processes)
        limits = plan_limits(find_cgroup_home(), name, resources)
        folder = Path(tempfile.mkdtemp(prefix="ps-"))  # short: a socket lies in it
        try:
            async with contextlib.AsyncExitStack() as stack:
                if plan.hosts:
                    await stack.enter_async_context(serving_proxy(folder / "proxy.sock", rules))
                ran = await self._spawn(plan, bwrap, folder, limits)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with anyio.CancelScope(shield=True):
                await remove_groups(limits.groups)
        return Ran(ran.returncode, ran.stdout, ran.stderr, ran.ending, tuple(dict.fromkeys(rules.refused)))

    async def _spawn(self, plan: RunPlan, bwrap: Bwrap, folder: Path, limits: LimitPlan) -> Ran:
        with contextlib.suppress(FileExistsError):  # a link that a program left there stays one
            (plan.folder / ".home").mkdir()
        with contextlib.ExitStack() as stack:
            held = _held(stack, plan)
            options = sandbox_options(plan, self._host, _files(folder), bwrap, held)
            passed = list(held.values())
            seccomp = filter_program(platform.machine())
            if seccomp is not None:
                passed.append(_in_memory(stack, seccomp))
                options += ["--seccomp", str(passed[-1])]
            passed.append(_in_memory(stack, b"".join(f"{each}\0".encode() for each in options)))
            argv = [
                *("/bin/sh", "-c", _ENTER, "ploinky-skill"),
                *(str(each) for each in limits.entries),
                *("--", str(bwrap.path), "--args", str(passed[-1]), "--"),
                *inner_argv(plan, proxied=bool(plan.hosts)),
            ]
            return await _run(argv, passed, plan)


def sandbox_options(
    plan: RunPlan, host: HostSystem, files: SandboxFiles, bwrap: Bwrap, held: Mapping[str, int]
) -> list[str]:
    """The options of bwrap for a plan; ``held`` are descriptors of what is mounted, by where it is seen."""
    half = plan.bounds.memory // 2
    options = [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--unshare-net",
    ]
    options += ["--disable-userns"] if bwrap.version.knows_disable_userns else []
    options += ["--uid", "1000", "--gid", "1000", "--hostname", "skill", "--cap-drop", "ALL"]
    options += ["--new-session", "--die-with-parent", "--clearenv"]
    env = {
        "PATH": f"{_PATH}:{HOST_TOOLS}",
        "HOME": f"{plan.seen_at}/.home",
        "LANG": "C.UTF-8",
        "TMPDIR": _TMP,
        "SKILL_DIR": FOLDER,
    }
    for name, value in {**env, **plan.env}.items():
        options += ["--setenv", name, value]
    options += [*system_args(host, bwrap.version, half), *etc_args(host, files)]
    options += [*tmpfs_args(_NET, bwrap.version, 4096, mode="0755")]
    for target, descriptor in held.items():
        option = "--bind" if target == plan.seen_at else "--ro-bind"
        options += [option, f"/proc/self/fd/{descriptor}", target]
    options += ["--ro-bind", str(Path(__file__).with_name("inside.py")), f"{_NET}/inside.py"]
    if plan.hosts:
        options += ["--ro-bind", str(files.etc.parent / "proxy.sock"), f"{_NET}/proxy.sock"]
    prefix = _python_prefix()
    if prefix is not None:
        options += ["--ro-bind", str(prefix), str(prefix)]
    return [*options, "--remount-ro", _NET, "--remount-ro", "/", "--chdir", plan.cwd]


def inner_argv(plan: RunPlan, *, proxied: bool) -> list[str]:
    """The command line inside: the first program with its bounds, then the plan's own."""
    prefix = _python_prefix()
    python = f"{prefix}/bin/python3" if prefix is not None else sys.executable
    bounds = [str(plan.bounds.memory), str(plan.bounds.processes), str(plan.bounds.disk)]
    proxy = f"{_NET}/proxy.sock" if proxied else "-"
    return [python, "-I", "-S", f"{_NET}/inside.py", *bounds, proxy, "--", *plan.argv]


def _python_prefix() -> Path | None:
    """The installation of this Python, if ``/usr`` does not show it anyway."""
    prefix = Path(sys.base_prefix).resolve()
    return None if prefix == Path("/usr") or Path("/usr") in prefix.parents else prefix


def _held(stack: contextlib.ExitStack, plan: RunPlan) -> dict[str, int]:
    """Descriptors of what is mounted: nobody can put a link in its place any more."""
    held = {}
    for target, path in {**plan.shown, plan.seen_at: plan.folder}.items():
        try:
            held[target] = hold_path(path.absolute())
        except OSError as error:
            raise PloinkyError(
                "SKILL_FOLDER", f"{path} cannot be given to a sandbox: {error.strerror}."
            ) from error
        stack.callback(os.close, held[target])
    return held


def _files(folder: Path) -> SandboxFiles:
    etc = folder / "etc"
    etc.mkdir()
    texts = made_up_etc("skill", uid=1000, gid=1000, resolv_conf="", hosts="")
    texts["passwd"] = texts["passwd"].replace("/home/agent", HOME)
    for name, text in texts.items():
        (etc / name).write_text(text, encoding="utf-8")
    empty = folder / "empty"
    empty.touch()
    return SandboxFiles(etc, tuple(texts), empty)


def _in_memory(stack: contextlib.ExitStack, data: bytes) -> int:
    descriptor = os.memfd_create("ploinky-skill")
    stack.callback(os.close, descriptor)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def _run(argv: Sequence[str], passed: Sequence[int], plan: RunPlan) -> Ran:
    process = await anyio.open_process(
        list(argv), env={}, cwd="/", pass_fds=tuple(passed), start_new_session=True
    )
    output, errors = bytearray(), bytearray()
    ending = Ending.EXIT
    try:
        with anyio.move_on_after(plan.bounds.timeout_s) as scope:
            async with anyio.create_task_group() as tasks:
                watch = anyio.CancelScope()
                tasks.start_soon(_feed, process, plan.stdin)
                tasks.start_soon(_drain, process.stdout, output, plan.bounds.output)
                tasks.start_soon(_drain, process.stderr, errors, plan.bounds.output)
                full = [False]
                tasks.start_soon(_watch_disk, plan, process, watch, full)
                await process.wait()
                watch.cancel()
            ending = Ending.DISK if full[0] else Ending.EXIT
        if scope.cancelled_caught:
            ending = Ending.TIME
    finally:
        _kill(process)
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
    code = process.returncode if process.returncode is not None else -9
    return Ran(code, bytes(output), bytes(errors), ending)


async def _watch_disk(
    plan: RunPlan, process: anyio.abc.Process, watch: anyio.CancelScope, full: list[bool]
) -> None:
    with watch:
        while True:
            await anyio.sleep(_WATCH_S)
            used = await anyio.to_thread.run_sync(_used_bytes, plan.folder, plan.bounds.disk)
            if used > plan.bounds.disk:
                full[0] = True
                _kill(process)
                return


def _used_bytes(folder: Path, enough: int) -> int:
    """Bytes below ``folder``, counted until there are more than ``enough``."""
    used = 0
    for entry in _entries(folder):
        used += entry
        if used > enough:
            break
    return used


def _entries(folder: Path) -> Iterator[int]:
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    yield entry.stat(follow_symlinks=False).st_blocks * 512 + 256
        except OSError:
            continue  # removed meanwhile


def _kill(process: anyio.abc.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 9)
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _feed(process: anyio.abc.Process, data: bytes) -> None:
    assert process.stdin is not None
    try:
        if data:
            await process.stdin.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # it did not want all of its input
    finally:
        await process.stdin.aclose()


async def _drain(stream: anyio.abc.ByteReceiveStream | None, into: bytearray, limit: int) -> None:
    assert stream is not None
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for chunk in stream:
            into.extend(chunk[: max(0, limit - len(into))])
