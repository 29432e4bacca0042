"""Options read by a closed list, the way GNU programs read them: bundles, values, ``--name=value``.

What is not on the list is reported by the caller; an option is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ploinky.skills.safety.values import HOLE, Value


class Role(Enum):
    """What an operand or an option's value is to its program."""

    TEXT = "text"
    READ = "read"
    WRITE = "write"


class Operands(Enum):
    """How operands are used."""

    NONE = "none"
    TEXT = "text"
    READ = "read"
    WRITE = "write"
    READ_THEN_WRITE = "sources, then a target"
    TEXT_THEN_READ = "a pattern, then files"


@dataclass(frozen=True)
class Shape:
    """The options that a program may have here:
    short flags, long flags, options with a value and its role.
    """

    short: str = ""
    long: frozenset[str] = frozenset()
    takes: tuple[tuple[str, Role], ...] = ()
    operands: Operands = Operands.READ
    digits: bool = False  # -20 counts as an option (head, tail)
    plus: bool = False


@dataclass
class Read:
    """A command line, read: options with values in order, operands, and what was not on the list."""

    options: list[tuple[str, Value | None]] = field(default_factory=list)
    operands: list[Value] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)

    def values(self, *names: str) -> list[Value]:
        return [value for name, value in self.options if name in names and value is not None]


def shape(
    short: str = "",
    long: str = "",
    operands: Operands = Operands.READ,
    *,
    text: str = "",
    read: str = "",
    write: str = "",
    digits: bool = False,
) -> Shape:
    """A row: short flags, long flags, operands, and the options whose value is text,
    is read or is written.
    """
    takes = [(name, role) for names, role in ((text, Role.TEXT), (read, Role.READ), (write, Role.WRITE))
             for name in names.split()]  # fmt: skip
    return Shape(short, frozenset(long.split()), tuple(takes), operands, digits)


def read_options(args: Sequence[Value], of: Shape) -> Read:
    """Read ``args`` by the list of ``of``."""
    takes = dict(of.takes)
    found = Read()
    pending = iter(args)
    for value in pending:
        text = value.text
        if text == "--":
            found.operands.extend(pending)
        elif text.startswith("--") and len(text) > 2:
            _long(value, of, takes, found, pending)
        elif text.startswith("-") and len(text) > 1:
            if of.digits and text[1:].isdigit():
                continue
            _short(value, of, takes, found, pending)
        else:
            found.operands.append(value)
    return found


def _long(value: Value, of: Shape, takes: dict[str, Role], found: Read, pending: Iterator[Value]) -> None:
    name, equals, rest = value.text[2:].partition("=")
    if HOLE in name:
        found.unknown.append(value.text)
    elif name in takes:
        given = value.with_text(rest) if equals else next(pending, None)
        found.options.append((name, given))
    elif name in of.long and not equals:
        found.options.append((name, None))
    else:
        found.options.append((name, value.with_text(rest) if equals else None))
        found.unknown.append(value.text)


def _short(value: Value, of: Shape, takes: dict[str, Role], found: Read, pending: Iterator[Value]) -> None:
    text = value.text
    for at, letter in enumerate(text[1:], start=2):
        if letter in takes:
            rest = text[at:]
            found.options.append((letter, value.with_text(rest) if rest else next(pending, None)))
            return
        found.options.append((letter, None))
        if letter not in of.short:
            found.unknown.append(text)
