"""``var`` and ``vars``: names to everybody, values to nobody. Imports little."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonValue
from ploinky.manifest.env import looks_like_key
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result


async def set_value(platform: Platform, name: str, value: str) -> AsyncIterator[Event]:
    """Keep a value in ``.ploinky/.secrets``; agents that use it get it at their next start."""
    platform.secrets.kept.set(name, value)
    yield Notice(message=f"Set {name}; agents get it when they are started again.")
    yield Result(value={"name": name, "set": True})


async def unset_value(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Forget a value.

    Raises:
        NotFoundError: ``VALUE_NOT_SET``.
    """
    if not platform.secrets.kept.unset(name):
        raise NotFoundError("VALUE_NOT_SET", f"{name} is not set.", hint="See what is: ploinky vars")
    yield Notice(message=f"Unset {name}.")
    yield Result(value={"name": name, "set": False})


async def is_set(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Whether a value is known, and to which source; never the value itself."""
    found = await anyio.to_thread.run_sync(platform.secrets.sources(platform.profile.name).find, name)
    if found is None:
        raise NotFoundError("VALUE_NOT_SET", f"{name} is not set.", hint=f"Set it: ploinky var {name}")
    yield Result(value={"name": name, "set": True, "source": found.source.value})


async def list_values(platform: Platform) -> AsyncIterator[Event]:
    """Names in ``.ploinky/.secrets``."""
    rows: list[JsonValue] = [
        {"name": binding.name, "alias": binding.alias, "key": looks_like_key(binding.name)}
        for binding in platform.secrets.kept.read().values()
    ]
    yield Result(value=rows)
