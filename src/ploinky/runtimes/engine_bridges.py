"""The host's bridges of base networks: their ports kept apart, and no way from one to another.

Only where they can be reached: as root on the host (``bridges_are_ours``), or for a rootless Podman by
``podman unshare``; ``reach`` holds the words before a command. Podman's own ``isolate`` is not enough:
netavark 1.4 takes the jump to all of its isolation rules away as soon as any isolated network goes down.
So each base bridge gets rules of its own, marked ``ploinky``, that go with its network (without root: with
the namespace that holds all of them).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ploinky.base.processes import run

BRIDGES = Path("/sys/class/net")
BASE_PREFIX = "pk"
LINK_PREFIX = "pl"
# Where containers of this and other programs live; "+" is any ending.
NEIGHBOURS = (f"{BASE_PREFIX}+", f"{LINK_PREFIX}+", "podman+", "cni-+", "docker0", "br-+")
MARK = "ploinky"
TIMEOUT_S = 10.0


def bridge_name(network: str, *, link: bool = False) -> str:
    """The host's interface for a network: 14 characters, of at most 15."""
    prefix = LINK_PREFIX if link else BASE_PREFIX
    return f"{prefix}{hashlib.sha256(network.encode()).hexdigest()[:12]}"


def bridges_are_ours() -> bool:
    """Whether this process may set the bridges that a rootful engine on this machine makes."""
    return os.geteuid() == 0 and BRIDGES.is_dir()


def isolate_ports(network: str, bridges: Path = BRIDGES) -> None:
    """Keep the members of a shared base network apart. Ports come with each start of a container.

    Raises:
        OSError: the bridge is not ours to set.
    """
    for port in (bridges / bridge_name(network) / "brif").glob("*"):
        with contextlib.suppress(FileNotFoundError):  # the container ended meanwhile
            (port / "isolated").write_text("1", encoding="ascii")


def rule_args(bridge: str) -> list[list[str]]:
    """What may not be forwarded from a base bridge: one rule for each kind of neighbour."""
    return [
        ["FORWARD", "-i", bridge, "-o", neighbour, "-m", "comment", "--comment", MARK, "-j", "DROP"]
        for neighbour in NEIGHBOURS
    ]


async def close_ways(network: str, reach: Sequence[str]) -> None:
    """Let nothing pass from a base network to another network of containers. Done once, it stays."""
    bridge = bridge_name(network)
    if await _rules_of(bridge, reach):
        return
    for rule in rule_args(bridge):
        await _iptables(reach, "-I", *rule)


async def open_ways(network: str) -> None:
    """Take back what ``close_ways`` did on the host, for a network that is gone."""
    bridge = bridge_name(network)
    if bridges_are_ours() and await _rules_of(bridge, ()):
        for rule in rule_args(bridge):
            await _iptables((), "-D", *rule)


async def _rules_of(bridge: str, reach: Sequence[str]) -> list[str]:
    lines = (await _iptables(reach, "-S", "FORWARD")).splitlines()
    return [line for line in lines if f"-i {bridge} " in line and MARK in line]


async def _iptables(reach: Sequence[str], *words: str) -> str:
    """Without the program (an engine that uses nftables alone) the engine's own isolation holds."""
    program = shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return ""
    return (await run([*reach, program, "-w", "5", *words], timeout_s=TIMEOUT_S)).text
