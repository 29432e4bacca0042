"""Runs a plan in bubblewrap: new namespaces over the read-only system of this machine.

Variables (credentials among them) travel in memory, never in an argv. The folder is held by its descriptor,
so that nobody can put a link in its place. Agents' sandboxes are made elsewhere (``runtimes.bubblewrap``).
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import signal
from collections.abc import Mapping

import anyio

from ploinky.runtimes.bubblewrap_args import SandboxFiles, etc_args, system_args
from ploinky.runtimes.bubblewrap_check import Bwrap, check_bubblewrap, find_bwrap
from ploinky.runtimes.bubblewrap_host import HostSystem, find_host_system
from ploinky.runtimes.cgroups import find_cgroup_home, remove_groups
from ploinky.runtimes.errors import runtime_unavailable
from ploinky.runtimes.sandbox_limits import LimitPlan, plan_limits
from ploinky.runtimes.seccomp import filter_program
from ploinky.runtimes.spec import Resources
from ploinky.skills.runs import Ran, RunPlan
from ploinky.skills.scene import (
    NET,
    First,
    Scene,
    held,
    host_python,
    inner_args,
    python_prefix,
    seen_env,
    write_etc,
)
from ploinky.skills.streams import Pipes, converse

_ID = 1000
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 97; shift; done; shift; exec "$@"'


class BubblewrapBox:
    """``Box`` over bubblewrap."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._host = find_host_system(environ)

    async def require(self) -> None:
        health = await check_bubblewrap(self._environ)
        if not health.usable:
            raise runtime_unavailable("sandbox", health.reason, hint=health.hint)

    async def run(self, plan: RunPlan, scene: Scene) -> Ran:
        bwrap = await find_bwrap(self._environ)
        resources = Resources(memory=plan.bounds.memory, pids=plan.bounds.processes)
        limits = plan_limits(find_cgroup_home(), f"skill-{secrets.token_hex(6)}", resources)
        try:
            return await self._spawn(plan, bwrap, scene, limits)
        finally:
            with anyio.CancelScope(shield=True):
                await remove_groups(limits.groups)

    async def _spawn(self, plan: RunPlan, bwrap: Bwrap, scene: Scene, limits: LimitPlan) -> Ran:
        with contextlib.ExitStack() as stack:
            mounted = _held(stack, plan)
            options = sandbox_options(plan, self._host, scene, bwrap, mounted)
            passed = list(mounted.values())
            seccomp = filter_program(platform.machine())
            if seccomp is not None:
                passed.append(_in_memory(stack, seccomp))
                options += ["--seccomp", str(passed[-1])]
            passed.append(_in_memory(stack, b"".join(f"{each}\0".encode() for each in options)))
            argv = [
                *("/bin/sh", "-c", _ENTER, "ploinky-skill"),
                *(str(each) for each in limits.entries),
                *("--", str(bwrap.path), "--args", str(passed[-1]), "--"),
                *inner_args(plan, First(host_python(), plan.bounds.processes), proxied=scene.proxied),
            ]
            return await _run(argv, tuple(passed), plan)


def sandbox_options(
    plan: RunPlan, host: HostSystem, scene: Scene, bwrap: Bwrap, mounted: Mapping[str, int]
) -> list[str]:
    """The options of bwrap for a plan; ``mounted`` are descriptors by where they are seen."""
    half = plan.bounds.memory // 2
    files = SandboxFiles(scene.etc, write_etc(scene, plan, uid=_ID, gid=_ID), scene.etc)
    options = [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--unshare-net",
    ]
    options += ["--disable-userns"] if bwrap.version.knows_disable_userns else []
    options += ["--uid", str(_ID), "--gid", str(_ID), "--hostname", "skill", "--cap-drop", "ALL"]
    options += ["--new-session", "--as-pid-1", "--die-with-parent", "--clearenv"]
    for name, value in seen_env(plan).items():
        options += ["--setenv", name, value]
    options += [*system_args(host, bwrap.version, half), *etc_args(host, files)]
    for target, descriptor in mounted.items():
        option = "--bind" if target == plan.seen_at else "--ro-bind"
        options += [option, f"/proc/self/fd/{descriptor}", target]
    options += ["--ro-bind", str(scene.run), NET]
    prefix = python_prefix()
    if prefix is not None:
        options += ["--ro-bind", str(prefix), str(prefix)]
    return [*options, "--remount-ro", "/", "--chdir", plan.cwd]


def _held(stack: contextlib.ExitStack, plan: RunPlan) -> dict[str, int]:
    """Descriptors of what is mounted, by where it is seen."""
    found = {}
    for target, path in {**plan.shown, plan.seen_at: plan.folder}.items():
        found[target] = held(path.absolute())
        stack.callback(os.close, found[target])
    return found


def _in_memory(stack: contextlib.ExitStack, data: bytes) -> int:
    descriptor = os.memfd_create("ploinky-skill")
    stack.callback(os.close, descriptor)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def _run(argv: list[str], passed: tuple[int, ...], plan: RunPlan) -> Ran:
    with Pipes() as pipes:
        stdin, stdout, stderr = pipes.inner
        process = await anyio.open_process(
            argv, env={}, cwd="/", stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=passed,
            start_new_session=True,
        )  # fmt: skip
        pipes.close_inner()

        async def ended() -> None:
            await process.wait()

        async def end() -> None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

        output, errors, ending = await converse(
            pipes, plan.folder, plan.stdin, plan.bounds, ended=ended, end=end
        )
    code = process.returncode if process.returncode is not None else -9
    return Ran(code, output, errors, ending)
