"""Markdown cut into sections and fences; what a heading means.

A heading inside a fence is text. To understand one more heading, add a word to ``_ALIASES``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ploinky.skills.model import Diagnostic, Fence, Section, SectionKind, Severity

_ALIASES: dict[SectionKind, tuple[str, ...]] = {
    SectionKind.DESCRIPTION: ("description", "overview", "about", "what it does", "summary", "purpose"),
    SectionKind.INSTALL: (
        "install",
        "installation",
        "installing",
        "setup",
        "set up",
        "requirements",
        "prerequisites",
        "dependencies",
        "getting started",
        "quick start",
        "quickstart",
    ),
    SectionKind.CREDENTIALS: (
        "credentials",
        "credential",
        "authentication",
        "authorization",
        "auth",
        "api key",
        "api keys",
        "api token",
        "secrets",
        "environment variables",
        "environment",
    ),
    SectionKind.USAGE: ("usage", "how to use", "use", "using", "examples", "example", "commands"),
}
_BY_WORD = {alias: kind for kind, aliases in _ALIASES.items() for alias in aliases}
_LONGEST_ALIAS_FIRST = sorted(_BY_WORD, key=len, reverse=True)
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?[ \t]*#*[ \t]*\Z")
_FENCE = re.compile(r"([ \t>]*)(`{3,}|~{3,})[ \t]*([^`\n]*)\Z")
_NOT_WORDS = re.compile(r"[^a-z0-9 ]+")
_NUMBER = re.compile(r"^(?:step )?\d+(?: |$)")


def heading_kind(title: str) -> SectionKind:
    """What a section is for, by its title: an alias alone, or one that the title starts with."""
    words = " ".join(_NOT_WORDS.sub(" ", title.lower()).split())
    words = _NUMBER.sub("", words)
    if words in _BY_WORD:
        return _BY_WORD[words]
    for alias in _LONGEST_ALIAS_FIRST:
        if words.startswith(f"{alias} ") or (len(alias) > 6 and f" {alias}" in words):
            return _BY_WORD[alias]
    return SectionKind.OTHER


@dataclass
class _Open:
    """A section that is being read."""

    title: str = ""
    level: int = 0
    kind: SectionKind = SectionKind.OTHER
    line: int = 1
    lines: list[str] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)

    def close(self) -> Section:
        text = "\n".join(self.lines).strip("\n")
        return Section(self.title, self.level, self.kind, self.line, text, tuple(self.fences))


def read_sections(body: str, first_line: int) -> tuple[tuple[Section, ...], tuple[Diagnostic, ...]]:
    """Every section of ``body`` in order; the first one has level 0 and is what stands above all headings."""
    current = _Open(line=first_line)
    done: list[_Open] = []
    odd: list[Diagnostic] = []
    kinds: list[tuple[int, SectionKind]] = []
    for piece in _pieces(body, first_line):
        if isinstance(piece, Fence):
            current.fences.append(piece)
        elif isinstance(piece, Diagnostic):
            odd.append(piece)
        else:
            line, text, in_fence = piece
            heading = None if in_fence else _HEADING.match(text)
            if heading is None:
                current.lines.append(text)
                continue
            done.append(current)
            level, title = len(heading.group(1)), (heading.group(2) or "").strip()
            kinds = [each for each in kinds if each[0] < level]
            kind = heading_kind(title)
            if kind is SectionKind.OTHER and kinds and level > 2:
                kind = kinds[-1][1]
            kinds.append((level, kind))
            current = _Open(title, level, kind, line)
    done.append(current)
    return tuple(each.close() for each in done), tuple(odd)


def _pieces(body: str, first_line: int) -> Iterator[tuple[int, str, bool] | Fence | Diagnostic]:
    """Lines (number, text, whether inside a fence), and each fence when it ends."""
    mark, language, start, inside, indent = "", "", 0, [""], 0
    for number, line in enumerate(body.split("\n"), start=first_line):
        found = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if not mark:
            yield number, line, False
            if found:
                mark, start, inside, indent = found.group(2), number, [], len(found.group(1))
                language = (found.group(3).split() or [""])[0].strip("{}.").lower()
            continue
        yield number, line, True
        closes = found is not None and found.group(2)[0] == mark[0] and not found.group(3).strip()
        if closes and found is not None and len(found.group(2)) >= len(mark):
            yield Fence(start + 1, language, "\n".join(inside))
            mark = ""
        else:
            inside.append(_less(line, indent))
    if mark:
        yield Diagnostic(start, Severity.WARNING, "FENCE_OPEN", "This block of code is not closed.")
        yield Fence(start + 1, language, "\n".join(inside))


def _less(line: str, indent: int) -> str:
    lead = len(line) - len(line.lstrip(" \t>"))
    return line[min(indent, lead) :]
