"""``expose``: variables given to one agent of this workspace, without a change of its manifest."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.jsontypes import JsonValue
from ploinky.manifest import AgentRef
from ploinky.manifest.env import looks_like_key
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.exposures import Exposures


async def expose(
    platform: Platform, name: str, value: str | None, agent: AgentRef | None
) -> AsyncIterator[Event]:
    """Give ``agent`` (else the only one that is enabled) a variable; None: the value known as ``name``.

    Raises:
        UsageError: ``WHICH_AGENT``, ``BAD_VARIABLE``; ``SECRET_IN_CLEAR`` if a key would be kept in clear.
        NotFoundError: ``AGENT_NOT_ENABLED``.
    """
    key = _key(platform, agent)
    shown = f"${name}" if value is None else value
    if looks_like_key(name) and not shown.startswith("$"):
        raise UsageError(
            "SECRET_IN_CLEAR",
            f"{name} looks like a secret, and its value would be kept in clear.",
            hint=f"Keep it as a secret and expose that: ploinky var {name}; ploinky expose {name} '${name}'",
        )
    Exposures(platform.layout).set(key, name, shown)
    yield Notice(message=f"'{key}' gets {name} when it is started again.")
    yield Result(value={"agent": key, "name": name, "value": shown})


async def unexpose(platform: Platform, name: str, agent: AgentRef | None) -> AsyncIterator[Event]:
    """Take a variable back.

    Raises:
        NotFoundError: ``NOT_EXPOSED``, ``AGENT_NOT_ENABLED``. UsageError: ``WHICH_AGENT``.
    """
    key = _key(platform, agent)
    if not Exposures(platform.layout).unset(key, name):
        raise NotFoundError("NOT_EXPOSED", f"{name} is not exposed to '{key}'.", hint="See: ploinky expose")
    yield Notice(message=f"'{key}' no longer gets {name} when it is started again.")
    yield Result(value={"agent": key, "name": name, "value": None})


async def list_exposed(platform: Platform) -> AsyncIterator[Event]:
    """Every exposed variable."""
    rows: list[JsonValue] = [
        {"agent": agent, "name": name, "value": value}
        for agent, values in sorted(Exposures(platform.layout).read().items())
        for name, value in sorted(values.items())
    ]
    yield Result(value=rows)


def _key(platform: Platform, agent: AgentRef | None) -> str:
    if agent is not None:
        return require_enabled(platform.registry, agent).key
    keys = list(platform.registry.read())
    if len(keys) != 1:
        raise UsageError(
            "WHICH_AGENT",
            f"{len(keys)} agents are enabled.",
            hint="Name one: ploinky expose NAME VALUE AGENT",
        )
    return keys[0]
