"""``secrets rotate``: give a secret another value and start anew only the agents that use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.lifecycle.options import usual_options
from ploinky.lifecycle.rotation import restart_each, running_users
from ploinky.operations.platform import Platform
from ploinky.operations.remembered_engine import remember_engine
from ploinky.operations.restart import refresh_gateway
from ploinky.secrets.audit import record
from ploinky.secrets.sources import SourceKind
from ploinky.wire.events import Event, Notice, Result


async def rotate_secret(platform: Platform, name: str, value: str | None) -> AsyncIterator[Event]:
    """Keep ``value`` for ``name`` and restart its running users in dependency order.

    None: the value was changed where it comes from (a remote store, the environment), so only the users
    are restarted.

    Raises:
        NotFoundError: ``VALUE_NOT_SET``.
        UsageError: ``NOT_KEPT_HERE`` if another source holds the value, ``IS_ALIAS``, ``EMPTY_VALUE``.
        PloinkyError: the first agent's error; the others were restarted all the same.
    """
    if value is not None:
        await anyio.to_thread.run_sync(_require_ours, platform, name, value)
        platform.secrets.kept.set(name, value, literal=True)
    platform.secrets.changed()
    async with platform.open_lifecycle() as ctx:
        remember_engine(platform.layout, ctx.runtime.kind)
        users = await anyio.to_thread.run_sync(running_users, ctx, name)
        record(platform.layout, "secret_rotated", names=[name], agents=users)
        if not users:
            yield Notice(message=f"No running agent uses {name}.")
        async for event in restart_each(ctx, users, usual_options(ctx.settings)):
            yield event
    if users:
        await refresh_gateway(platform)
        yield Notice(message=f"Restarted with the new value: {', '.join(users)}.")
    yield Result(value={"name": name, "restarted": list(users)})


def _require_ours(platform: Platform, name: str, value: str) -> None:
    if not value:
        raise UsageError("EMPTY_VALUE", f"The new value of {name} is empty.")
    found = platform.secrets.sources(platform.profile.name).find(name)
    if found is None:
        raise NotFoundError("VALUE_NOT_SET", f"{name} is not set.", hint=f"Set it: ploinky var {name}")
    if len(found.chain) > 1:
        raise UsageError(
            "IS_ALIAS",
            f"{name} stands for {found.chain[-1]}.",
            hint=f"Rotate that: ploinky secrets rotate {found.chain[-1]}",
        )
    if found.source is not SourceKind.SECRETS_FILE:
        raise UsageError(
            "NOT_KEPT_HERE",
            f"{name} comes from {found.source.value}, not from .ploinky/.secrets.",
            hint=f"Change it there, then: ploinky secrets rotate {name} --unchanged",
            details={"source": found.source.value},
        )
