"""``secrets list``: what the enabled agents ask for, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.operations.profile import effective_configs, secret_facts
from ploinky.wire.events import Event, Result


async def list_secrets(platform: Platform) -> AsyncIterator[Event]:
    """Every secret that an enabled agent's profile asks for: who needs it, and where it was found."""
    yield Result(value=await anyio.to_thread.run_sync(_listed, platform))


def _listed(platform: Platform) -> list[JsonValue]:
    users: dict[str, dict[str, JsonValue]] = {}
    for key, config in effective_configs(platform).items():
        needed = [*config.secrets, *(entry.source for entry in config.env if entry.required)]
        for name in needed:
            users.setdefault(name, {})[key] = key
    names = sorted({*users, *platform.secrets.kept.names()})
    sources = platform.secrets.sources(platform.profile.name)
    sources.prefetch(names)
    rows: list[JsonValue] = []
    for name in names:
        facts = secret_facts(sources, name)
        rows.append(
            {
                "name": name,
                "found": facts["ok"],
                "source": facts["source"],
                "required": name in users,
                "agents": list(users.get(name, {}).values()),
            }
        )
    return rows
