"""The YAML between the two ``---`` lines of a SKILL.md, read as text only.

Every scalar stays a string, no tag makes an object. What is no YAML is tried again with its values quoted
(people write ``description: Use this: it helps``), then line by line. Never raises.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.skills.model import Diagnostic, Severity

_MOST_CHARACTERS = 64 * 1024
_DEEPEST = 24
_MOST_NODES = 5_000
_OPEN = re.compile(r"\A---[ \t]*\n")
_CLOSE = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_PLAIN_PAIR = re.compile(r"^([A-Za-z_][\w-]*):[ \t]+(\S.*)$")


@dataclass(frozen=True)
class FrontMatter:
    """The fields, the text after them with the line it starts at, and what was odd."""

    fields: JsonObject
    body: str
    body_line: int
    diagnostics: tuple[Diagnostic, ...] = ()
    present: bool = False


def split_front_matter(text: str) -> FrontMatter:
    """Take the front matter off ``text`` (line ends are ``\\n``)."""
    opened = _OPEN.match(text)
    closed = _CLOSE.search(text, opened.end()) if opened else None
    if opened is None:
        return FrontMatter({}, text, 1)
    if closed is None:
        odd = _odd(1, "FRONT_MATTER_OPEN", "The front matter is not closed by a line '---'.")
        return FrontMatter({}, text[opened.end() :], 2, (odd,))
    inner = text[opened.end() : closed.start()]
    body_line = text.count("\n", 0, closed.end()) + 2
    fields, diagnostics = _read(inner)
    return FrontMatter(fields, text[closed.end() :].removeprefix("\n"), body_line, diagnostics, present=True)


def _read(inner: str) -> tuple[JsonObject, tuple[Diagnostic, ...]]:
    if len(inner) > _MOST_CHARACTERS:
        return {}, (_odd(2, "FRONT_MATTER_LARGE", f"It has more than {_MOST_CHARACTERS} characters."),)
    loaded, line = _load(inner)
    if loaded is not None:
        return loaded, ()
    odd = _odd((line or 0) + 2, "FRONT_MATTER_YAML", "It is no valid YAML; its values were read as text.")
    quoted, _ = _load("\n".join(_quote(each) for each in inner.split("\n")))
    if quoted is not None:
        return quoted, (odd,)
    pairs = (_PLAIN_PAIR.match(each) for each in inner.split("\n"))
    return {pair.group(1): pair.group(2).strip() for pair in pairs if pair}, (odd,)


def _load(text: str) -> tuple[JsonObject | None, int | None]:
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        value = yaml.load(text, Loader=loader)  # noqa: S506 (the base loader makes strings only)
    except yaml.MarkedYAMLError as error:
        return None, error.problem_mark.line if error.problem_mark else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return None, None
    if value in (None, ""):
        return {}, None
    if not isinstance(value, dict):
        return None, 0
    budget = [_MOST_NODES]
    plain = _plain(value, budget, _DEEPEST)
    return (plain if isinstance(plain, dict) and budget[0] > 0 else None), 0


def _plain(value: object, budget: list[int], levels: int) -> JsonValue:
    """``value`` as JSON, within a number of nodes and levels: aliases of aliases cannot make it large."""
    budget[0] = budget[0] - 1 if levels else 0
    if budget[0] <= 0:
        return None
    if isinstance(value, dict):
        return {str(key): _plain(each, budget, levels - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, budget, levels - 1) for each in value]
    return str(value)


def _quote(line: str) -> str:
    pair = _PLAIN_PAIR.match(line)
    if pair is None or pair.group(2)[0] in "\"'|>[{":
        return line
    return f"{pair.group(1)}: {json.dumps(pair.group(2).strip(), ensure_ascii=False)}"


def _odd(line: int, code: str, message: str) -> Diagnostic:
    return Diagnostic(line, Severity.WARNING, code, message)
