"""URI templates (RFC 6570, levels 1 to 3) that tell which resource of a family a URI means.

A value ends where the text after its variable begins for the first time, the last one where the URI does;
so matching never goes back, whatever the template. Values are percent-decoded. A value never holds ``..``
as a step, a NUL or, unless its operator (``+``, ``#``) allows it, a slash, so that a program may make a
path of it. Of ``{?a,b}`` each may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

LONGEST_URI = 4096
_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_MOST_VARIABLES = 16
_LEADS = {"": ("", ","), "+": ("", ","), "#": ("#", ","), ".": (".", "."), "/": ("/", "/")}
_QUERY = ("?", "&")


class TemplateError(ValueError):
    """A template that cannot be used; the message says why."""


@dataclass(frozen=True)
class _Variable:
    """A variable, what must come before it, and whether its value may hold slashes."""

    name: str
    before: str
    is_open: bool


@dataclass(frozen=True)
class UriTemplate:
    """A template; made by ``parse_template``."""

    text: str
    path: tuple[_Variable, ...]
    tail: str
    query: frozenset[str]

    @property
    def variables(self) -> tuple[str, ...]:
        return (*(variable.name for variable in self.path), *sorted(self.query))

    def match(self, uri: str) -> dict[str, str] | None:
        """The values that ``uri`` has for the variables, or None if it is none of the family."""
        if len(uri) > LONGEST_URI:
            return None
        path, mark, query = uri.partition("?") if self.query else (uri, "", "")
        values = self._match_path(path)
        if values is None:
            return None
        for name, value in parse_qsl(query, keep_blank_values=True) if mark else ():
            if name not in self.query or name in values:
                return None
            values[name] = value
        return None if any(_is_hostile(value) for value in values.values()) else values

    def _match_path(self, path: str) -> dict[str, str] | None:
        if not self.path:
            return {} if path == self.tail else None
        if not path.endswith(self.tail):
            return None
        end = len(path) - len(self.tail)
        at = 0
        values: dict[str, str] = {}
        followers = (*(variable.before for variable in self.path[1:]), "")
        for variable, follower in zip(self.path, followers, strict=True):
            if not path.startswith(variable.before, at):
                return None
            at += len(variable.before)
            stop = path.find(follower, at, end) if follower else end
            raw = path[at:stop]
            if stop < at or (not variable.is_open and not set(raw).isdisjoint("/?#")):
                return None
            values[variable.name] = unquote(raw)
            at = stop
        return values if at == end else None


def parse_template(text: str) -> UriTemplate:
    """Read a template.

    Raises:
        TemplateError: it has no variable, one twice, two with nothing between them, or is not understood.
    """
    variables: list[_Variable] = []
    query: list[str] = []
    at, pending = 0, ""
    for expression in _EXPRESSION.finditer(text):
        pending += text[at : expression.start()]
        at = expression.end()
        body = expression[1]
        mark = body[:1] if body[:1] in _LEADS or body[:1] in _QUERY else ""
        names = body[len(mark) :].split(",")
        if not all(_NAME.fullmatch(name) for name in names):
            raise TemplateError(f"has an expression that is not understood: {{{body}}}")
        if mark in _QUERY:
            query += names
        elif query:
            raise TemplateError("has a variable of the path behind those of the query")
        else:
            lead, between = _LEADS[mark]
            for number, name in enumerate(names):
                before = pending + (between if number else lead)
                if variables and not before:
                    raise TemplateError("has two variables with nothing between them")
                variables.append(_Variable(name, before, mark in ("+", "#")))
                pending = ""
    tail = pending + text[at:]
    if query and text[at:]:
        raise TemplateError("has text behind the variables of the query")
    _check_names([*(variable.name for variable in variables), *query])
    if "{" in tail or "}" in _EXPRESSION.sub("", text):
        raise TemplateError("has a brace without its other")
    return UriTemplate(text, tuple(variables), tail, frozenset(query))


def _check_names(names: list[str]) -> None:
    if not names:
        raise TemplateError("has no {variable}")
    if len(set(names)) != len(names):
        raise TemplateError("has a variable twice")
    if len(names) > _MOST_VARIABLES:
        raise TemplateError(f"has more than {_MOST_VARIABLES} variables")


def _is_hostile(value: str) -> bool:
    return "\0" in value or ".." in re.split(r"[/\\]", value)
