"""The rules of the safety analysis: id, verdict, what it means.
To add one, add a row and report it by its id.

``docs/skills.md`` shows this table. A text without findings is allowed; the worst finding is its verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Verdict(IntEnum):
    """What may happen; the greater one wins."""

    ALLOW = 0
    NEEDS_APPROVAL = 1
    DENY = 2

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class Rule:
    """One row: a stable id, what follows from it, what it means to a reader."""

    id: str
    verdict: Verdict
    meaning: str


_DENIED = {
    "not-shell": "The text is no list of shell commands: prose, output, another language, broken syntax.",
    "placeholder": "A placeholder such as <name> stands where the shell reads a redirection.",
    "odd-characters": "Control characters, invisible or look-alike letters in a command.",
    "obfuscated": "Quoting or encoding that only hides what is run.",
    "computed-command": "The name of the program is computed, so nobody can say what would run.",
    "remote-exec": "Text from the network is executed without a digest that the command checks first.",
    "piped-code": "An interpreter executes what another command writes.",
    "dynamic-eval": "Text that is made at run time is executed.",
    "inline-code": "Code on the command line that reaches for processes, sockets, files or encodings.",
    "privilege": "Gains other rights: sudo, setuid, capabilities, users, mounts, kernel.",
    "persistence": "Survives the install: services, schedules, start-up files, background processes.",
    "write-outside": "Writes outside the skill's folder.",
    "read-secret": "Reads keys, passwords or the owner's files.",
    "exfiltration": "Sends data of this machine away.",
    "reverse-shell": "Opens a raw connection.",
    "destruction": "Destroys data or fills the machine.",
    "other-processes": "Ends or looks into processes of others.",
    "security-off": "Switches off a protection (TLS checks, firewall, quarantine, approvals).",
    "hijack": "Sets a variable or an option that makes other programs run or trust something.",
    "agent-instructions": "Replaces what an assistant is told (SKILL.md, AGENTS.md, ...) from outside.",
    "skip-confirmation": "Installs or updates skills without asking.",
    "package-source": "A package from a plain address, an unpinned repository or an unknown index.",
    "lure": "Lures a person: a paste site, a raw address, an archive with a password, a program to run by "
    "hand.",
    "hidden-text": "Text that a person does not see: invisible characters, hidden comments that instruct.",
    "prompt-injection": "Tells the model to ignore its instructions, to hide something or to obey a remote "
    "text.",
    "hostile-script": "A bundled script does what no install may do.",
}
_ASKED = {
    "unknown-command": "A program that is not on the list.",
    "unknown-option": "An option or form of a known program that is not on the list.",
    "unknown-path": "A path that is not known before it runs.",
    "outside-read": "Reads outside the skill's folder.",
    "home-write": "Writes into a folder of its own in the home directory (its own one, in the sandbox).",
    "package-install": "Installs other people's code from a package registry.",
    "download": "Downloads files without a digest.",
    "network": "Talks to a host.",
    "send": "Sends something to a host.",
    "account": "Acts on an account or a service with somebody's rights.",
    "skill-install": "Installs another skill or plug-in: use this product's own install for it.",
    "container": "Starts or changes containers.",
    "secret-file": "Writes a secret into a file: use the credential store.",
    "secret-text": "A secret stands in the text.",
    "own-code": "Runs code that it has just written or that stands on the command line.",
    "script-review": "A bundled script that cannot be judged by its text alone.",
    "background": "Starts something that runs on beside the install.",
    "complex": "Too intricate to follow to its end.",
    "odd-prose": "The text asks a person to do something that deserves a second look.",
    "missing-file": "Runs a file that the skill does not have.",
}
RULES: dict[str, Rule] = {
    **{key: Rule(key, Verdict.DENY, text) for key, text in _DENIED.items()},
    **{key: Rule(key, Verdict.NEEDS_APPROVAL, text) for key, text in _ASKED.items()},
}


@dataclass(frozen=True)
class Finding:
    """Why something is not simply allowed. ``text`` is what was found, bounded, without control characters.

    ``told_only`` findings stand in instructions that no installer runs: they ask where they would be denied.
    """

    rule: str
    file: str
    line: int
    text: str
    reason: str
    told_only: bool = False

    @property
    def verdict(self) -> Verdict:
        return min(RULES[self.rule].verdict, Verdict.NEEDS_APPROVAL if self.told_only else Verdict.DENY)


def finding(rule: str, line: int, text: str, reason: str = "", *, file: str = "") -> Finding:
    """A finding with its text made fit to be shown."""
    assert rule in RULES, rule
    shown = "".join(char if char.isprintable() else "�" for char in text.replace("\n", " ⏎ "))
    return Finding(rule, file, line, shown[:200], reason or RULES[rule].meaning)


def worst(findings: Iterable[Finding]) -> Verdict:
    """The verdict over all findings."""
    return max((each.verdict for each in findings), default=Verdict.ALLOW)
