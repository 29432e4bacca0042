"""From the text of ``manifest.json`` to a ``Manifest``, or to all of its faults with their places.

Faults come from three sides: the JSON (``jsontext``), the model (``model``), and checks that span fields
(``checks``). Warnings never stop a manifest unless ``strict`` is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ploinky.base.names import closest
from ploinky.manifest import checks, faults
from ploinky.manifest.faults import Fault, Finding, Warning_, show_path
from ploinky.manifest.fields import TAG
from ploinky.manifest.jsontext import Document, JsonTextError, Path, Place, read_json
from ploinky.manifest.model import Manifest, Profile

F = TypeVar("F", bound=Finding)
_LONGEST = 1_000_000
_KEY = "[key]"
_TAGGED = re.compile(r"\\x00(\w+)")
_TOP_LEVEL = frozenset(field.alias or name for name, field in Manifest.model_fields.items())
_IGNORED_KEY = re.compile(r"\$|_|//|x-")
_KIND_NAMES = {
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_MESSAGES: Mapping[str, str] = {
    "missing": "this field is missing.",
    "string_type": "this must be a text.",
    "bool_type": "this must be true or false.",
    "int_type": "this must be a whole number.",
    "int_from_float": "this must be a whole number.",
    "float_type": "this must be a number.",
    "finite_number": "this must be a finite number.",
    "list_type": "this must be a list.",
    "dict_type": "this must be an object.",
    "model_type": "this must be an object.",
    "string_too_short": "this must not be empty.",
    "literal_error": "this must be {expected}.",
    "greater_than": "this must be more than {gt:g}.",
    "greater_than_equal": "this must be {ge:g} or more.",
    "less_than_equal": "this must be {le:g} or less.",
    "string_pattern_mismatch": "this must have the form {pattern}.",
}


def parse_manifest(text: str | bytes, *, source: str, strict: bool = False) -> Manifest:
    """Read a manifest; ``source`` names it in messages. Bytes are UTF-8, or UTF-16/32 with a mark.

    Empty fields count as absent. With ``strict`` every warning is a fault.

    Raises:
        ManifestError: ``MANIFEST_PARSE_ERROR``, ``MANIFEST_INVALID`` with all faults in the order of the
            file, or ``MISSING_CONTAINER`` when nothing else is wrong.
    """
    document = _read(text, source)
    manifest, found = _judge(document)
    missing = _missing_container(document)
    if missing is not None and not found:
        raise faults.missing_container(source, missing)
    if manifest is None or found:
        raise faults.invalid(source, _in_order([*found, *([missing] if missing else [])]))
    warnings = tuple(_warnings(document, manifest))
    if strict and warnings:
        raise faults.invalid(source, [Fault(**vars(warning)) for warning in warnings])
    return manifest.with_warnings(warnings)


def _read(text: str | bytes, source: str) -> Document:
    if isinstance(text, bytes):
        text = _decode(text, source)
    if len(text) > _LONGEST:
        raise faults.parse_error(source, Fault("", 1, f"it is longer than {_LONGEST} characters", None))
    try:
        return read_json(text)
    except JsonTextError as error:
        fault = Fault("", error.place.line, error.reason, error.hint, error.place.column)
        raise faults.parse_error(source, fault) from None


def _decode(data: bytes, source: str) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        column = len(before) - before.rfind("\n")
        fault = Fault("", before.count("\n") + 1, "this is not UTF-8 text", "Save the file as UTF-8.", column)
        raise faults.parse_error(source, fault) from None


def _judge(document: Document) -> tuple[Manifest | None, list[Fault]]:
    """The manifest, if its shape is right, and all faults in the order of the file."""
    if not isinstance(document.value, dict):
        return None, [
            _finding(Fault, document, (), "a manifest is an object.", 'Write {"container": "..."}.')
        ]
    found = [
        Fault(show_path(path), place.line, f"{message}.", None, place.column)
        for path, place, message in document.remarks
    ]
    manifest = None
    paths: list[Path] = []
    try:
        manifest = Manifest.model_validate(document.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            path = _path(detail["loc"])
            paths.append(path)
            found.append(_fault(document, path, detail))
    for check in checks.CHECKS:
        for path, message, hint in check(document.value):
            if not any(known[: len(path)] == path for known in paths):
                found.append(_finding(Fault, document, path, message, hint))
    return manifest, _in_order(found)


def _missing_container(document: Document) -> Fault | None:
    if not isinstance(document.value, dict):
        return None
    problem = checks.find_missing_container(document.value)
    return None if problem is None else _finding(Fault, document, *problem)


def _fault(document: Document, path: Path, detail: ErrorDetails) -> Fault:
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "manifest":
        return _finding(Fault, document, path, str(context["message"]), str(context["hint"]) or None)
    if kind == "union_tag_invalid":
        names = [_KIND_NAMES[name] for name in _TAGGED.findall(str(context["expected_tags"]))]
        message = f"this must be {' or '.join(names)}."
    else:
        message = _MESSAGES.get(kind, "this is not understood.").format(**context)
    return _finding(Fault, document, path, message, None)


def _path(location: Sequence[str | int]) -> Path:
    """A place of pydantic's as a path: without the tags of unions and the mark of a key."""
    plain = [part for part in location if not (isinstance(part, str) and part.startswith(TAG))]
    return tuple(plain[:-1] if plain and plain[-1] == _KEY else plain)


def _finding(make: type[F], document: Document, path: Path, message: str, hint: str | None) -> F:
    place = document.place_of_key(path)
    return make(show_path(path), place.line, message, hint, place.column)


def _in_order(found: list[F]) -> list[F]:
    return sorted(dict.fromkeys(found), key=lambda finding: Place(finding.line, finding.column))


def _warnings(document: Document, manifest: Manifest) -> Iterator[Warning_]:
    raw = document.value
    assert isinstance(raw, dict)
    problems = [*_unknown_fields(manifest, ()), *checks.doubtful(raw)]
    old = checks.old_form(raw)
    make = partial(_finding, Warning_, document)
    yield from _in_order([make(*problem) for problem in (*problems, *([old] if old else []))])


def _unknown_fields(value: object, path: Path) -> Iterator[checks.Problem]:
    """Fields that the model keeps without knowing them, with what was probably meant."""
    if isinstance(value, BaseModel):
        kind = type(value)
        known = {field.alias or name: name for name, field in kind.model_fields.items()}
        for key in value.model_extra or {}:
            if not _IGNORED_KEY.match(key):
                yield (*path, key), "this field is not known.", _advice(key, kind, known)
        for key, name in known.items():
            yield from _unknown_fields(getattr(value, name), (*path, key))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_fields(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_fields(item, (*path, index))


def _advice(key: str, kind: type[BaseModel], known: Mapping[str, str]) -> str:
    if kind is Profile and key in _TOP_LEVEL:
        return "It belongs to the top level."
    near = closest(key, known)
    if near is not None:
        return f"Did you mean {near!r}?"
    return "It has no effect; prefix it with 'x-' if it is for another program."
