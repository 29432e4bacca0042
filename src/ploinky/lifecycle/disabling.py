"""Disable: the sandbox, the links and the registry entry go; the working folder only when it is asked for."""

from __future__ import annotations

import shutil

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.base.files import require_unlinked
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.dependencies import find_marker
from ploinky.lifecycle.journal import agent_lock
from ploinky.lifecycle.mounts import remove_mount_points
from ploinky.lifecycle.options import STOP_GRACE_S
from ploinky.lifecycle.sources import locate
from ploinky.lifecycle.stopping import LOCK_TIMEOUT_S, remove_locked
from ploinky.workspace.exposures import Exposures
from ploinky.workspace.links import remove_links
from ploinky.workspace.registry import RegistryEntry


async def disable_agent(ctx: LifecycleContext, key: str, *, purge: bool = False) -> None:
    """Stop and remove the agent's sandbox, its links and its entry; with ``purge`` its working folder too.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. DeadlineError: AGENT_BUSY. PloinkyError: FOLDER_IS_LINK.
    """
    ctx.registry.require(key)
    if purge:
        require_unlinked(ctx.layout.work_dir(key).parent)
    async with agent_lock(ctx.layout, key, timeout_s=LOCK_TIMEOUT_S):
        await remove_locked(ctx, key, STOP_GRACE_S, None)
        entry = ctx.registry.require(key)
        remove_links(ctx.layout, key)
        await anyio.to_thread.run_sync(_remove_points, ctx, entry)
        ctx.registry.remove(key)
        await anyio.to_thread.run_sync(Exposures(ctx.layout).unset, key)
        if purge:
            find_marker(ctx.layout, key).unlink(missing_ok=True)
            work_dir = ctx.layout.work_dir(key)
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(work_dir, ignore_errors=True))


def _remove_points(ctx: LifecycleContext, entry: RegistryEntry) -> None:
    """Remove the empty mount points in the source, unless another agent of the same source needs them."""
    others = [each for each in ctx.registry.read().values() if each.key != entry.key]
    if any((each.repo_name, each.agent_name) == (entry.repo_name, entry.agent_name) for each in others):
        return
    try:
        remove_mount_points(locate(ctx, entry).folder)
    except PloinkyError:
        return  # the source is gone, and its mount points with it, or its code leads elsewhere
