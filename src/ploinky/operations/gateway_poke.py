"""Let the running gateway look at the registry now. Where none runs, no client of it is loaded."""

from __future__ import annotations

from ploinky.base.errors import PloinkyError
from ploinky.operations.endpoint import find_endpoint
from ploinky.workspace.layout import Layout


async def poke_gateway(layout: Layout) -> None:
    """No-op if no gateway runs or it does not answer."""
    if find_endpoint(layout) is None:
        return
    from ploinky.operations.gateway_link import find_client

    client = find_client(layout)
    if client is not None:
        try:
            await client.reconcile()
        except PloinkyError:
            return  # it looks by itself before long
