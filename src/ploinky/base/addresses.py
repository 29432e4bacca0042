"""Which network addresses belong to everybody: the ones that a fetch for somebody else may reach.

Everything that is not plainly public is refused, and an address that carries another (IPv4-mapped, NAT64,
6to4, Teredo) counts by what it carries or is refused. To refuse one more range, add a row to ``_REFUSED``.
"""

from __future__ import annotations

import ipaddress

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "a private network"),
    ("100.64.0.0/10", "a carrier's inner network"),
    ("127.0.0.0/8", "this machine"),
    ("168.63.129.16/32", "a cloud's metadata service"),
    ("169.254.0.0/16", "link-local (where clouds keep their metadata service)"),
    ("172.16.0.0/12", "a private network"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "a 6to4 relay"),
    ("192.168.0.0/16", "a private network"),
    ("198.18.0.0/15", "for benchmarks"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("2001::/23", "reserved or a tunnel"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "a 6to4 tunnel"),
    ("3fff::/20", "for documentation"),
)
_NETWORKS = tuple((ipaddress.ip_network(network), reason) for network, reason in _REFUSED)
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address or name."""
    address = find_ip(host)
    return host == "localhost" if address is None else address.is_loopback


def find_ip(text: str) -> IPAddress | None:
    """The address that ``text`` spells in its usual form (brackets and zone removed), or None."""
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def why_not_public(address: IPAddress) -> str | None:
    """What ``address`` belongs to if a fetch may not reach it, else None."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return why_not_public(carried)
        if address not in _PUBLIC_V6:
            return "this machine" if address.is_loopback else "not a public IPv6 network"
    for network, reason in _NETWORKS:
        if address in network:
            return reason
    return None


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
