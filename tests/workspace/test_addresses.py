"""Where the gateway may listen: near addresses always, others only with all that they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ploinky.base.errors import UsageError
from ploinky.workspace.addresses import require_bindable
from ploinky.workspace.settings import GatewaySettings

NAMES = {"here.test": ["127.0.0.1", "::1"], "both.test": ["10.0.0.1", "93.184.216.34"]}


def resolve(name: str) -> Sequence[str]:
    return NAMES.get(name, [])


def settings(address: str, **more: Any) -> GatewaySettings:
    return GatewaySettings.model_validate({"bindAddress": address, **more})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "fe80::1",
        "fd00::1", "100.64.0.1", "100.127.255.254", "fd7a:115c:a1e0::1", "here.test", "::ffff:10.0.0.1",
        "[::1]",
    ],
)  # fmt: skip
def test_near_addresses_are_for_everybody(address: str) -> None:
    assert require_bindable(settings(address), resolve)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1", "both.test",
     "::ffff:8.8.8.8", "224.0.0.1", "255.255.255.255"],
)  # fmt: skip
def test_other_addresses_need_permission_tls_and_login(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        require_bindable(settings(address), resolve)
    assert refused.value.code == "BIND_REFUSED"
    assert "allowPublic" in (refused.value.hint or "")
    for more in ({"allowPublic": True}, {"proxy": "caddy"}):
        with pytest.raises(UsageError):
            require_bindable(settings(address, **more), resolve)
    open_to_all = {"allowPublic": True, "proxy": "caddy", "auth": {"mode": "none"}}
    with pytest.raises(UsageError):
        require_bindable(settings(address, **open_to_all), resolve)
    assert require_bindable(settings(address, allowPublic=True, proxy="caddy"), resolve)


@pytest.mark.parametrize("address", ["nowhere.test", "not an address", "  "])
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        require_bindable(settings(address), resolve)
    assert refused.value.code == "BIND_UNKNOWN"
