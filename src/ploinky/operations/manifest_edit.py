"""``manifest migrate`` and ``profile new``: they change a manifest's file and leave the rest as it stands."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator
from pathlib import Path

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import read_text, write_atomic
from ploinky.base.jsontypes import JsonValue
from ploinky.manifest.migration import add_profile, migrate
from ploinky.manifest.profile_templates import profile_template
from ploinky.operations.manifests import find_manifest
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.profiles import require_profile_name

_MODE = 0o644


async def migrate_manifest(
    platform: Platform | None, target: str, *, start_dir: Path, write: bool
) -> AsyncIterator[Event]:
    """Rewrite the old form to profiles; without ``write`` only tell what would change.

    Raises:
        NotFoundError: ``MANIFEST_NOT_FOUND``, ``AGENT_NOT_FOUND``. ManifestError.
        PloinkyError: ``MIGRATION_UNSURE``; ``FILE_WRITE``.
    """
    path = find_manifest(platform, target, start_dir)
    text = _text(path)
    migration = migrate(text, source=str(path))
    if migration.moved and write:
        write_atomic(path, migration.text.encode(), mode=_MODE)
    lines = difflib.unified_diff(
        text.splitlines(), migration.text.splitlines(), str(path), str(path), lineterm=""
    )
    moved: list[JsonValue] = [*migration.moved]
    diff: list[JsonValue] = [*lines]
    yield Result(value={"source": str(path), "moved": moved, "written": bool(moved) and write, "diff": diff})


async def new_profile(
    platform: Platform, name: str, *, agent: str | None, template: str | None, extends: str | None
) -> AsyncIterator[Event]:
    """Add a profile to the manifest of ``agent``, or of the only enabled agent.

    Raises:
        UsageError: ``BAD_PROFILE_NAME``, ``PROFILE_EXISTS``, ``WHICH_AGENT``.
        NotFoundError: ``NO_TEMPLATE``, ``AGENT_NOT_FOUND``. ManifestError.
    """
    require_profile_name(name, "profile new")
    start = {"extends": extends} if extends is not None else {}
    content = {**start, **profile_template(name, template)}
    path = find_manifest(platform, agent or _only_agent(platform), platform.layout.root)
    write_atomic(path, add_profile(_text(path), name, content, source=str(path)).encode(), mode=_MODE)
    yield Notice(message=f"Added the profile '{name}' to {path}")
    yield Notice(message=f"  check it:  ploinky profile validate {name}")
    yield Notice(message=f"  choose it: ploinky profile {name}")
    fields: list[JsonValue] = [*content]
    yield Result(value={"profile": name, "source": str(path), "fields": fields})


def _only_agent(platform: Platform) -> str:
    names = list(
        dict.fromkeys(f"{each.repo_name}/{each.agent_name}" for each in platform.registry.read().values())
    )
    if len(names) != 1:
        raise UsageError(
            "WHICH_AGENT",
            f"{len(names)} agents are enabled, and a profile belongs to one.",
            hint="Name it: ploinky profile new NAME --agent AGENT",
        )
    return names[0]


def _text(path: Path) -> str:
    text = read_text(path)
    if text is None:
        raise NotFoundError("MANIFEST_NOT_FOUND", f"There is no {path}.")
    return text
