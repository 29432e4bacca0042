"""Changes to a manifest's text: from the old form to profiles, and a new profile in it.

What is not changed stays as it was written. A migration is proved before it is handed out: under every
profile the new text means what the old one meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.manifest import textedit
from ploinky.manifest.checks import OLD_FIELDS
from ploinky.manifest.document import parse_manifest
from ploinky.manifest.effective import effective
from ploinky.manifest.env import entry_of_item, parse_env
from ploinky.manifest.model import Manifest
from ploinky.manifest.values import KNOWN_PROFILES, EffectiveConfig

_PROFILES, _DEFAULT = "profiles", "default"
_PORTS = ("port", "ports")
_Text = Mapping[str, str]


@dataclass(frozen=True)
class Migration:
    """The new text, and the names of the fields that were moved into ``profiles.default``."""

    text: str
    moved: tuple[str, ...]


def migrate(text: str, *, source: str) -> Migration:
    """Move hooks, env and ports of the top level into ``profiles.default``; nothing moved: the same text.

    What ``profiles.default`` says already stays and wins, as it did.

    Raises:
        ManifestError: if it is no valid manifest.
        PloinkyError: ``MIGRATION_UNSURE`` if the meaning would change; it never should.
    """
    before = parse_manifest(text, source=source)
    plain = _unified(text)
    top = textedit.members(plain)
    moved = tuple(name for name in top if name in OLD_FIELDS and json.loads(top[name]) not in _EMPTY)
    if not moved:
        return Migration(text, ())
    indent = textedit.indent_of(plain)
    profiles = textedit.members(top.get(_PROFILES, "{}"))
    default = _default(top, moved, profiles.get(_DEFAULT, "{}"), indent)
    written = textedit.render_object(default, indent, 2)
    profiles = {**profiles, _DEFAULT: written} if _DEFAULT in profiles else {_DEFAULT: written, **profiles}
    result = _rewritten(top, moved, textedit.render_object(profiles, indent, 1))
    new_text = _like(text, textedit.render_object(result, indent, 0))
    _prove(before, parse_manifest(new_text, source=source), source)
    return Migration(new_text, moved)


def add_profile(text: str, name: str, profile: Mapping[str, object], *, source: str) -> str:
    """The text with one more profile at the end of ``profiles``.

    Raises:
        UsageError: ``PROFILE_EXISTS``. ManifestError: if it is no valid manifest, or would be none.
    """
    manifest = parse_manifest(text, source=source)
    if name in (manifest.profiles or {}):
        raise UsageError(
            "PROFILE_EXISTS", f"{source} has a profile '{name}' already.", hint="Choose another name."
        )
    plain = _unified(text)
    top, indent = textedit.members(plain), textedit.indent_of(plain)
    profiles = textedit.members(top.get(_PROFILES, "{}"))
    profiles[name] = textedit.render_value(profile, indent, 2)
    top[_PROFILES] = textedit.render_object(profiles, indent, 1)
    new_text = _like(text, textedit.render_object(top, indent, 0))
    parse_manifest(new_text, source=source)
    return new_text


_EMPTY: tuple[object, ...] = (None, "", [], {})


def _default(top: _Text, moved: tuple[str, ...], raw: str, indent: str) -> dict[str, str]:
    """``profiles.default`` with what is moved below it."""
    present = textedit.members(raw)
    has_ports = any(name in present for name in _PORTS)
    default: dict[str, str] = {}
    for name in moved:
        if name == "env" and name in present:
            present[name] = _merged_env(top[name], present[name], indent)
        elif name not in present and not (has_ports and name in _PORTS):
            default[name] = textedit.deeper(top[name], indent, 2)
    return default | present


def _merged_env(lower: str, upper: str, indent: str) -> str:
    if lower.startswith("[") and upper.startswith("["):
        said = {entry.name for entry in parse_env(json.loads(upper))}
        kept = [item for item in textedit.items(lower) if entry_of_item(json.loads(item)).name not in said]
        return textedit.render_list([*kept, *textedit.items(upper)], indent, 3)
    return textedit.render_object({**_as_map(lower), **_as_map(upper)}, indent, 3)


def _as_map(raw: str) -> dict[str, str]:
    """Any form of env as a map, each value as text."""
    if raw.startswith("{"):
        return textedit.members(raw)
    found: dict[str, str] = {}
    for item in json.loads(raw):
        entry = entry_of_item(item)
        value: object = None if entry.default is None else {"default": entry.default}
        if isinstance(item, dict):
            value = {key: each for key, each in item.items() if key != "name"}
        found[entry.name] = json.dumps(value, ensure_ascii=False)
    return found


def _rewritten(top: _Text, moved: tuple[str, ...], profiles: str) -> dict[str, str]:
    """The top level without what was moved; ``profiles`` in its place, else in that of the first moved."""
    result: dict[str, str] = {}
    for name, value in top.items():
        if name == _PROFILES or (name in moved and _PROFILES not in top):
            result.setdefault(_PROFILES, profiles)
        elif name not in moved:
            result[name] = value
    return result


def _prove(before: Manifest, after: Manifest, source: str) -> None:
    for name in {*KNOWN_PROFILES, *before.profile_names}:
        known = not before.profiles or name in before.profiles
        if known and _meaning(before, name) != _meaning(after, name):
            raise PloinkyError(
                "MIGRATION_UNSURE",
                f"Under the profile '{name}' {source} would mean something else.",
                hint="Move the fields by hand; the file was not changed.",
            )


def _meaning(manifest: Manifest, profile: str) -> EffectiveConfig:
    config = effective(manifest, profile, agent="agent")
    return replace(config, notices=(), env=tuple(sorted(config.env, key=lambda entry: entry.name)))


def _unified(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _like(old: str, new: str) -> str:
    """The new text with the line ends, and the last one, of the old."""
    new += "\n" if old.endswith("\n") else ""
    return new.replace("\n", "\r\n") if "\r\n" in old else new
