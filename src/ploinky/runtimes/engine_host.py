"""The host's side of a container: its socket folder, its user, its launcher, the host's own address."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import open_channel
from ploinky.runtimes.engine_config import Facts
from ploinky.runtimes.engine_models import ContainerReport
from ploinky.runtimes.spec import SOCKET_NAME, RunSpec

CONNECT_TIMEOUT_S = 1.0
NOWHERE = ("192.0.2.1", 9)  # an address for documentation: the route to it is asked, nothing is sent


def container_user(spec: RunSpec, facts: Facts) -> str:
    """``uid:gid`` of everything inside; an image's own choice is overruled.

    The launcher's socket and the workspace's files must be this user's on the host. Rootless engines map
    uid 0 to this user; a rootful engine that serves another user than root must be told who that is.
    """
    uid, gid = os.geteuid(), os.getegid()
    if spec.security.user is not None:
        own, _, group = spec.security.user.partition(":")
        return f"{own}:{group or own}"
    return "0:0" if facts.rootless else f"{uid}:{gid}"


def hand_over(folder: Path, user: str) -> None:
    """Let ``user`` (``uid:gid``) make the launcher's socket in ``folder``, where this process may give it
    away. A rootless engine's users are others on the host: nothing is to be given there."""
    if os.geteuid() == 0:
        uid, gid = (int(word) for word in user.split(":"))
        os.chown(folder, uid, gid)


def make_socket_folder(report: ContainerReport) -> None:
    """Make a container's socket folder again if it is gone: a reboot empties the runtime folder."""
    folder = None if report.socket_dir is None else Path(report.socket_dir)
    if folder is not None and not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True)
        if report.config.user:
            hand_over(folder, report.config.user)


def empty(folder: Path) -> None:
    """Remove what lies in ``folder``; the folder itself belongs to who made the spec."""
    if not folder.is_dir():
        return
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)


def launcher_socket(folder: str | None) -> Path | None:
    """The launcher's socket in the folder that a container reports."""
    return None if folder is None else Path(folder) / SOCKET_NAME


async def ask_launcher_to_end(path: Path, *, grace_s: float) -> None:
    """Ask the launcher to end what it runs; its silence is no failure, the engine is asked next."""
    try:
        with anyio.move_on_after(CONNECT_TIMEOUT_S):
            async with open_channel(path) as channel:
                await channel.shutdown(grace_s)
    except PloinkyError:
        return


def outbound_address() -> str:
    """The host's address on the way out: what a container reaches when no bridge of its own leads home."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
