"""``python -m tests.router.bridge_program PORT [AGENT]``: the bridge, token in BRIDGE_TOKEN."""

from __future__ import annotations

import os
import sys

import anyio

from ploinky.router.gateway_client import GatewayAddress
from ploinky.router.stdio_bridge import bridge_stdio


async def main() -> None:
    address = GatewayAddress(int(sys.argv[1]), os.environ["BRIDGE_TOKEN"])
    await bridge_stdio(address, agent=sys.argv[2] if len(sys.argv) > 2 else None)


if __name__ == "__main__":
    anyio.run(main)
