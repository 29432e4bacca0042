"""Who needs whom: the enabled agents and what each enables, for a picture."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.operations.profile import effective_configs
from ploinky.wire.events import Event, Result


async def dependency_graph(platform: Platform) -> AsyncIterator[Event]:
    """``nodes``: the enabled agents; ``edges``: from one to another that it enables, and whether it waits."""
    keys = list(platform.registry.read())
    edges: list[JsonValue] = [
        {"from": key, "to": ref.key, "waits": not ref.no_wait}
        for key, config in effective_configs(platform).items()
        for ref in config.enable
        if ref.key in keys
    ]
    yield Result(value={"nodes": list[JsonValue](keys), "edges": edges})
