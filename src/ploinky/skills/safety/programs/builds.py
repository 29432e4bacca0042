"""``make`` and its kin: they run what the project says;
in an unpinned clone that is text from the network.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import SKILL, Zone
from ploinky.skills.safety.programs.projects import reads_the_network
from ploinky.skills.safety.values import Taint, Value


def build(call: Invocation) -> Result:
    """A call of such a tool: it runs what its project's files say."""
    facts = call.machine.facts(call.machine.cwd)
    facts = _build_folder(call) or facts
    if any(re.search(r"https?://", each) for each in call.texts):
        call.report("remote-exec", "builds by what an address holds")
    if reads_the_network(call, whole_tree=True):
        return EMPTY
    flags = [each for each in call.texts if each.startswith("-")]
    targets = [each for each in call.texts if not each.startswith("-") and "=" not in each]
    if facts is not None and facts.tree and Taint.REMOTE in facts.taints and not facts.pinned:
        call.report("remote-exec", "builds a clone that stands at no fixed commit")
    elif call.stdin is not None or any(
        not re.fullmatch(
            r"-(?:j\d*|[skinBwqv]+)|--(?:silent|quiet|dry-run|always-make|no-print-directory|list"
            r"|keep-going)",
            each,
        )
        for each in flags
    ):
        remote = call.stdin is not None and Taint.REMOTE in call.stdin.taints
        call.report(
            "remote-exec" if remote else "own-code" if call.stdin is None else "piped-code",
            "a makefile from elsewhere",
        )
    elif any(each.startswith("install") for each in targets) or call.program not in (
        "make",
        "gmake",
        "just",
        "task",
    ):
        call.report("own-code", "builds and installs")
    elif call.place(Value(".")).zone is not Zone.SELF:
        call.report("own-code", "builds outside the skill")
    elif call.machine.bundled is not None and not call.machine.bundled & {
        "Makefile",
        "makefile",
        "GNUmakefile",
        "justfile",
    }:
        call.report("missing-file", "the skill has no makefile")
    elif any(f"{SKILL}/{name}" in call.machine.files for name in ("Makefile", "makefile", "GNUmakefile")):
        call.report("own-code", "a makefile that it has just written")
        _walk_recipes(call)
    _build_words(call)
    return EMPTY


def _walk_recipes(call: Invocation) -> None:
    """The commands of a makefile that the text itself wrote."""
    for name in ("Makefile", "makefile", "GNUmakefile"):
        facts = call.machine.files.get(f"{SKILL}/{name}")
        lines = (facts.text if facts is not None and facts.text is not None else "").split("\n")
        for each in lines[:50]:
            if each.startswith("\t") or re.match(r"[^\t#=]+:[^=]*;", each):
                recipe = each[1:] if each.startswith("\t") else each.partition(";")[2]
                call.walker.evaluate(recipe.strip().lstrip("@-+").replace("$$", "$"), None)


def _build_folder(call: Invocation) -> FileFacts | None:
    """What is known of the folder that an option names as the project's."""
    facts = None
    for flag, value in zip(call.texts, call.args[1:], strict=False):
        if flag in ("-C", "--directory", "-d", "--working-directory", "-p", "-B", "--build", "--project-dir"):
            place = call.place(value)
            facts = call.machine.facts(place.path) or facts
            if place.zone not in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN):
                call.report("write-outside", "builds in a folder outside")
    return facts


def _build_words(call: Invocation) -> None:
    """Variables and rules on the command line."""
    for each in call.texts:
        if re.match(r"(?:SHELL|MAKESHELL|\.SHELLFLAGS)[?:+]?=|--shell\b", each):
            call.report("hijack", "another program in the place of the shell")
        if re.match(r"(?:CC|CXX|LD|AR|MAKE|PYTHON|NODE|.*FLAGS)=", each):
            call.report("own-code", "names a program that the build starts")
        if "=" in each and not re.match(r"-|(?:V|VERBOSE|DEBUG|MODE|ENV|TARGET|PLACE)=[\w.-]*\Z", each):
            call.report("own-code", "a variable that changes what the build does")
        if re.match(r"-E.|--eval\b", each):
            call.report("inline-code", "rules on the command line")
        if "=" in each and re.search(r"\$\(shell|`|\$\$\(", each):
            call.report("inline-code")
