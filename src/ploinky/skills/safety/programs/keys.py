"""Words by which a program is asked to give out a key, whatever the program.

Knows no program; ``_REVEALS`` is about a verb beside the name of something secret, or an option made of both.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import Invocation

_REVEALS = re.compile(
    r"\b(?:export|show|get|print|dump|reveal|view|read|decrypt|access)\b.*(?:secret|private|passw|token"
    r"|credential|mnemonic)"
    r"|(?:secret|private[-_]?key|passw\w*|token|credential|mnemonic)\w*[ :-](?:export|show|get|print|dump"
    r"|reveal|access|value)\b"
    r"|--?(?:export|show|dump|print|reveal)[-_](?:\w+[-_])*(?:secret|private|passw|token|credential|key)",
    re.IGNORECASE,
)
_LONGEST = 80  # characters of a word that is looked at; a text is no verb


def asks_for_a_key(call: Invocation) -> bool:
    """Whether the words of a call ask its program for a key."""
    return bool(_REVEALS.search(" ".join(each for each in call.texts if len(each) < _LONGEST)))
