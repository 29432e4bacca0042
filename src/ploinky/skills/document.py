"""A skill's file (SKILL.md or skill.md) made into a ``Skill``: lenient, with diagnostics, never raising.

The two forms differ in what an installer runs: the commands of the section Install (form of headings), or
the structured ``install[]`` entries (open form). Nothing here is judged; that is ``skills.safety``.
"""

from __future__ import annotations

import re

from ploinky.base.jsontypes import JsonObject
from ploinky.base.names import is_env_name
from ploinky.skills.front_matter import FrontMatter, split_front_matter
from ploinky.skills.metadata import Metadata, read_metadata
from ploinky.skills.model import Diagnostic, Fence, Form, Parsed, Section, SectionKind, Severity, Skill
from ploinky.skills.sections import read_sections

MOST_BYTES = 1024 * 1024
SHELL_LANGUAGES = frozenset({"", "sh", "bash", "shell", "zsh", "console", "terminal", "shell-session"})
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 4096
_NOT_NAME = re.compile(r"[^a-z0-9]+")
_INLINE_COMMAND = re.compile(r"^[ \t]*(?:[-*+]|\d+[.)])?[ \t]*`([^`]+)`[ \t]*$")
_PROMPT = re.compile(r"^[ \t]*\$[ \t]+(\S.*)$")
_CREDENTIAL = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b")


def parse_skill(content: bytes | str, *, folder: str = "") -> Parsed:
    """Read a skill's file. ``folder`` is the name of the folder it lies in, the last resort for its name."""
    text, odd = _text(content)
    front = split_front_matter(text)
    sections, more = read_sections(front.body, front.body_line)
    odd += [*front.diagnostics, *more]
    skill = _build(front, sections, folder, odd)
    return Parsed(skill, tuple(sorted(odd, key=lambda each: each.line)))


def skill_id(name: str) -> str:
    """A name as it may stand in paths and on the command line: lower case, hyphens; may be empty."""
    return _NOT_NAME.sub("-", name.lower()).strip("-")[:_LONGEST_NAME].strip("-")


def _text(content: bytes | str) -> tuple[str, list[Diagnostic]]:
    odd: list[Diagnostic] = []
    if isinstance(content, str):
        text = content
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            text = content.decode("utf-8", "replace")
            line = content.count(b"\n", 0, error.start) + 1
            odd.append(Diagnostic(line, Severity.WARNING, "NOT_UTF8", "The file is not UTF-8 here."))
    if len(text) > MOST_BYTES:
        odd.append(Diagnostic(1, Severity.WARNING, "TOO_LARGE", f"Only {MOST_BYTES} characters are read."))
        text = text[:MOST_BYTES]
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), odd


def _build(
    front: FrontMatter, sections: tuple[Section, ...], folder: str, odd: list[Diagnostic]
) -> Skill | None:
    metadata = read_metadata(front.fields)
    form = Form.OPEN if front.present and _field(front.fields, "name", "description") else Form.SECTIONS
    name = _name(front, sections, folder, odd)
    description = _description(front, sections)
    if not description:
        odd.append(Diagnostic(1, Severity.ERROR, "NO_DESCRIPTION", "The skill does not say what it does."))
        return None
    if len(description) > _LONGEST_DESCRIPTION:
        odd.append(Diagnostic(1, Severity.WARNING, "LONG_DESCRIPTION", "The description was shortened."))
        description = description[:_LONGEST_DESCRIPTION]
    tools = front.fields.get("allowed-tools", "")
    fields = tuple((key, value) for key, value in front.fields.items() if isinstance(value, str))
    return Skill(
        name=name,
        description=description,
        form=form,
        body=front.body,
        body_line=front.body_line,
        sections=sections,
        commands=_commands(sections) if form is Form.SECTIONS else (),
        installs=metadata.installs,
        required_bins=metadata.bins,
        credentials=_credentials(sections, metadata),
        allowed_tools=" ".join(map(str, tools)) if isinstance(tools, list) else str(tools),
        fields=fields,
    )


def _field(fields: JsonObject, *names: str) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _name(front: FrontMatter, sections: tuple[Section, ...], folder: str, odd: list[Diagnostic]) -> str:
    titles = (section.title for section in sections if section.level == 1)
    for candidate in (_field(front.fields, "name"), next(titles, ""), folder):
        name = skill_id(candidate)
        if name:
            if candidate != name:
                odd.append(Diagnostic(1, Severity.NOTE, "NAME_CHANGED", f"The skill is called {name!r}."))
            return name
    odd.append(Diagnostic(1, Severity.WARNING, "NO_NAME", "The skill has no name; it is called 'skill'."))
    return "skill"


def _description(front: FrontMatter, sections: tuple[Section, ...]) -> str:
    given = _field(front.fields, "description")
    if given:
        return given
    ordered = [each for each in sections if each.kind is SectionKind.DESCRIPTION]
    ordered += [each for each in sections if each.level <= 1]
    for section in ordered:
        for paragraph in section.text.split("\n\n"):
            plain = " ".join(paragraph.split())
            if plain and not plain.startswith(("```", "~~~", "|", "<", "![", "---")):
                return plain
    return ""


def _commands(sections: tuple[Section, ...]) -> tuple[Fence, ...]:
    found: list[Fence] = []
    for section in sections:
        if section.kind is not SectionKind.INSTALL:
            continue
        fences = [each for each in section.fences if each.language in SHELL_LANGUAGES and each.text.strip()]
        found += fences if section.fences else _bare_commands(section)
    return tuple(found)


def _bare_commands(section: Section) -> list[Fence]:
    """Commands that stand in the text: a line of inline code, or one with a prompt."""
    found = []
    for number, line in enumerate(section.text.split("\n"), start=section.line + 1):
        match = _INLINE_COMMAND.match(line) or _PROMPT.match(line)
        if match:
            found.append(Fence(number, "", match.group(1)))
    return found


def _credentials(sections: tuple[Section, ...], metadata: Metadata) -> tuple[str, ...]:
    names = list(metadata.env)
    for section in sections:
        if section.kind is SectionKind.CREDENTIALS:
            names += _CREDENTIAL.findall(section.text)
    return tuple(dict.fromkeys(name for name in names if is_env_name(name)))[:64]
