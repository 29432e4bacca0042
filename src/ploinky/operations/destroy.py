"""``destroy``: nothing that Ploinky made is left; what agents made for people stays unless purged.

Removed: the gateway, every sandbox, container and network, the folder of sockets, the links in ``code/`` and
``skills/`` and the whole of ``.ploinky`` (repositories, secrets, settings, logs). Kept without ``purge``:
``agents/`` and ``shared/``. A repository with work that exists nowhere else stops it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread

from ploinky.base.errors import NeedsApprovalError
from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.operations.shutdown import shutdown
from ploinky.operations.unsaved import has_unsaved_work
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.layout import Layout, runtime_folder


async def destroy(platform: Platform, *, purge: bool) -> AsyncIterator[Event]:
    """End and remove everything.

    Raises:
        NeedsApprovalError: ``UNSAVED_WORK`` if a repository has changes of its own and ``purge`` is not
            given; nothing was touched.
    """
    layout = platform.layout
    unsaved = await _unsaved(platform)
    if unsaved and not purge:
        raise NeedsApprovalError(
            "UNSAVED_WORK",
            f"These repositories in .ploinky/repos hold work that is nowhere else: {', '.join(unsaved)}.",
            hint="Save it, or delete it too: ploinky destroy --yes --purge",
            details={"repos": ", ".join(unsaved)},
        )
    async for event in shutdown(platform):
        if not isinstance(event, Result):
            yield event
    await anyio.to_thread.run_sync(_remove_all, layout, runtime_folder(layout, platform.environ), purge)
    yield Notice(message=f"Removed the workspace in {layout.root}")
    kept = [] if purge else [folder.name for folder in (layout.agents, layout.shared) if folder.exists()]
    if kept:
        yield Notice(message=f"Kept: {', '.join(f'{name}/' for name in kept)}")
    names: list[JsonValue] = [*kept]
    yield Result(value={"workspace": str(layout.root), "kept": names})


async def _unsaved(platform: Platform) -> list[str]:
    """Repositories whose removal would lose something: changed clones and copies, folders made by hand."""
    repos, environ = platform.repos.installed(), platform.environ
    return [name for name in repos if await has_unsaved_work(platform.layout.repo(name), environ)]


def _remove_all(layout: Layout, sockets: Path, purge: bool) -> None:
    for folder in (layout.code, layout.skills):
        _remove_links(folder)
    doomed = [layout.control, sockets, *((layout.agents, layout.shared) if purge else ())]
    for folder in doomed:
        if folder.exists():
            shutil.rmtree(folder)
    for folder in (layout.code, layout.skills, layout.agents, layout.shared):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing is in it


def _remove_links(folder: Path) -> None:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and ".ploinky" in Path(entry.path).readlink().parts:
                Path(entry.path).unlink()
