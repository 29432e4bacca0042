"""Texts that parse as shell and are none:
prose, output of programs, other languages, calls of an assistant's tools.

A closed list of signs, about the shape of the command's name and of its first arguments.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.values import HOLE, Value

_OTHER_LANGUAGES = frozenset(
    "const var def class async await export_default function_ return_ from import_ package public private "
    "static struct enum impl fn pub use namespace using elif except try catch finally lambda yield print_ "
    "SELECT INSERT UPDATE DELETE CREATE FROM WHERE and or not end begin elseif endif foreach RUN COPY "
    "ENTRYPOINT CMD WORKDIR EXPOSE ENV ADD".split()
)
_POWERSHELL = frozenset("powershell pwsh iwr irm iex saps sls gci gc sc cmd cmd.exe powershell.exe rundll32 "
                        "mshta regsvr32 certutil bitsadmin wmic reg del erase xcopy robocopy findstr "
                        "tasklist setx msiexec cscript wscript start-process invoke-webrequest icacls "
                        "takeown attrib net net.exe".split())  # fmt: skip
_WINDOWS = re.compile(
    r"%[A-Z_]{3,}%|[A-Z]:(?:Users|Windows|Program|ProgramData|Temp|\\)\b|/[a-z]\Z(?<=/[fqsyc])"
)
_CAPITAL_PROGRAMS = frozenset(
    {"R", "Rscript", "Xvfb", "X", "MacOS", "GET_", "GraphicsMagick", "ImageMagick", "Xcode"}
)
_CAPITAL_KNOWN = re.compile(r"(?:[A-Z][a-z]*){0,2}\Z")
_PAIR = re.compile(r"[A-Za-z_]+:(?!//|\d)(?:\S.*|)\Z", re.DOTALL)
_SYNOPSIS = re.compile(r"\[(?:--?\w[\w-]*[^\]]*|[A-Za-z][A-Za-z_|.-]{2,})\]?\Z|\.\.\.\Z|…\Z|\[options\]")
_NAME = re.compile(r"[A-Za-z0-9._+/@~-]+\Z|\[\Z|\[\[\Z|:\Z|\.\Z")
_VERB_NOUN = re.compile(
    r"(?:Get|Set|New|Add|Remove|Invoke|Start|Stop|Install|Import|Expand|Write|Test|Out|Register|Enable"
    r"|Disable)-\w+\Z",
    re.IGNORECASE,
)


def why_foreign(name: Value, args: tuple[Value, ...]) -> str | None:
    """Why a command is none of a shell, or None."""
    text = name.text
    if HOLE in text:
        return None
    if not text or not _NAME.match(text):
        return "the name of the program is none"
    base = text.rpartition("/")[2]
    if (
        (text.endswith(":") and text != ":")
        or re.match(r"\d+[.)]\Z", text)
        or text in ("-", "--", "+")
        or text[0] == "@"
    ):
        return "a list, a label or an output, no command"
    if text.startswith("/") and "/" not in text[1:] and not text.startswith("/@"):
        return "a command of a chat, no program"
    if (
        base.lower() in _POWERSHELL
        or _VERB_NOUN.match(text)
        or text.endswith((".ps1", ".bat", ".cmd", ".exe"))
    ):
        return "a command of Windows"
    if text in _OTHER_LANGUAGES or re.match(r"[A-Z][A-Z_]{2,}\Z", text) or (text == "import" and args):
        return "another language"
    if text[0].isupper() and base not in _CAPITAL_PROGRAMS and "/" not in text:
        return "prose, no command"
    if args and (
        args[0].text in ("=", ":=", "=>", "==", "->", "+=", "is", "are", "was") and not args[0].quoted
    ):
        return "another language or prose"
    if any(not each.quoted and _WINDOWS.match(each.text) for each in args):
        return "a command of Windows"
    return _foreign_arguments(args)


def _foreign_arguments(args: tuple[Value, ...]) -> str | None:
    plain = [each for each in args if not each.quoted]
    if any(_SYNOPSIS.match(each.text) for each in plain):
        return "a synopsis with optional parts, no command"
    pairs = [
        each
        for each in plain
        if _PAIR.match(each.text) and "@" not in each.text and "/" not in each.text.partition(":")[0]
    ]
    tool_words = {
        "pty",
        "command",
        "workdir",
        "action",
        "background",
        "sessionid",
        "timeout",
        "url",
        "message",
        "channel",
        "task",
    }
    named = [each for each in pairs if each.text.partition(":")[0].lower() in tool_words]
    if named or len(pairs) >= 2:
        return "a call of an assistant's tool, no command"
    if any(each.text in ("→", "✓", "✅", "❌", "|") for each in plain):
        return "the output of a program"
    return None
