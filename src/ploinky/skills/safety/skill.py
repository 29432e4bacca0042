"""A whole skill judged: its commands, its structured installs, its words, every file that it brings.

Commands of the section Install are what would run: they count as they are. Commands elsewhere are told to a
reader: attacks count fully, what merely does not belong into an install asks, broken examples are no
findings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ploinky.skills.document import SHELL_LANGUAGES, parse_skill
from ploinky.skills.model import Diagnostic, Fence, InstallEntry, Skill
from ploinky.skills.safety.prose import judge_prose
from ploinky.skills.safety.rules import Finding, Verdict, finding, worst
from ploinky.skills.safety.scripts import judge_file, secret_texts
from ploinky.skills.safety.structured import judge_entry
from ploinky.skills.safety.text import Setting, judge_texts
from ploinky.skills.safety.unicode import hidden_characters

MAIN_FILES = ("SKILL.md", "skill.md", "Skill.md")
_FATAL_WHEN_TOLD = frozenset(
    "remote-exec piped-code obfuscated reverse-shell exfiltration agent-instructions lure read-secret "
    "hijack odd-characters".split()
)
_NOTHING_WHEN_TOLD = frozenset("not-shell placeholder computed-command dynamic-eval inline-code".split())
_MOST_FILES = 2_000


@dataclass(frozen=True)
class Analysis:
    """The verdict over a skill, with every finding, worst first, and what would run at its install."""

    skill: Skill | None
    findings: tuple[Finding, ...]
    diagnostics: tuple[Diagnostic, ...]
    commands: tuple[Fence, ...] = ()
    installs: tuple[InstallEntry, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return worst(self.findings)


def main_file(files: Mapping[str, bytes]) -> str | None:
    """The name of the skill's own file among ``files``."""
    return next((name for name in MAIN_FILES if name in files), None)


def analyse(files: Mapping[str, bytes], *, folder: str = "") -> Analysis:
    """Judge a skill by all of its files (paths relative to its folder, with '/')."""
    name = main_file(files)
    if name is None:
        missing = finding("not-shell", 1, folder, "there is no SKILL.md")
        return Analysis(None, (missing,), ())
    parsed = parse_skill(files[name], folder=folder)
    text = files[name].decode("utf-8", "replace").replace("\r\n", "\n")
    found = [*hidden_characters(text), *secret_texts(text), *judge_prose(text)]
    skill = parsed.skill
    if skill is not None:
        found += _commands(skill, frozenset(files))
        found += [each for entry in skill.installs for each in judge_entry(entry)]
    found = [replace(each, file=name) for each in found]
    for other, data in list(files.items())[:_MOST_FILES]:
        if other != name:
            found += judge_file(other, data)
            if other.endswith((".md", ".txt")):
                prose = data.decode("utf-8", "replace")
                found += [
                    replace(each, file=other) for each in (*judge_prose(prose), *hidden_characters(prose))
                ]
    if len(files) > _MOST_FILES:
        found.append(finding("complex", 1, folder, f"more than {_MOST_FILES} files"))
    ordered = sorted(set(found), key=lambda each: (-each.verdict, each.file, each.line, each.rule))
    commands = skill.commands if skill is not None else ()
    return Analysis(
        skill, tuple(ordered), parsed.diagnostics, commands, skill.installs if skill is not None else ()
    )


def _commands(skill: Skill, files: frozenset[str]) -> list[Finding]:
    setting = Setting(bundled=files, bins=_declared(skill))
    installed = set(skill.commands)
    told = [
        fence
        for section in skill.sections
        for fence in section.fences
        if fence.language in SHELL_LANGUAGES - {""} and fence not in installed
    ]
    blocks = [*skill.commands, *told]
    judged = judge_texts([(each.text, each.line) for each in blocks], setting=setting)
    found: list[Finding] = []
    for block, each in zip(blocks, judged, strict=True):
        found += each.findings if block in installed else _told(each.findings)
    return found


def _told(findings: tuple[Finding, ...]) -> list[Finding]:
    """What remains of findings about commands that stand in instructions only."""
    denied = [
        each for each in findings if each.verdict is Verdict.DENY and each.rule not in _NOTHING_WHEN_TOLD
    ]
    return [each if each.rule in _FATAL_WHEN_TOLD else replace(each, told_only=True) for each in denied]


def _declared(skill: Skill) -> frozenset[str]:
    bins = [*skill.required_bins, *(name for entry in skill.installs for name in entry.bins)]
    return frozenset(bins)


def as_json(analysis: Analysis) -> str:
    """The analysis for a machine."""
    return json.dumps(
        {
            "verdict": analysis.verdict.word,
            "findings": [
                {
                    "rule": each.rule,
                    "verdict": each.verdict.word,
                    "file": each.file,
                    "line": each.line,
                    "text": each.text,
                    "reason": each.reason,
                }
                for each in analysis.findings
            ],
        }
    )
