"""``manifest validate`` and ``manifest schema``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from ploinky.base.errors import NotFoundError
from ploinky.base.files import read_bytes
from ploinky.base.jsontypes import JsonValue
from ploinky.manifest.document import parse_manifest
from ploinky.manifest.effective import effective
from ploinky.manifest.faults import ManifestError
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Result

_NAME = "manifest.json"


async def validate_manifest(
    platform: Platform | None, target: str, *, start_dir: Path, strict: bool
) -> AsyncIterator[Event]:
    """Check the manifest of a file, a folder or an agent's name; ``platform`` is needed for a name only.

    Every profile is merged too, so that what only a merge shows is found. The result lists all faults.

    Raises:
        NotFoundError: ``MANIFEST_NOT_FOUND``, ``AGENT_NOT_FOUND``.
    """
    path = find_manifest(platform, target, start_dir)
    data = read_bytes(path)
    if data is None:
        raise NotFoundError("MANIFEST_NOT_FOUND", f"There is no {path}.")
    faults: list[JsonValue] = []
    warnings: list[JsonValue] = []
    profiles: list[JsonValue] = []
    try:
        manifest = parse_manifest(data, source=str(path), strict=strict)
    except ManifestError as error:
        faults = [
            {"field": each.field, "line": each.line, "message": each.message, "hint": each.hint}
            for each in error.faults
        ]
    else:
        warnings = [
            {"field": each.field, "line": each.line, "message": each.message, "hint": each.hint}
            for each in manifest.warnings
        ]
        for name in manifest.profile_names:
            effective(manifest, name, agent=path.parent.name)
            profiles.append(name)
    yield Result(
        value={
            "source": str(path),
            "valid": not faults,
            "profiles": profiles,
            "faults": faults,
            "warnings": warnings,
        }
    )


def find_manifest(platform: Platform | None, target: str, start_dir: Path) -> Path:
    """The manifest that a word means: a file, a folder that holds one, or an agent's name.

    Raises:
        NotFoundError: ``MANIFEST_NOT_FOUND``, ``AGENT_NOT_FOUND``.
    """
    path = start_dir / target
    if path.is_dir() and (path / _NAME).exists():
        return path / _NAME
    if path.is_file():
        return path
    if platform is None or "/" in target.strip("/").partition("/")[2] or target.endswith(".json"):
        raise NotFoundError(
            "MANIFEST_NOT_FOUND",
            f"{target} is no manifest, and no folder that holds one.",
            hint="Give a path, or the name of an agent inside a workspace.",
        )
    return platform.repos.find_agent(target).manifest_path
