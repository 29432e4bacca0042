"""The ports grammar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.base.errors import UsageError
from ploinky.manifest.ports import find_clash, parse_port
from ploinky.manifest.values import PortSpec

PROPERTY = settings(deadline=None, max_examples=150)
PORT_NUMBERS = st.integers(1, 65535)
SPECS = st.builds(
    PortSpec,
    container_port=PORT_NUMBERS,
    host_port=st.just(0) | PORT_NUMBERS,
    host_ip=st.just("127.0.0.1") | st.ip_addresses().map(str),
    protocol=st.sampled_from(["tcp", "udp"]),
)


@PROPERTY
@given(spec=SPECS)
def test_a_port_written_out_reads_back_the_same(spec: PortSpec) -> None:
    assert parse_port(str(spec)) == (spec,)


@PROPERTY
@given(text=st.text(alphabet="0123456789:.-/[]udtcp ", max_size=24))
def test_any_text_is_ports_in_range_or_refused(text: str) -> None:
    def judged() -> tuple[PortSpec, ...] | str:
        try:
            return parse_port(text)
        except UsageError as error:
            return error.code

    ports = judged()
    if isinstance(ports, str):
        assert ports == "BAD_PORT"
    else:
        assert all(1 <= port.container_port <= 65535 and 0 <= port.host_port <= 65535 for port in ports)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (7000, PortSpec(7000)),
        ("7000", PortSpec(7000)),
        (" 7000 ", PortSpec(7000)),
        ("8000:80", PortSpec(80, 8000)),
        ("127.0.0.1:8000:80", PortSpec(80, 8000, "127.0.0.1")),
        ("0.0.0.0:5432:5432", PortSpec(5432, 5432, "0.0.0.0")),
        ("127.0.0.1::80", PortSpec(80)),
        ("[::1]:8000:80", PortSpec(80, 8000, "::1")),
        ("[0:0:0:0:0:0:0:1]:8000:80/UDP", PortSpec(80, 8000, "::1", "udp")),
        ("53/udp", PortSpec(53, protocol="udp")),
        ("65535:1/tcp", PortSpec(1, 65535)),
    ],
)
def test_each_form_reads_as_its_meaning(text: str | int, spec: PortSpec) -> None:
    assert parse_port(text) == (spec,)


def test_a_range_is_one_port_each() -> None:
    assert parse_port("9000-9001:80-81/udp") == (
        PortSpec(80, 9000, protocol="udp"),
        PortSpec(81, 9001, protocol="udp"),
    )
    assert parse_port("80-81") == (PortSpec(80), PortSpec(81))


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "0", "65536", -1, 0, 99999, True, "0:80", "80:0", "80:", ":80", "1:2:3:4", "8000:80/sctp",
        "80/", "300.0.0.1:1:1", "localhost:1:1", "::1:1:1", "[::1:1:1", "[1.2.3]:1:1", "10-9", "1-3:1-2",
        "8000-8010:80", "1-2000", "8000 :80", "1.5", "9" * 400,
    ],
)  # fmt: skip
def test_what_is_no_port_is_refused(text: str | int) -> None:
    with pytest.raises(UsageError) as caught:
        parse_port(text)
    assert caught.value.code == "BAD_PORT"


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ("80", "80", True),
        ("80", "80/udp", False),
        ("80", "0.0.0.0::80", False),
        ("8000:80", "8000:81", True),
        ("8000:80", "8001:80", False),
        ("0.0.0.0:8000:80", "8000:81", True),
        ("[::]:8000:80", "[::1]:8000:81", True),
        ("127.0.0.2:8000:80", "127.0.0.1:8000:80", False),
        ("8000-8002:80-82", "8002:90", True),
    ],
)
def test_ports_clash_if_they_cannot_be_offered_together(first: str, second: str, clash: bool) -> None:
    assert (find_clash([*parse_port(first), *parse_port(second)]) is not None) is clash
