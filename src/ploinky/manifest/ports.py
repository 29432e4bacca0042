"""The ``ports`` grammar: ``[ip:][host:]container[/udp]``, single ports or ranges of the same length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from ploinky.base.errors import UsageError
from ploinky.manifest.values import PortSpec

_FORM = re.compile(
    r"(?:(?:(?P<ip>[0-9.]+|\[[0-9A-Fa-f:.]+\]):)?(?P<host>[0-9]+(?:-[0-9]+)?)?:)?"
    r"(?P<container>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>[A-Za-z]+))?\Z"
)
_HINT = "Write 7000, '8000:8000', '127.0.0.1:8000:8000' or '[::1]:8000:8000'; '/udp' and ranges may follow."
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  read, not bound
_LONGEST_RANGE = 1024


def parse_port(spec: str | int) -> tuple[PortSpec, ...]:
    """Read one entry; a range gives one port each, in order. Without a host port a free one is chosen.

    Raises:
        UsageError: ``BAD_PORT``, saying what is wrong.
    """
    text = str(spec).strip()
    form = None if isinstance(spec, bool) else _FORM.match(text)
    if form is None:
        raise _bad(f"{text[:40]!r} is not a port")
    if text.startswith(":"):
        raise _bad("the host port is missing")
    container = _range(form["container"])
    host: Sequence[int] = _range(form["host"]) if form["host"] else (0,) * len(container)
    if len(host) != len(container):
        raise _bad(f"the ranges in {text!r} differ in length")
    protocol = (form["protocol"] or "tcp").lower()
    if protocol not in ("tcp", "udp"):
        raise _bad(f"the protocol {protocol!r} is neither tcp nor udp")
    address = _address(form["ip"])
    return tuple(
        PortSpec(inside, outside, address, protocol) for inside, outside in zip(container, host, strict=True)
    )


class PortTable:
    """Ports that can be offered together.

    Two clash if they claim the same host port on an address that both cover, or if both leave the host
    port open and offer the same container port alike.
    """

    def __init__(self) -> None:
        self._ports: dict[tuple[str, int, int], list[PortSpec]] = {}

    def add(self, port: PortSpec) -> PortSpec | None:
        """Take the port in, or return the former one that it clashes with."""
        inside = 0 if port.host_port else port.container_port
        alike = self._ports.setdefault((port.protocol, port.host_port, inside), [])
        for former in alike:
            if former.host_ip == port.host_ip or (port.host_port and _overlap(former, port)):
                return former
        alike.append(port)
        return None


def find_clash(ports: Iterable[PortSpec]) -> tuple[PortSpec, PortSpec] | None:
    """The first two ports that cannot be offered together, in the order given, or None."""
    table = PortTable()
    for port in ports:
        former = table.add(port)
        if former is not None:
            return former, port
    return None


def _overlap(first: PortSpec, second: PortSpec) -> bool:
    return not _EVERYWHERE.isdisjoint((first.host_ip, second.host_ip))


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    start, end = _number(first), _number(last or first)
    if end < start:
        raise _bad(f"the range {text} runs backwards")
    if end - start >= _LONGEST_RANGE:
        raise _bad(f"the range {text} is longer than {_LONGEST_RANGE} ports")
    return range(start, end + 1)


def _number(text: str) -> int:
    number = int(text) if len(text) <= 9 else 0
    if not 1 <= number <= 65535:
        raise _bad(f"port {text[:12]} is not between 1 and 65535")
    return number


def _address(text: str | None) -> str:
    if text is None:
        return PortSpec(1).host_ip
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError as error:
        raise _bad(f"{text!r} is not an IP address") from error


def _bad(reason: str) -> UsageError:
    return UsageError("BAD_PORT", f"Bad port: {reason}.", hint=_HINT)
