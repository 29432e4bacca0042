"""``routing.json``: where the router listens and which agents it serves, for people and other programs.

Generated; only ``port`` is read again, so that the next start listens where the last one did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ploinky.base.files import read_text, write_atomic
from ploinky.workspace.layout import Layout


@dataclass(frozen=True)
class Listening:
    """Where a gateway listens or is to listen."""

    host: str
    port: int


def last_port(layout: Layout) -> int | None:
    """The port of the last gateway, or None if there was none."""
    try:
        facts = json.loads(read_text(layout.routing_file) or "{}")
    except ValueError:
        return None
    port = facts.get("port") if isinstance(facts, dict) else None
    return port if isinstance(port, int) and port > 0 else None


def write_routing(layout: Layout, listening: Listening, ready: Mapping[str, bool]) -> None:
    """Write the table: every agent's path, and whether it is ready."""
    routes = {key: {"mcp": f"/mcps/{key}/mcp", "ready": value} for key, value in sorted(ready.items())}
    facts = {"host": listening.host, "port": listening.port, "routes": routes}
    text = json.dumps(facts, indent=2) + "\n"
    if read_text(layout.routing_file) != text:
        write_atomic(layout.routing_file, text.encode())
