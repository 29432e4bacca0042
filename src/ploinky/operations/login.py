"""``password``: how people log in to the web UI."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.operations.platform import Platform
from ploinky.secrets.passwords import hash_password
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.settings_change import change_settings


async def set_password(platform: Platform, password: str) -> AsyncIterator[Event]:
    """Let people log in by ``password``; only its hash is kept.

    Raises:
        UsageError: ``BAD_PASSWORD``.
    """
    auth = {"mode": "password", "passwordHash": hash_password(password)}
    change_settings(platform.layout, {"gateway": {"auth": auth}})
    yield Notice(message="The web UI asks for this password once the router is started anew.")
    yield Result(value={"mode": "password"})


async def forget_password(platform: Platform) -> AsyncIterator[Event]:
    """Let people log in by the owner's token again."""
    change_settings(platform.layout, {"gateway": {"auth": {"mode": "token", "passwordHash": None}}})
    yield Notice(message="The web UI asks for the owner's token once the router is started anew.")
    yield Result(value={"mode": "token"})
