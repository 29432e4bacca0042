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


def clashes(first: PortSpec, second: PortSpec) -> bool:
    """Whether the two cannot be offered together: the same host port on an address that both claim.

    Two entries without a host port clash if they offer the same container port alike.
    """
    if first.protocol != second.protocol or first.host_port != second.host_port:
        return False
    if first.host_port == 0:
        return first == second
    addresses = {first.host_ip, second.host_ip}
    return len(addresses) == 1 or bool(addresses & _EVERYWHERE)


def find_clash(ports: Iterable[PortSpec]) -> tuple[PortSpec, PortSpec] | None:
    """The first two ports that clash, in the order given, or None."""
    seen: list[PortSpec] = []
    for port in ports:
        for former in seen:
            if clashes(former, port):
                return former, port
        seen.append(port)
    return None


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
