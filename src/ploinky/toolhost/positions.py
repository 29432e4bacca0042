"""On which line of a JSON text each value stands, for errors that a person must find."""

from __future__ import annotations

import json
import re

JsonPath = tuple[str | int, ...]
_TOKEN = re.compile(r'[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+')


def line_of(text: str, path: JsonPath) -> int:
    """The line (from 1) of the value at ``path``, or of its nearest ancestor that is there.

    ``text`` is valid JSON; a member's line is its key's.
    """
    lines = _lines(text)
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def path_text(path: JsonPath) -> str:
    """``("tools", 0, "name")`` as ``tools[0].name``; the root as ``(whole file)``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "(whole file)"


def _lines(text: str) -> dict[JsonPath, int]:
    found: dict[JsonPath, int] = {}
    path: list[str | int] = []
    in_array: list[bool] = []
    at_key = False
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        word = match.group()
        if word in "}]":
            path.pop()
            in_array.pop()
        elif word == ",":
            at_key = not in_array[-1]
            if in_array[-1]:
                path[-1] = int(path[-1]) + 1
        elif at_key:
            path[-1] = json.loads(word)
            found[tuple(path)] = line
            at_key = False
        elif word != ":":
            found.setdefault(tuple(path), line)
        if word in "{[":
            in_array.append(word == "[")
            path.append(0 if word == "[" else "")
            at_key = word == "{"
    return found
