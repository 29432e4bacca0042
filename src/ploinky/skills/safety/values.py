"""What a word becomes: text with holes where nobody can know it before, and where the text came from.

A hole is one ``HOLE`` character; no shell text can hold it. A ``Value`` remembers its taints, so that what
came from the network, a decoder or a key file is known wherever it goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

HOLE = "\0"
_LONGEST = 16_384  # characters of a text that is followed


class Taint(StrEnum):
    """Where a text came from."""

    REMOTE = "remote"
    DECODED = "decoded"
    SECRET = "secret"  # keys, environment, files of the owner  # noqa: S105
    LOCAL = "local"  # facts of this machine
    COMPUTED = "computed"  # output of a program
    UNSET = "unset"  # a variable that the text does not set
    PIPE = "pipe"  # the other end of a process substitution


NONE: frozenset[Taint] = frozenset()


@dataclass(frozen=True)
class Value:
    """One argument. ``glob`` tells of unquoted ``*?[``; ``masked`` of quoting that only hides a name."""

    text: str
    taints: frozenset[Taint] = NONE
    glob: bool = False
    masked: bool = False
    quoted: bool = False
    variables: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        return HOLE not in self.text

    def with_text(self, text: str) -> Value:
        return replace(self, text=text)


@dataclass(frozen=True)
class Stream:
    """What flows through a pipe or lies in a file: its taints, and its text where that is known."""

    taints: frozenset[Taint] = NONE
    text: str | None = None
    origin: str = ""  # the command that made it


def joined(values: Iterable[Value], by: str = " ") -> Value:
    """Several values as one text."""
    each = list(values)
    long = sum(len(one.text) for one in each) > _LONGEST
    return Value(
        HOLE if long else by.join(one.text for one in each),
        frozenset().union(*(one.taints for one in each)),
        variables=frozenset().union(*(one.variables for one in each)),
    )


def expand_braces(text: str) -> list[str]:
    """``a{b,c}`` as the shell expands it (lists and short ranges); at most 64 words."""
    start = text.find("{")
    while start != -1:
        end, parts = _brace(text, start)
        if end and len(parts) > 1:
            found: list[str] = []
            for part in parts:
                found += expand_braces(text[:start] + part + text[end:])
                if len(found) > 64:
                    return [HOLE]
            return found
        start = text.find("{", start + 1)
    return [text]


def _brace(text: str, start: int) -> tuple[int, list[str]]:
    depth, parts, current = 0, [], ""
    for at in range(start + 1, len(text)):
        char = text[at]
        if char == "}" and depth == 0:
            parts.append(current)
            if len(parts) == 1 and ".." in current:
                return at + 1, _range(current)
            return at + 1, parts
        if char == "," and depth == 0:
            parts.append(current)
            current = ""
            continue
        depth += (char == "{") - (char == "}")
        current += char
    return 0, []


def _range(text: str) -> list[str]:
    ends = text.split("..")
    if len(ends) != 2:
        return [HOLE, HOLE] if len(ends) == 3 else [text]
    low, high = ends
    if low.lstrip("-").isdigit() and high.lstrip("-").isdigit() and len(low) < 6 and len(high) < 6:
        first, last = int(low), int(high)
        step = 1 if first <= last else -1
        numbers = list(range(first, last + step, step))
        return [str(number) for number in numbers] if len(numbers) <= 64 else [HOLE, HOLE]
    if len(low) == 1 and len(high) == 1 and low.isalpha() and high.isalpha():
        step = 1 if low <= high else -1
        return [chr(code) for code in range(ord(low), ord(high) + step, step)][:64]
    return [text]
