"""Changes of the configuration of assistants: make one, change one, take one out. Checked whole, then
written.

They write files only; whoever runs a household reloads it. Blocks.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.assistants.configuration import OVERLAY, read_models
from ploinky.assistants.roots import DEFAULT_ID, DEFAULT_ROOT, find_roots, is_single
from ploinky.assistants.settings import (
    CONFIG_INVALID,
    is_assistant_id,
    parse_profiles,
    settings_of,
    shared_sections,
)
from ploinky.assistants.substrate import make_root
from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import FileLock, safe_join
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.workspace.documents import read_json_object, write_json
from ploinky.workspace.layout import Layout
from ploinky.workspace.settings_change import merged_over


@dataclass(frozen=True)
class AssistantWish:
    """An assistant as somebody wants it; ``root`` None: ``assistants/<id>``."""

    id: str
    root: str | None = None
    name: str | None = None
    model_id: str | None = None


def check_sections(path: Path, document: Mapping[str, JsonValue]) -> None:
    """Raises PloinkyError ``CONFIG_INVALID`` if the parts of ``config.json`` that are assistants' are
    faulty."""
    parse_profiles(path, document)
    shared_sections(path, document)
    read_models(path, document)


def create_assistant(layout: Layout, wish: AssistantWish) -> Path:
    """Make a root with templates, and its entry; the root. The one default assistant becomes an entry too.

    Raises:
        UsageError: ``BAD_ID``, ``ASSISTANT_EXISTS``, ``PATH_ESCAPES``. PloinkyError: ``CONFIG_INVALID``.
    """
    if not is_assistant_id(wish.id):
        raise UsageError("BAD_ID", "An id is 1 to 64 of a-z, 0-9, '_' and '-'.", details={"field": "id"})
    root = wish.root or f"assistants/{wish.id}"
    folder = safe_join(layout.root, root)

    def change(document: JsonObject) -> JsonObject:
        section = parse_profiles(layout.config_file, document)
        if section.agent_profiles_root is not None:
            if folder.parent != safe_join(layout.root, section.agent_profiles_root) or folder.name != wish.id:
                raise UsageError(
                    "BAD_ROOT", f"With agentProfilesRoot the root is {section.agent_profiles_root}/{wish.id}."
                )
            return document
        entries: list[JsonValue] = [
            each.model_dump(by_alias=True, exclude_none=True) for each in section.profiles or ()
        ]
        if is_single(section) and wish.id != DEFAULT_ID and safe_join(layout.root, DEFAULT_ROOT).is_dir():
            entries = [{"id": DEFAULT_ID, "root": DEFAULT_ROOT}]
        if any(isinstance(each, dict) and each["id"] == wish.id for each in entries):
            raise UsageError(
                "ASSISTANT_EXISTS", f"There is an assistant '{wish.id}' already.", details={"field": "id"}
            )
        return {**document, "profiles": [*entries, {"id": wish.id, "root": root}]}

    folder_was_there = folder.exists()
    make_root(folder, wish.name or wish.id)
    try:
        _change_config(layout, change)
        overlay: JsonObject = {}
        if wish.name is not None:
            overlay["name"] = wish.name
        if wish.model_id is not None:
            overlay["modelId"] = wish.model_id
        if overlay:
            change_overlay(layout, folder, overlay)
    except BaseException:
        if not folder_was_there:
            shutil.rmtree(folder)
        raise
    return folder


def change_overlay(layout: Layout, root: Path, patch: Mapping[str, JsonValue]) -> None:
    """Lay ``patch`` over the ``config.json`` of a root; null removes a key.

    Raises:
        PloinkyError: ``CONFIG_INVALID``; nothing was written.
    """
    file = root / OVERLAY
    with FileLock(layout.lock("config")):
        document = _read(layout.config_file)
        changed = _merged(_read(file), patch)
        settings = settings_of(shared_sections(layout.config_file, document), changed, file)
        models, _ = read_models(layout.config_file, document)
        if settings.model_id is not None and settings.model_id not in models:
            raise NotFoundError(
                "MODEL_UNKNOWN",
                f"There is no model {settings.model_id!r} in models.",
                details={"field": "modelId"},
            )
        write_json(file, changed)


def remove_assistant(layout: Layout, assistant: str) -> None:
    """Take an assistant's entry out; its folder stays.

    Raises:
        UsageError: ``NOT_AN_ENTRY`` if no entry names it: it is the default one, or a folder of its own.
    """

    def change(document: JsonObject) -> JsonObject:
        section = parse_profiles(layout.config_file, document)
        if section.profiles is None or all(each.id != assistant for each in section.profiles):
            raise UsageError(
                "NOT_AN_ENTRY",
                f"No entry of profiles names '{assistant}'.",
                hint="The default one is there while nothing is configured; with agentProfilesRoot, move its"
                " folder away.",
            )
        left = [each for each in section.profiles if each.id != assistant]
        rows: list[JsonValue] = [each.model_dump(by_alias=True, exclude_none=True) for each in left]
        return {**document, "profiles": rows}

    _change_config(layout, change)


def purge_root(layout: Layout, root: Path) -> None:
    """Delete the folder of an assistant that is no longer in the configuration.

    Raises:
        UsageError: ``ROOT_SHARED`` if the folder is the workspace itself or another assistant lives in it.
    """
    section = parse_profiles(layout.config_file, _read(layout.config_file))
    others = [each.path for each in find_roots(layout, section).found]
    if root in (layout.root, *layout.root.parents) or any(root == p or root in p.parents for p in others):
        raise UsageError("ROOT_SHARED", f"{root} is not only this assistant's; it was left as it is.")
    shutil.rmtree(root)


def _merged(document: JsonObject, patch: Mapping[str, JsonValue]) -> JsonObject:
    merged = merged_over(document, patch)
    assert isinstance(merged, dict)
    return merged


def _change_config(layout: Layout, change: Callable[[JsonObject], JsonObject]) -> None:
    with FileLock(layout.lock("config")):
        changed = change(_read(layout.config_file))
        check_sections(layout.config_file, changed)
        find_roots(layout, parse_profiles(layout.config_file, changed))
        write_json(layout.config_file, changed)


def _read(path: Path) -> JsonObject:
    found = read_json_object(path, code=CONFIG_INVALID)
    return {} if found is None else dict(found)  # type: ignore[arg-type]  # JSON is all that JSON holds
