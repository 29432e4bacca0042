"""Whether bubblewrap works here, and if not, which lock of the host holds it and what opens it.

The proof is a real sandbox of the namespaces that every agent gets. To explain one more lock: a row in
``_LOCKS``.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.processes import run
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap_args import BwrapVersion
from ploinky.runtimes.cgroups import find_cgroup_home
from ploinky.runtimes.protocol import RuntimeHealth
from ploinky.runtimes.sandbox_limits import expected_limits

_INSTALL = (
    "Install it. Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap; "
    "Arch: pacman -S bubblewrap"
)
_CHECK_TIMEOUT_S = 10.0
_OLDEST = (0, 5)


@dataclass(frozen=True)
class Bwrap:
    """The program and what it can do. ``--bind-fd`` came with 0.10; some older ones were given it."""

    path: Path
    version: BwrapVersion
    knows_bind_fd: bool


@dataclass(frozen=True)
class Lock:
    """A setting of the host that forbids sandboxes; ``file`` is below ``/proc/sys``."""

    file: str
    closed: Callable[[str], bool]
    reason: str
    hint: str


_LOCKS = (
    Lock(
        "kernel/apparmor_restrict_unprivileged_userns",
        lambda value: value == "1",
        "AppArmor forbids user namespaces to programs without a profile (Ubuntu 23.10 and later)",
        "Allow it for bwrap with a profile in /etc/apparmor.d/bwrap holding: abi <abi/4.0>, "
        "include <tunables/global> profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, } "
        "and: sudo systemctl reload apparmor. Or for everything, until the next boot: "
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    Lock(
        "kernel/unprivileged_userns_clone",
        lambda value: value == "0",
        "the kernel forbids user namespaces to ordinary users",
        "Allow them: sudo sysctl kernel.unprivileged_userns_clone=1 (to keep it, a file in /etc/sysctl.d)",
    ),
    Lock(
        "user/max_user_namespaces",
        lambda value: value == "0",
        "the number of user namespaces is limited to 0",
        "Allow some: sudo sysctl user.max_user_namespaces=15000 (to keep it, a file in /etc/sysctl.d)",
    ),
)
_IN_CONTAINER = "this system is a container that forbids nested namespaces or mounts of /proc"
_CONTAINER_HINT = (
    "Start the container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined "
    "(Docker, Podman; with AppArmor also apparmor=unconfined), or give Ploinky an engine: --runtime podman"
)
_CONTAINER_MARKS = (".dockerenv", "run/.containerenv")


async def find_bwrap(environ: Mapping[str, str]) -> Bwrap:
    """The bwrap on ``PATH``.

    Raises:
        PloinkyError: ``RUNTIME_UNAVAILABLE`` if it is missing or too old.
    """
    found = shutil.which("bwrap", path=environ.get("PATH", ""))
    if found is None:
        raise errors.runtime_unavailable("sandbox", "bwrap is not installed.", hint=_INSTALL)
    answer = await run([found, "--version"], timeout_s=_CHECK_TIMEOUT_S)
    numbers = re.search(r"(\d+)\.(\d+)", answer.text)
    version = BwrapVersion(int(numbers[1]), int(numbers[2])) if numbers else BwrapVersion(0, 0)
    if (version.major, version.minor) < _OLDEST:
        raise errors.runtime_unavailable(
            "sandbox", f"{found} is too old ({answer.text.strip()}; 0.5 or later is needed).", hint=_INSTALL
        )
    options = await run([found, "--help"], timeout_s=_CHECK_TIMEOUT_S)
    return Bwrap(Path(found), version, "--ro-bind-fd" in options.text + options.error_text)


async def check_bubblewrap(environ: Mapping[str, str], root: Path = Path("/")) -> RuntimeHealth:
    """Run ``true`` in a sandbox. ``root`` is another folder in tests of the explanation."""
    try:
        bwrap = await find_bwrap(environ)
        argv = [str(bwrap.path), *probe_args(bwrap.version), "--", "/usr/bin/true"]
        done = await run(argv, timeout_s=_CHECK_TIMEOUT_S, env={})
    except PloinkyError as error:
        return RuntimeHealth(usable=False, version=None, reason=error.message, hint=error.hint)
    version = f"bubblewrap {bwrap.version.major}.{bwrap.version.minor}"
    if done.returncode == 0:
        return RuntimeHealth(
            usable=True, version=version, reason=f"works; limits: {expected_limits(find_cgroup_home())}"
        )
    reason, hint = explain_refusal(root)
    said = done.error_text.strip().splitlines()[:1]
    return RuntimeHealth(usable=False, version=version, reason="; ".join([reason, *said]), hint=hint)


def probe_args(version: BwrapVersion) -> list[str]:
    """The least sandbox that has all namespaces of an agent's."""
    args = ["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64"]
    args += ["--proc", "/proc", "--dev", "/dev", "--unshare-user", "--unshare-pid", "--unshare-ipc"]
    args += ["--unshare-uts", "--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    return [*args, *(["--disable-userns"] if version.knows_disable_userns else [])]


def explain_refusal(root: Path) -> tuple[str, str]:
    """The most likely reason why a sandbox cannot be made on this host, and what to do."""
    for lock in _LOCKS:
        try:
            value = (root / "proc/sys" / lock.file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if lock.closed(value):
            return lock.reason, lock.hint
    if any((root / mark).exists() for mark in _CONTAINER_MARKS):
        return _IN_CONTAINER, _CONTAINER_HINT
    return "bwrap cannot make a sandbox here", "Try it by hand: bwrap --ro-bind / / --unshare-user true"
