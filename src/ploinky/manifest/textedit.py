"""JSON objects as text: members in their order, each with its value as it was written.

For changing one part of a file that people write and leaving the rest as it stands: key order, unknown keys,
numbers, the form of untouched values. Knows no manifest. The text must be valid JSON without repeated keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_SPACE = re.compile(r"[ \t\n\r]*")
_INDENT = re.compile(r"\n([ \t]+)\S")
_DECODER = json.JSONDecoder()
DEFAULT_INDENT = "  "


def members(raw: str) -> dict[str, str]:
    """The members of an object's text: the value of each key as text."""
    return {json.loads(key): value for key, value in _parts(raw, "{}")}


def items(raw: str) -> list[str]:
    """The items of a list's text, each as text."""
    return [value for _, value in _parts(raw, "[]")]


def indent_of(raw: str) -> str:
    """What one level is indented by in this text; two blanks if it has no second line."""
    found = _INDENT.search(raw)
    return found.group(1) if found else DEFAULT_INDENT


def render_object(parts: Mapping[str, str], indent: str, depth: int) -> str:
    """An object's text, its opening brace at ``depth`` levels, one member a line."""
    lines = [f"{json.dumps(key, ensure_ascii=False)}: {value}" for key, value in parts.items()]
    return _render("{}", lines, indent, depth)


def render_list(parts: Sequence[str], indent: str, depth: int) -> str:
    """A list's text, like ``render_object``; on one line if it is short."""
    line = f"[{', '.join(parts)}]"
    return line if len(line) <= 80 and "\n" not in line else _render("[]", parts, indent, depth)


def render_value(value: object, indent: str, depth: int) -> str:
    """Any value's text, for what was not written by anybody yet."""
    return deeper(json.dumps(value, indent=indent, ensure_ascii=False), indent, depth)


def deeper(raw: str, indent: str, levels: int) -> str:
    """A value's text moved to the right; no string of JSON spans lines, so only layout changes."""
    return raw.replace("\n", "\n" + indent * levels)


def _parts(raw: str, braces: str) -> Iterator[tuple[str, str]]:
    position = _skip(raw, 0)
    if raw[position] != braces[0]:
        raise ValueError(f"not a value in {braces}")
    position = _skip(raw, position + 1)
    while raw[position] != braces[1]:
        key = ""
        if braces == "{}":
            _, end = _DECODER.raw_decode(raw, position)
            key = raw[position:end]
            position = _skip(raw, _skip(raw, end) + 1)
        _, end = _DECODER.raw_decode(raw, position)
        yield key, raw[position:end]
        position = _skip(raw, end)
        if raw[position] == ",":
            position = _skip(raw, position + 1)


def _skip(raw: str, position: int) -> int:
    found = _SPACE.match(raw, position)
    assert found is not None, "the pattern matches the empty text"
    return found.end()


def _render(braces: str, lines: Sequence[str], indent: str, depth: int) -> str:
    if not lines:
        return braces
    inner = ",\n".join(f"{indent * (depth + 1)}{line}" for line in lines)
    return f"{braces[0]}\n{inner}\n{indent * depth}{braces[1]}"
