"""The registry as raw JSON, whichever form the file has; no pydantic, so that reading it stays cheap.

Older forms: ``agents.json`` instead of ``agents``; entries keyed by container name; ``binds``, ``env``
and ``ports`` inside ``config``. They come out in the present form; nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ploinky.base.names import is_name
from ploinky.workspace.documents import read_json_object, shape_error
from ploinky.workspace.layout import Layout

REGISTRY_INVALID = "REGISTRY_INVALID"


@dataclass(frozen=True)
class RawRegistry:
    """``entries`` by key; ``extras``: top-level members that are no agents (names starting with ``_``)."""

    path: Path
    entries: dict[str, dict[str, object]] = field(default_factory=dict)
    extras: dict[str, object] = field(default_factory=dict)


def read_raw_registry(layout: Layout) -> RawRegistry:
    """What the workspace's registry file holds; empty if there is none.

    Raises:
        PloinkyError: ``REGISTRY_INVALID`` with path, and line and column or the key.
    """
    for path in (layout.registry_file, layout.old_registry_file):
        document = read_json_object(path, code=REGISTRY_INVALID)
        if document is not None:
            return _sorted_out(path, document)
    return RawRegistry(layout.registry_file)


def _sorted_out(path: Path, document: dict[str, object]) -> RawRegistry:
    found = RawRegistry(path)
    for name, value in document.items():
        if name.startswith("_"):
            found.extras[name] = value
            continue
        if not isinstance(value, dict):
            raise shape_error(path, REGISTRY_INVALID, f"{name}: must be an object", key=name)
        fields = _present_form(value, name)
        key = _key_of(path, name, fields)
        if key in found.entries and not fields.get("alias"):
            # the older form, keyed by container, could hold one agent's name from two repositories
            fields["alias"] = f"{fields['repoName']}-{fields['agentName']}"
            key = _key_of(path, name, fields)
        if key in found.entries:
            raise shape_error(path, REGISTRY_INVALID, f"{name}: a second entry for agent '{key}'", key=name)
        found.entries[key] = fields
    return found


def _present_form(value: dict[str, object], name: str) -> dict[str, object]:
    fields = dict(value)
    fields.setdefault("agentName", name)
    config = fields.get("config")
    if isinstance(config, dict):
        for member in ("binds", "ports"):
            if member in config and member not in fields:
                fields[member] = config[member]
    if "containerName" not in fields and name != fields["agentName"] and name != fields.get("alias"):
        fields["containerName"] = name
    return fields


def _key_of(path: Path, name: str, fields: dict[str, object]) -> str:
    """Alias or agent name, which becomes part of paths: it must be a name."""
    key = fields.get("alias") or fields["agentName"]
    for member in ("agentName", "repoName", "alias"):
        text = fields.get(member)
        if text is None and member == "alias":
            continue
        if not isinstance(text, str) or not is_name(text):
            place = f"{name}.{member}"
            raise shape_error(path, REGISTRY_INVALID, f"{place}: must be a name", key=place)
    assert isinstance(key, str)
    return key
