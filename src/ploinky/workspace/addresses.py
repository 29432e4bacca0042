"""Which addresses the gateway may listen on.

Loopback, private, link-local and Tailscale addresses, and names that mean only such, are for everybody who
can log in. Any other reaches the world: it needs ``gateway.allowPublic``, TLS or a proxy that has it, and an
auth mode other than ``none``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from ploinky.base.errors import UsageError

if TYPE_CHECKING:
    from ploinky.workspace.settings import GatewaySettings

LOOPBACK = "127.0.0.1"
_TAILSCALE = (ip_network("100.64.0.0/10"), ip_network("fd7a:115c:a1e0::/48"))
_PRIVATE = (
    ip_network("10.0.0.0/8"),
    ip_network("172.16.0.0/12"),
    ip_network("192.168.0.0/16"),
    ip_network("fc00::/7"),
)
Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Sequence[str]]


def bind_address(gateway: GatewaySettings) -> str:
    """The address or name of the settings; the loopback unless they say otherwise."""
    if gateway.bind_address:
        return gateway.bind_address
    return LOOPBACK if gateway.bind == "loopback" else gateway.bind


def resolve_name(name: str) -> Sequence[str]:
    """The addresses of a host name; none if it has none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def require_bindable(gateway: GatewaySettings, resolve: Resolve = resolve_name) -> str:
    """The address to listen on; a name becomes the address it means.

    Raises:
        UsageError: ``BIND_REFUSED`` or ``BIND_UNKNOWN``, saying what would have to be set.
    """
    wanted = bind_address(gateway).strip().strip("[]")
    if not wanted:
        raise UsageError("BIND_UNKNOWN", "gateway.bindAddress is empty.", details={"field": "bindAddress"})
    addresses = _addresses(wanted, resolve)
    if all(is_near(address) for address in addresses):
        return str(addresses[0])
    missing = _missing_for_public(gateway)
    if missing:
        raise UsageError(
            "BIND_REFUSED",
            f"The gateway does not listen on {wanted}: others than you could reach it there.",
            hint=f"Use a loopback, private or Tailscale address, or set {' and '.join(missing)}.",
            details={"field": "bindAddress"},
        )
    return str(addresses[0])


def is_near(address: Address) -> bool:
    """Whether an address is reached only from this machine or a network of its owner."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None:
        return is_near(mapped)
    if address.is_unspecified or address.is_multicast:
        return False
    known = (*_TAILSCALE, *_PRIVATE)
    return (
        address.is_loopback
        or address.is_link_local
        or any(address.version == network.version and address in network for network in known)
    )


def _addresses(wanted: str, resolve: Resolve) -> list[Address]:
    try:
        return [ip_address(wanted.partition("%")[0])]
    except ValueError:
        found = [ip_address(each.partition("%")[0]) for each in resolve(wanted)]
    if not found:
        raise UsageError(
            "BIND_UNKNOWN",
            f"{wanted!r} is no address, and no host of that name is known.",
            hint="Give an address of this machine, such as 127.0.0.1 or that of its Tailscale interface.",
            details={"field": "bindAddress"},
        )
    return found


def _missing_for_public(gateway: GatewaySettings) -> list[str]:
    missing = []
    if not gateway.allow_public:
        missing.append("gateway.allowPublic")
    if gateway.tls is None and not gateway.proxy:
        missing.append("gateway.tls or gateway.proxy")
    if gateway.auth.mode == "none":
        missing.append("gateway.auth.mode to token or password")
    return missing
