"""One text of commands judged: what the bench measures and what every block of a skill goes through.

The runner stops at the first command that fails (errexit, pipefail), so a digest that is checked in one line
guards the lines after it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ploinky.skills.metadata import read_install
from ploinky.skills.model import InstallEntry
from ploinky.skills.safety.machine import Machine
from ploinky.skills.safety.programs.dispatch import dispatch
from ploinky.skills.safety.programs.variables import check_assign
from ploinky.skills.safety.prose import judge_prose
from ploinky.skills.safety.rules import Finding, Verdict, finding, worst
from ploinky.skills.safety.shfmt import Tree, parse_shell
from ploinky.skills.safety.structured import judge_entry
from ploinky.skills.safety.unicode import odd_characters
from ploinky.skills.safety.values import Taint
from ploinky.skills.safety.walk import Programs, Walker

_PROGRAMS = Programs(dispatch, check_assign)
_PROMPT = re.compile(r"^[ \t]*[$%\u276f][ \t]+(?=\S)")
_QUOTED_LINE = re.compile(
    r"^[ \t]*>[ \t]+(?=\S+[ \t]+\S)", re.MULTILINE
)  # '> ' is a prompt, or a quotation in Markdown
_CONSOLE = re.compile(
    r"^[ \t]*(?:(?:mysql|mariadb|sqlite|postgres|psql|irb|pry|ghci|scala|julia|lua|php|gdb|ftp|sftp|jshell"
    r"|iex|redis|mongo\w*)[=#-]*>|>>>|In \[\d+\]:|PS [A-Z]:\\)[ \t]",
    re.MULTILINE,
)
_ESCAPED = re.compile(r"\\([|&;<>])|&(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);")


@dataclass(frozen=True)
class Setting:
    """What is known around a text: the skill's files and the programs that it declares; None is unknown."""

    bundled: frozenset[str] | None = None
    bins: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Judged:
    """A verdict with its findings, worst first."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        return worst(self.findings)


def judge_text(text: str, *, setting: Setting | None = None, line: int = 1) -> Judged:
    """Judge one text of commands, or one structured ``install[]`` entry as JSON."""
    return judge_texts([(text, line)], setting=setting)[0]


def judge_texts(texts: Sequence[tuple[str, int]], *, setting: Setting | None = None) -> list[Judged]:
    """Judge many texts, each by itself, with their first lines."""
    setting = setting or Setting()
    forms = [_forms(text) for text, _ in texts]
    trees = iter(parse_shell([form for each in forms for form in each]))
    judged = []
    for (text, line), each in zip(texts, forms, strict=True):
        found: list[Finding] = []
        for form in each:
            found += _walk(form, next(trees), setting, line)
        found += odd_characters(text, line)
        entry = _structured(text)
        if _CONSOLE.search(text):
            found.append(finding("not-shell", line, text, "a console of another program"))
        if entry is not None:
            found = judge_entry(entry, line)
        elif any(finding.rule == "not-shell" for finding in found):
            found += judge_prose(text, line)
        judged.append(Judged(tuple(sorted(set(found), key=lambda one: (-one.verdict, one.line, one.rule)))))
    return judged


def _forms(text: str) -> list[str]:
    """The text as the shell gets it, and as it was meant where Markdown or HTML escaped it."""
    plain = _without_prompts(text.replace("\r\n", "\n"))
    meant = html.unescape(re.sub(r"\\([|&;<>])", r"\1", plain)) if _ESCAPED.search(plain) else plain
    return list(dict.fromkeys((plain, meant, _QUOTED_LINE.sub("", plain))))


def _without_prompts(text: str) -> str:
    lines = text.split("\n")
    commands = [each for each in lines if each.strip() and not each.lstrip().startswith("#")]
    if commands and all(_PROMPT.match(each) for each in commands):
        return "\n".join(_PROMPT.sub("", each) for each in lines)
    return text


def _structured(text: str) -> InstallEntry | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        return read_install(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _walk(text: str, tree: Tree | None, setting: Setting, line: int) -> list[Finding]:
    if tree is None:
        return [finding("not-shell", line, text, "the shell's parser refuses it")]
    machine = Machine(bundled=setting.bundled, bins=setting.bins)
    walker = Walker(tree, machine, _PROGRAMS, line=line)
    try:
        out = walker.walk()
    except RecursionError:
        return [*machine.findings, finding("complex", line, text, "nested too deeply")]
    found = list(machine.findings)
    if Taint.REMOTE in out.taints:
        found.append(finding("network", line, text))
    if Taint.SECRET in out.taints:
        found.append(finding("outside-read", line, text, "prints secrets or the environment"))
    found += [
        finding("download", facts.line or line, facts.source or path)
        for path, facts in machine.unfinished_downloads()
        if not facts.tree
    ]
    return found
