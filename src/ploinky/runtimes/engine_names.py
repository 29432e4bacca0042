"""Names that an agent reaches others by, kept by us in its ``/etc/hosts``.

Podman's name server forgets: a thread of it that misses a reload keeps its network's port with the old
table, so that a name which came or moved meanwhile stays unknown until that server ends (aardvark-dns 1.4).
Here the names of a workspace's links are written from what the engine reports, after each start, under a
lock: whoever writes last has seen at least its own start. Names of the outside still go to the servers of
``/etc/resolv.conf``. Knows no manifest; the engine mounts the file read-only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from ploinky.base.files import FileLock, read_text
from ploinky.runtimes.engine_config import HOSTS_TARGET, LABEL_ALIASES
from ploinky.runtimes.engine_models import ContainerReport, ContainerRow
from ploinky.runtimes.engine_network import WorkspaceNetworks, is_link
from ploinky.runtimes.spec import LABEL_WORKSPACE

HOST_NAMES = ("host.containers.internal", "host.docker.internal")
_FOLDER = "names"
_LOCK_TIMEOUT_S = 20.0
_BLOCK = 4096
_SHORT_ID = 12


class HostsFiles:
    """One file per container, in a folder per workspace. ``folder`` is private to the user."""

    def __init__(self, folder: Path, *, of_host: Path = Path(HOSTS_TARGET)) -> None:
        self._folder = folder / _FOLDER
        self._of_host = of_host

    @property
    def lock(self) -> FileLock:
        """Held while names are asked for and written."""
        return FileLock(self._folder.with_suffix(".lock"), timeout_s=_LOCK_TIMEOUT_S)

    def ensure(self, workspace: str, container: str) -> Path:
        """The container's file, made if it is missing (it is gone after a reboot)."""
        path = self._folder / workspace / container
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not path.exists():
            self._write(path, hosts_text({}, ""))
        return path

    def write(self, workspace: str, container: str, names: Mapping[str, Sequence[str]]) -> None:
        """Replace the container's names (address to names)."""
        path = self.ensure(workspace, container)
        self._write(path, hosts_text(names, read_text(self._of_host) or ""))

    def keep(self, workspace: str, containers: Collection[str]) -> None:
        """Remove the files of all other containers, and the folder if none is left."""
        folder = self._folder / workspace
        if not folder.is_dir():
            return
        for path in folder.iterdir():
            if path.name not in containers:
                path.unlink(missing_ok=True)
        if not containers:
            with contextlib.suppress(OSError):  # another command has just begun to make one
                folder.rmdir()

    def _write(self, path: Path, text: str) -> None:
        """In place, since a mount follows the file and not its name; in one write of whole blocks, so that
        a reader sees the old text or the new."""
        data = text.encode()
        data += b"\n" * (-len(data) % _BLOCK)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            os.pwrite(descriptor, data, 0)
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)


async def tell_names(networks: WorkspaceNetworks, files: HostsFiles, report: ContainerReport) -> None:
    """Write what a container that was just started knows, and all that share a link with it."""
    workspace = report.config.labels[LABEL_WORKSPACE]
    lock = files.lock
    await anyio.to_thread.run_sync(lock.__enter__)
    try:
        links = {each.name for each in await networks.networks(workspace) if is_link(each)}
        rows = await networks.containers(workspace)
        shared = links & set(report.network.networks)
        for row in rows:
            if row.id == report.id or shared & set(row.network.networks):
                files.write(workspace, row.name, names_of(row, rows, links))
    finally:
        lock.__exit__(None, None, None)


def hosts_text(names: Mapping[str, Sequence[str]], of_host: str) -> str:
    """The text of a hosts file; ``of_host`` is that of this machine, whose further names are kept."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += (f"{address} {' '.join(dict.fromkeys(each))}" for address, each in names.items() if address)
    known = {name for each in names.values() for name in each}
    lines += (line for line in _further(of_host) if not known & set(line.split()[1:]))
    return "".join(f"{line}\n" for line in lines)


def names_of(own: ContainerRow, rows: Iterable[ContainerRow], links: Collection[str]) -> dict[str, list[str]]:
    """Address to names, as one container should know them: the host, itself, who shares a link with it."""
    found: dict[str, list[str]] = {}
    for network, endpoint in own.network.networks.items():
        if network not in links and endpoint.gateway:
            found.setdefault(endpoint.gateway, []).extend(HOST_NAMES)
        if endpoint.address:
            found.setdefault(endpoint.address, []).extend([*_aliases(own), own.name, own.id[:_SHORT_ID]])
    told = set(_aliases(own))
    for row in rows:
        if row.id == own.id:
            continue
        shared = [name for name in row.network.networks if name in links and name in own.network.networks]
        address = next((row.network.networks[name].address for name in shared), "")
        if address:
            fresh = [name for name in (*_aliases(row), row.name, row.id[:_SHORT_ID]) if name not in told]
            told.update(fresh)
            found.setdefault(address, []).extend(fresh)
    return {address: names for address, names in found.items() if names}


def _aliases(row: ContainerRow) -> list[str]:
    return [name for name in row.labels.get(LABEL_ALIASES, "").split(",") if name]


def _further(of_host: str) -> Iterator[str]:
    """The lines of this machine's file that lead to another machine."""
    for line in of_host.splitlines():
        words = line.split("#", 1)[0].split()
        try:
            outside = len(words) > 1 and not ipaddress.ip_address(words[0]).is_loopback
        except ValueError:
            continue
        if outside and not ipaddress.ip_address(words[0]).is_multicast and words[0] != "fe00::0":
            yield " ".join(words)
