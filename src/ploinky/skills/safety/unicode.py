"""Characters that a reader does not see or takes for others."""

from __future__ import annotations

import re

from ploinky.skills.safety.rules import Finding, finding

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0d"
    "\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_HIDDEN_TAGS = re.compile(
    "[\U000e0001-\U000e007f\u202a-\u202e\u2066-\u2069]|[\u200b\u200c\u200d\u2060\ufeff]{4,}"
)
_LOOKALIKE_BLANK = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2028\u2029\u0085]")


def odd_characters(text: str, line: int) -> list[Finding]:
    """Findings about a text of commands: nothing invisible has a place there."""
    found = []
    for number, each in enumerate(text.replace("\r\n", "\n").split("\n"), start=line):
        if _CONTROL.search(each) or "\r" in each:
            found.append(finding("odd-characters", number, each, "control characters"))
        elif _INVISIBLE.search(each.replace("\ufe0f", "")):
            found.append(finding("odd-characters", number, each, "invisible characters"))
        elif _LOOKALIKE_BLANK.search(each):
            found.append(finding("odd-characters", number, each, "blanks that are none"))
    return found


def hidden_characters(text: str, line: int = 1) -> list[Finding]:
    """Findings about prose: tags, direction overrides and runs of invisible characters carry hidden text."""
    return [
        finding("hidden-text", number, each)
        for number, each in enumerate(text.split("\n"), start=line)
        if _HIDDEN_TAGS.search(each)
    ]
