"""What front matter says beyond name and description: requirements, installs, credentials.

The namespaces ``openclaw``, ``clawdbot``, ``clawdis`` and ``moltbot`` under ``metadata`` mean the same; the
first one present counts, the keys directly under ``metadata`` after them. Foreign keys are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.base.names import is_env_name
from ploinky.skills.model import InstallEntry

NAMESPACES = ("openclaw", "clawdbot", "clawdis", "moltbot")
_MOST_ENTRIES = 64


@dataclass(frozen=True)
class Metadata:
    """Requirements of a skill. ``env`` are names of variables, each once."""

    bins: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    installs: tuple[InstallEntry, ...] = ()


def read_metadata(fields: JsonObject) -> Metadata:
    """The requirements that the front matter names."""
    own = _own(fields.get("metadata"))
    requires = find_object(own, "requires") or {}
    bins = (*_texts(requires.get("bins")), *_texts(requires.get("anyBins")))
    primary = find_text(own, "primaryEnv")
    env = (*_texts(requires.get("env")), *([primary] if primary else []))
    entries = own.get("install")
    installs = [read_install(each) for each in entries[:_MOST_ENTRIES]] if isinstance(entries, list) else []
    return Metadata(
        tuple(dict.fromkeys(bins)),
        tuple(dict.fromkeys(name for name in env if is_env_name(name))),
        tuple(entry for entry in installs if entry is not None),
    )


def read_install(value: JsonValue) -> InstallEntry | None:
    """One ``install[]`` entry; None if it is no object or names no kind."""
    if not isinstance(value, dict):
        return None
    kind = find_text(value, "kind")
    if not kind:
        return None
    texts = tuple((key, each) for key, each in value.items() if isinstance(each, str) and key != "kind")
    return InstallEntry(kind.lower(), texts, _texts(value.get("bins")), _texts(value.get("packages")))


def _own(metadata: JsonValue) -> JsonObject:
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(metadata, dict):
        return {}
    for namespace in NAMESPACES:
        found = metadata.get(namespace)
        if isinstance(found, str):
            found = _own(found)
        if isinstance(found, dict) and found:
            return found
    return metadata


def _texts(value: JsonValue) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list):
        return tuple(each for each in value[:_MOST_ENTRIES] if isinstance(each, str) and each)
    return ()
