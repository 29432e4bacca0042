"""What a skill says about itself, after parsing: frozen facts, nothing judged.

A ``Skill`` is made by ``document.parse_skill``. Lines count from 1 in the file they came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """``ERROR`` makes a skill unusable; the others do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Diagnostic:
    """Something odd in the file, where it is, and what was made of it."""

    line: int
    severity: Severity
    code: str
    message: str


class SectionKind(StrEnum):
    """What a section is for, by its heading."""

    DESCRIPTION = "description"
    INSTALL = "install"
    CREDENTIALS = "credentials"
    USAGE = "usage"
    OTHER = "other"


@dataclass(frozen=True)
class Fence:
    """A block of code: the line of its first text line, its language (lower case, may be empty), its text."""

    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Section:
    """A heading with the lines below it, up to the next heading. ``line`` is that of the heading."""

    title: str
    level: int
    kind: SectionKind
    line: int
    text: str
    fences: tuple[Fence, ...]


@dataclass(frozen=True)
class InstallEntry:
    """One structured ``install[]`` entry, as it stands there; ``skills.plans`` makes a command of it."""

    kind: str
    values: tuple[tuple[str, str], ...] = ()
    bins: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def value(self, name: str) -> str:
        """The text under ``name``, or an empty one."""
        return dict(self.values).get(name, "")


class Form(StrEnum):
    """``OPEN``: SKILL.md with front matter. ``SECTIONS``: headings Description, Install, and so on."""

    OPEN = "open"
    SECTIONS = "sections"


@dataclass(frozen=True)
class Skill:
    """A usable skill. ``allowed_tools`` is what it wishes for; it grants nothing."""

    name: str
    description: str
    form: Form
    body: str
    body_line: int
    sections: tuple[Section, ...]
    commands: tuple[Fence, ...] = ()
    installs: tuple[InstallEntry, ...] = ()
    required_bins: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    allowed_tools: str = ""
    fields: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True)
class Parsed:
    """The skill, or None if there is nothing to use, and everything that was odd."""

    skill: Skill | None
    diagnostics: tuple[Diagnostic, ...]
