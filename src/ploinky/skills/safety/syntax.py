"""The syntax tree of a shell text, as frozen dataclasses.

The parser is shfmt's; ``read_tree`` makes nodes of its JSON. Literals arrive with their quoting undone and
marked, so that no rule ever looks at a source line. Offsets are bytes of the text, lines count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Literal:
    """Text as the shell sees it; ``quoted`` text is neither globbed nor split nor brace-expanded."""

    text: str
    quoted: bool
    encoded: bool = False  # was written as $'...' with escapes


@dataclass(frozen=True)
class Parameter:
    """``$name`` or ``${name op word}``; ``simple`` ones have no operator that changes the value."""

    name: str
    operator: str = ""
    word: Word | None = None
    simple: bool = True
    indirect: bool = False
    sliced: bool = False
    quoted: bool = False


@dataclass(frozen=True)
class Substitution:
    """``$(...)``; with ``process`` "<(" or ">(" a file that is the other end of a pipe."""

    body: tuple[Statement, ...]
    process: str = ""
    quoted: bool = False


@dataclass(frozen=True)
class Opaque:
    """A part whose value is not followed (arithmetic, extended glob) and what runs inside it."""

    kind: str
    inner: tuple[Substitution | Parameter, ...] = ()


Part: TypeAlias = "Literal | Parameter | Substitution | Opaque"


@dataclass(frozen=True)
class Word:
    parts: tuple[Part, ...] = ()
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Assign:
    """``name=value``, ``name+=value``, ``name=(...)``."""

    name: str
    value: Word | None
    append: bool = False
    items: tuple[Word, ...] | None = None
    index: tuple[Word, ...] = ()  # of an array's element; it is arithmetic, which runs what stands in it


@dataclass(frozen=True)
class Redirect:
    operator: str
    target: Word
    here: Word | None = None
    descriptor: str = ""


@dataclass(frozen=True)
class Call:
    """A simple command."""

    assigns: tuple[Assign, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Declare:
    """``export``, ``declare``, ``local``, ``readonly``, ``typeset``, ``nameref``."""

    variant: str
    assigns: tuple[Assign, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Binary:
    """``&&``, ``||``, ``|``, ``|&``."""

    operator: str
    left: Statement
    right: Statement


@dataclass(frozen=True)
class Branch:
    """``if`` with its ``elif`` as the only statement of ``otherwise``."""

    condition: tuple[Statement, ...]
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True)
class Loop:
    """``for`` has a name and items; ``while`` and ``until`` a condition."""

    body: tuple[Statement, ...]
    condition: tuple[Statement, ...] = ()
    name: str = ""
    items: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Case:
    subject: Word
    branches: tuple[tuple[Statement, ...], ...]
    patterns: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Group:
    """``{ ...; }`` or ``( ... )``; ``time`` is a group of one."""

    body: tuple[Statement, ...]
    subshell: bool


@dataclass(frozen=True)
class Function:
    name: str
    body: Statement


@dataclass(frozen=True)
class Condition:
    """``[[ ... ]]``: its words are expanded; ``operator`` is that of a single comparison."""

    words: tuple[Word, ...]
    operator: str = ""


@dataclass(frozen=True)
class Unfollowed:
    """A construct that is not followed (coproc, arithmetic commands): what runs inside it is."""

    kind: str
    inner: tuple[Statement, ...]
    words: tuple[Word, ...] = ()


Command: TypeAlias = (
    "Call | Declare | Binary | Branch | Loop | Case | Group | Function | Condition | Unfollowed | None"
)


@dataclass(frozen=True)
class Statement:
    command: Command
    redirects: tuple[Redirect, ...]
    line: int
    start: int
    end: int
    background: bool = False
    negated: bool = False
