"""Ports of this machine: free or not, and whose."""

from __future__ import annotations

import os
import socket

import pytest

from ploinky.operations.ports import free_port, is_free, port_owner


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_is_taken_while_somebody_listens_and_the_owner_is_known(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip(f"there is no {host} here")
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(host, port)
        owner = port_owner(port)
    assert owner is not None
    assert owner.endswith(f"(pid {os.getpid()})")
    assert is_free(host, port)
    assert port_owner(port) is None


def test_a_free_port_is_free() -> None:
    assert is_free("127.0.0.1", free_port())
