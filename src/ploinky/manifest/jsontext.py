"""JSON with places: every value and key of a document knows its line and column.

The standard reader gives no positions and swallows duplicate keys; the values read here are otherwise
the same. Knows nothing of manifests. Lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
Path = tuple[str | int, ...]

_DEEPEST = 100
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_END = re.compile(r"\r\n|\n|\r")
# a possessive repetition of the whole would end inside a broken escape, before Python 3.11.5
_STRING_START = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*')
_STRING = re.compile(_STRING_START.pattern + '"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_NOT_JSON = {
    "'": ("strings take double quotes", "Replace ' by \"."),
    "/": ("JSON knows no comments", "Remove the comment."),
    "#": ("JSON knows no comments", "Remove the comment."),
}


class Place(NamedTuple):
    line: int
    column: int


class Remark(NamedTuple):
    """Something legible that should not be there, such as a key given twice."""

    path: Path
    place: Place
    message: str


@dataclass(frozen=True)
class Document:
    """A value with the places of its parts; ``places`` has every value, ``key_places`` every key."""

    value: Json
    places: dict[Path, Place]
    key_places: dict[Path, Place]
    remarks: tuple[Remark, ...]

    def place_of(self, path: Path) -> Place:
        """Where the value at ``path`` starts, or the nearest value around it that exists."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def place_of_key(self, path: Path) -> Place:
        """Where the key of ``path`` starts; the place of the value if it has no key."""
        return self.key_places.get(path) or self.place_of(path)


class JsonTextError(ValueError):
    """The text is not JSON; ``reason`` and ``hint`` are for people and quote at most one character."""

    def __init__(self, reason: str, place: Place, hint: str | None = None) -> None:
        super().__init__(f"{reason} at line {place.line}, column {place.column}")
        self.reason = reason
        self.place = place
        self.hint = hint


def read_json(text: str) -> Document:
    """Read a whole text; a byte order mark at its start is passed over.

    Raises:
        JsonTextError: with the place where it stops being JSON.
    """
    return _Reader(text.removeprefix("\ufeff")).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._places: dict[Path, Place] = {}
        self._key_places: dict[Path, Place] = {}
        self._remarks: list[Remark] = []

    def document(self) -> Document:
        if not self._peek():
            raise self._error("the file is empty", hint='Write at least {"container": "image:tag"}.')
        value = self._value(())
        if self._peek():
            raise self._error("there is text after the end of the document")
        # of a key given twice the first value leaves places behind that are no longer there
        live = set(_paths(value, ())) if self._remarks else self._places.keys()
        return Document(
            value,
            {path: place for path, place in self._places.items() if path in live},
            {path: place for path, place in self._key_places.items() if path in live},
            tuple(self._remarks),
        )

    def _place(self, at: int) -> Place:
        line = bisect_right(self._line_starts, at)
        return Place(line, at - self._line_starts[line - 1] + 1)

    def _error(self, reason: str, *, at: int | None = None, hint: str | None = None) -> JsonTextError:
        at = self._at if at is None else at
        char = self._text[at : at + 1]
        if not char and at > 0:
            reason = "the text ends too early"
        elif char in _NOT_JSON and hint is None:
            reason, hint = _NOT_JSON[char]
        return JsonTextError(reason, self._place(at), hint)

    def _remark(self, path: Path, at: int, message: str) -> None:
        self._remarks.append(Remark(path, self._place(at), message))

    def _peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _value(self, path: Path) -> Json:
        char = self._peek()
        self._places[path] = self._place(self._at)
        if len(path) > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} levels are nested")
        if char == "{":
            return self._object(path)
        if char == "[":
            return self._array(path)
        if char == '"':
            return self._string(path)
        return self._word(path)

    def _object(self, path: Path) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for _ in self._items("}"):
            if self._peek() != '"':
                raise self._error("a key in double quotes is expected")
            start = self._at
            key = self._string(path)
            inner = (*path, key)
            if key in found:
                self._remark(inner, start, "this key is given twice")
            self._key_places[inner] = self._place(start)
            if self._peek() != ":":
                raise self._error("':' is expected after the key")
            self._at += 1
            found[key] = self._value(inner)
        return found

    def _array(self, path: Path) -> list[Json]:
        found: list[Json] = []
        for index in self._items("]"):
            found.append(self._value((*path, index)))  # noqa: PERF401  the reader moves on by each value
        return found

    def _items(self, end: str) -> Iterator[int]:
        """Stand before each item of a list of items in turn; afterwards, behind ``end``."""
        self._at += 1
        index = 0
        if self._peek() != end:
            while True:
                yield index
                index += 1
                if self._peek() != ",":
                    break
                comma = self._at
                self._at += 1
                if self._peek() == end:
                    raise self._error(f"a comma stands before '{end}'", at=comma, hint="Remove that comma.")
        if self._peek() != end:
            raise self._error(f"',' or '{end}' is expected")
        self._at += 1

    def _string(self, path: Path) -> str:
        start = self._at
        match = _STRING.match(self._text, start)
        if match is None:
            raise self._bad_string(start)
        self._at = match.end()
        value: str = json.loads(match.group())
        if "\0" in value:
            self._remark(path, start, "the text holds a NUL character")
        if _SURROGATE.search(value):
            self._remark(path, start, "the text holds half of a character (a lone surrogate)")
        return value

    def _bad_string(self, start: int) -> JsonTextError:
        match = _STRING_START.match(self._text, start)
        assert match is not None
        at = match.end()
        if self._text[at : at + 1] == "\\":
            return self._error("this escape is not JSON", at=at, hint=r"Write \\ for a backslash.")
        if self._text[at : at + 1] in ("\n", "\r"):
            return self._error("a string does not end on its line", at=start, hint=r"Write \n instead.")
        return self._error("a control character stands in a string", at=at, hint=r"Write \t or \u00XX.")

    def _word(self, path: Path) -> Json:
        match = _NUMBER.match(self._text, self._at)
        if match is not None:
            return self._number(path, match)
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        raise self._error("a value is expected")

    def _number(self, path: Path, match: re.Match[str]) -> int | float:
        start = self._at
        self._at = match.end()
        if not match["real"]:
            try:
                return int(match.group())
            except ValueError as error:  # the interpreter's own limit on digits
                raise self._error("a number has too many digits", at=start) from error
        value = float(match.group())
        if math.isinf(value):
            self._remark(path, start, "this number is too large")
        return value


def _paths(value: Json, path: Path) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _paths(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _paths(part, (*path, index))
