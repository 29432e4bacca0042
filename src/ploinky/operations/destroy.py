"""``destroy``: nothing that Ploinky made is left; what agents made for people stays unless purged.

Removed: the gateway, every sandbox, container and network, the folder of sockets, the links in ``code/`` and
``skills/`` and the whole of ``.ploinky`` (repositories, secrets, settings, logs). Kept without ``purge``:
``agents/``, ``shared/``, the default assistant's root, and repositories in ``.ploinky/repos`` with work that
exists nowhere else. Roots of assistants that the configuration names are folders of a person's own, and stay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread

from ploinky.assistants.roots import DEFAULT_ROOT
from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.operations.shutdown import shutdown
from ploinky.operations.unsaved import has_unsaved_work
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.layout import Layout, runtime_folder


async def destroy(platform: Platform, *, purge: bool) -> AsyncIterator[Event]:
    """End everything and remove it; the result names what was kept."""
    layout = platform.layout
    unsaved = [] if purge else await _unsaved(platform)
    async for event in shutdown(platform):
        if not isinstance(event, Result):
            yield event
    doomed = _doomed(layout, unsaved, purge=purge)
    await anyio.to_thread.run_sync(_remove_all, layout, runtime_folder(layout, platform.environ), doomed)
    yield Notice(message=f"Removed the workspace in {layout.root}")
    kept = [str(path.relative_to(layout.root)) for path in _kept(layout, unsaved) if path.exists()]
    if kept:
        yield Notice(message=f"Kept: {', '.join(kept)}", hint="--purge removes this too.")
    names: list[JsonValue] = [*kept]
    yield Result(value={"workspace": str(layout.root), "kept": names})


async def _unsaved(platform: Platform) -> list[str]:
    """Repositories whose removal would lose something: changed clones and copies, folders made by hand."""
    repos, environ = platform.repos.installed(), platform.environ
    return [name for name in repos if await has_unsaved_work(platform.layout.repo(name), environ)]


def _kept(layout: Layout, unsaved: list[str]) -> list[Path]:
    return [*_data(layout), *(layout.repo(name) for name in unsaved)]


def _data(layout: Layout) -> list[Path]:
    return [layout.agents, layout.shared, layout.root / DEFAULT_ROOT]


def _doomed(layout: Layout, unsaved: list[str], *, purge: bool) -> list[Path]:
    """What is removed, whole; around a repository that is kept, everything beside it."""
    own = _data(layout) if purge else []
    if not unsaved:
        return [layout.control, *own]
    kept = {layout.repo(name) for name in unsaved} | {layout.repos}
    return [
        *own,
        *(path for path in (*layout.control.iterdir(), *layout.repos.iterdir()) if path not in kept),
    ]


def _remove_all(layout: Layout, sockets: Path, doomed: list[Path]) -> None:
    for folder in (layout.code, layout.skills):
        _remove_links(folder)
    for path in (*doomed, sockets):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    data = _data(layout)
    for folder in (layout.code, layout.skills, *data, data[-1].parent):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing is in it


def _remove_links(folder: Path) -> None:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and ".ploinky" in Path(entry.path).readlink().parts:
                Path(entry.path).unlink()
