"""Folders that hold assistants: threads, approvals and grants lie in them, so no agent sees one.

Found without the models of the settings, because every plan of an agent asks. Whether a folder is a good
root is for ``assistants`` to say.
"""

from __future__ import annotations

from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.base.files import safe_join
from ploinky.workspace.documents import CONFIG_INVALID, read_json_object
from ploinky.workspace.layout import Layout

_USUAL = "assistants"


def usual_assistant_folder(layout: Layout) -> Path:
    """Where assistants lie unless the settings say otherwise."""
    return _inside(layout.root, _USUAL) or layout.root / _USUAL


def assistant_folders(layout: Layout) -> tuple[Path, ...]:
    """The usual folder, which may be missing, and those that the settings name and that exist.

    Raises:
        PloinkyError: ``CONFIG_INVALID`` if the settings are no JSON object.
    """
    document = read_json_object(layout.config_file, code=CONFIG_INVALID) or {}
    profiles = document.get("profiles")
    named = [document.get("agentProfilesRoot")]
    if isinstance(profiles, list):
        named += [each.get("root") for each in profiles if isinstance(each, dict)]
    found = {usual_assistant_folder(layout): None}
    for name in named:
        path = _inside(layout.root, name)
        if path is not None and path.is_dir():
            found[path] = None
    return tuple(path for path in found if not any(above in path.parents for above in found))


def _inside(root: Path, name: object) -> Path | None:
    """The folder below ``root``, if ``name`` is one's."""
    if not isinstance(name, str):
        return None
    try:
        path = safe_join(root, name)
    except UsageError:
        return None
    return None if path == root else path
