"""Strict conformance to the open Agent Skills format: what ``skills validate`` reports beyond loading.

The rules are the format's own: name, description, the known keys and their lengths.
"""

from __future__ import annotations

import re

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.skills.document import parse_skill
from ploinky.skills.front_matter import split_front_matter
from ploinky.skills.model import Diagnostic, Severity

_KEYS = frozenset({"name", "description", "license", "compatibility", "metadata", "allowed-tools"})
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_LENGTHS = {"name": 64, "description": 1024, "compatibility": 500}


def conformance(content: bytes, *, folder: str) -> tuple[Diagnostic, ...]:
    """Every departure from the format, as errors, and everything that loading found odd."""
    loaded = parse_skill(content, folder=folder).diagnostics
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return (*loaded, _fault("NOT_UTF8", "The file is not UTF-8."))
    front = split_front_matter(text.replace("\r\n", "\n"))
    if not front.present:
        return (*loaded, _fault("NO_FRONT_MATTER", "The file does not start with front matter."))
    faults = [_fault(each.code, each.message) for each in front.diagnostics]
    faults += _field_faults(front.fields, folder)
    return (*loaded, *faults)


def _field_faults(fields: JsonObject, folder: str) -> list[Diagnostic]:
    faults = [
        _fault("UNKNOWN_KEY", f"{key!r} is no key of the format.") for key in fields if key not in _KEYS
    ]
    faults += [
        _fault("MISSING_KEY", f"{key!r} is missing or empty.")
        for key in ("name", "description")
        if not _text(fields.get(key))
    ]
    faults += [
        _fault("TOO_LONG", f"{key!r} has more than {longest} characters.")
        for key, longest in _LENGTHS.items()
        if len(_text(fields.get(key))) > longest
    ]
    name = _text(fields.get("name"))
    if name and not _NAME.match(name):
        faults.append(_fault("BAD_NAME", "The name may hold lower-case letters, digits and single hyphens."))
    elif name and folder and name != folder:
        faults.append(_fault("NAME_NOT_FOLDER", f"The folder is called {folder!r}, the skill {name!r}."))
    metadata = fields.get("metadata")
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(each, str) for each in metadata.values())
    ):
        faults.append(_fault("METADATA", "'metadata' must map texts to texts."))
    if "allowed-tools" in fields and not isinstance(fields["allowed-tools"], str):
        faults.append(_fault("ALLOWED_TOOLS", "'allowed-tools' must be one text, separated by spaces."))
    return faults


def _text(value: JsonValue) -> str:
    return value.strip() if isinstance(value, str) else ""


def _fault(code: str, message: str) -> Diagnostic:
    return Diagnostic(1, Severity.ERROR, f"STRICT_{code}", message)
