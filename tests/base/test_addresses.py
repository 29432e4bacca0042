"""Only what is plainly public may be fetched for somebody else."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.addresses import find_ip, why_not_public


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.19.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2001::1",
        "2001:db8::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "3fff::1",
        "100::1",
    ],
)
def test_what_is_not_public_is_refused(text: str) -> None:
    assert why_not_public(ipaddress.ip_address(text)) is not None


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_public_is_not(text: str) -> None:
    assert why_not_public(ipaddress.ip_address(text)) is None


@given(st.ip_addresses(v=4))
def test_an_address_counts_alike_in_every_form_that_carries_it(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    plain = why_not_public(address)
    assert why_not_public(ipaddress.IPv6Address(0xFFFF << 32 | number)) == plain
    assert why_not_public(ipaddress.IPv6Address((0x64FF9B << 96) | number)) == plain
    if not address.is_global:
        assert plain is not None


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_that_python_calls_private_is_public_here(address: ipaddress.IPv6Address) -> None:
    if not address.is_global:
        assert why_not_public(address) is not None


def test_brackets_and_zones_do_not_hide_an_address() -> None:
    assert str(find_ip("[fe80::1%eth0]")) == "fe80::1"
    assert find_ip("example.org") is None
