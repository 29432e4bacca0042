"""The grammar of ``.secrets`` and ``.env`` files, read and written.

One ``NAME=value`` a line, ``export`` before it or not; ``#`` starts a comment. Unquoted values end at
whitespace plus ``#`` or at the line's end; ``'single'`` quotes take everything as it stands; ``"double"``
quotes know ``\\n \\r \\t \\" \\\\ \\$``; both may span lines. A whole value ``$NAME`` is an alias, unless
it stands in single quotes or its ``$`` is escaped. Errors tell the line, never the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.names import is_env_name

_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=#'\"]+)[ \t]*=([ \t]*)")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_REST = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ALIAS = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*\Z")
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_ESCAPED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "$": "\\$"}


@dataclass(frozen=True, repr=False)
class Binding:
    """One assignment; ``text[start:end]`` of the file is its lines. ``literal``: never an alias.

    Its ``repr`` shows no value.
    """

    name: str
    value: str
    literal: bool = False
    start: int = 0
    end: int = 0

    @property
    def alias(self) -> str | None:
        """The variable that the whole value ``$NAME`` stands for, or None."""
        return None if self.literal else alias_target(self.value)

    def __repr__(self) -> str:
        return f"Binding({self.name!r})"


def alias_target(value: str) -> str | None:
    """``NAME`` if ``value`` is ``$NAME`` and nothing else."""
    found = _ALIAS.match(value)
    return found.group(1) if found else None


def parse_dotenv(text: str, *, source: str) -> tuple[Binding, ...]:
    """Every assignment in the order of the file (lines end by LF or CRLF); the last of a name counts.

    Raises:
        PloinkyError: ``DOTENV_SYNTAX``, with ``source`` and the line.
    """
    return tuple(_bindings(text, source))


def format_binding(name: str, value: str, *, literal: bool = False) -> str:
    """The line (ending in LF) that reads back as ``name`` and ``value``.

    Unless ``literal``, a value ``$NAME`` is written as the alias that it reads as.

    Raises:
        UsageError: ``BAD_VARIABLE`` if no environment could hold it.
    """
    if not is_env_name(name):
        raise UsageError(
            "BAD_VARIABLE",
            f"{name[:40]!r} cannot be the name of a variable.",
            hint="Use letters, digits and '_', not starting with a digit.",
        )
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise UsageError("BAD_VARIABLE", f"The value of {name} holds characters that no variable can hold.")
    if not value or _PLAIN.match(value) or (alias_target(value) and not literal):
        return f"{name}={value}\n"
    return f'{name}="{"".join(_ESCAPED.get(char, char) for char in value)}"\n'


def _bindings(text: str, source: str) -> Iterator[Binding]:
    position = 0
    while position < len(text):
        newline = text.find("\n", position)
        end = len(text) if newline < 0 else newline + 1
        line = text[position:end].strip()
        if not line or line.startswith("#"):
            position = end
            continue
        binding = _binding(text, position, end, source)
        yield binding
        position = binding.end


def _binding(text: str, start: int, line_end: int, source: str) -> Binding:
    head = _HEAD.match(text, start, line_end)
    if head is None:
        raise _syntax(text, start, source, "expected NAME=value")
    name = head.group(1)
    if not is_env_name(name):
        raise _syntax(text, start, source, "the name is not that of a variable")
    position = head.end()
    quote = text[position : position + 1]
    if quote not in ("'", '"') or not quote:
        value = _unquoted(text[position:line_end], spaced=bool(head.group(2)))
        return _checked(Binding(name, value, False, start, line_end), text, source)
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, position)
    if quoted is None:
        raise _syntax(text, start, source, f"the quote {quote} is never closed")
    rest = _REST.match(text, quoted.end())
    if rest is None:
        raise _syntax(text, quoted.end(), source, "there is text after the closing quote")
    raw = quoted.group(1).replace("\r\n", "\n")
    literal = quote == "'" or raw.startswith("\\$")
    value = raw if quote == "'" else _ESCAPE.sub(_unescape, raw)
    return _checked(Binding(name, value, literal, start, rest.end()), text, source)


def _unquoted(rest: str, *, spaced: bool) -> str:
    if spaced and rest.startswith("#"):
        return ""
    return re.split(r"[ \t]#", rest, maxsplit=1)[0].strip()


def _unescape(found: re.Match[str]) -> str:
    return _UNESCAPED.get(found.group(1), found.group(0))


def _checked(binding: Binding, text: str, source: str) -> Binding:
    if "\0" in binding.value:
        raise _syntax(text, binding.start, source, "the value holds a NUL character")
    return binding


def _syntax(text: str, position: int, source: str, fault: str) -> PloinkyError:
    line = text.count("\n", 0, position) + 1
    return PloinkyError(
        "DOTENV_SYNTAX",
        f"{source}, line {line}: {fault}.",
        hint="Write NAME=value, and quotes around values with spaces; the file was not changed.",
        details={"path": source, "line": str(line)},
    )
