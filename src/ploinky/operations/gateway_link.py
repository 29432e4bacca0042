"""A client of the gateway that runs now, for commands that only talk to it. Imports little."""

from __future__ import annotations

from dataclasses import replace

from ploinky.base.errors import PloinkyError
from ploinky.operations.endpoint import find_endpoint, owner_token
from ploinky.router.gateway_client import GatewayAddress, GatewayClient
from ploinky.workspace.layout import Layout


def find_address(layout: Layout) -> GatewayAddress | None:
    """Where the gateway listens and the owner's token for it, or None if it does not run."""
    endpoint, token = find_endpoint(layout), owner_token(layout)
    if endpoint is None or token is None:
        return None
    return GatewayAddress(endpoint.port, token, endpoint.host)


def require_address(layout: Layout) -> GatewayAddress:
    """Like ``find_address``.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``.
    """
    address = find_address(layout)
    if address is None:
        raise PloinkyError("GATEWAY_DOWN", "The gateway does not run.", hint="Start it: ploinky start")
    return address


def find_client(layout: Layout) -> GatewayClient | None:
    """A client of the running gateway, or None."""
    address = find_address(layout)
    return None if address is None else GatewayClient(address)


def require_client(layout: Layout, act_as: str | None = None) -> GatewayClient:
    """Like ``find_client``; ``act_as`` (``client:NAME``, ``assistant:ID``) is for whom it calls.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``.
    """
    return GatewayClient(replace(require_address(layout), act_as=act_as))
