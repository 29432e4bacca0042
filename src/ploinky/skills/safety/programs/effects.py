"""What the words of a call tell its program to do, whatever the program:
start a shell, run code, drop its guard.

Knows no program: it judges by the shapes of flags and values. ``dispatch`` and the runners of projects ask it
for every program that no rule of its own reads. To know one more shape, add it to a pattern.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from ploinky.skills.safety.invocation import Invocation
from ploinky.skills.safety.places import HOME, Zone
from ploinky.skills.safety.values import Value

_SHELL_FILE = re.compile(r"(?:/usr)?(?:/local)?/bin/(?:ba|da|z|k|a|c|tc|fi)?sh\Z")
_SHELLS = frozenset("sh bash dash zsh ksh ash fish csh tcsh".split())
_CODE_FLAG = re.compile(
    r"-{1,2}(?:[ceExXbB]|ex|exec\w*|execute|eval\w*|expr(?:ession)?|cmd|command\w*|code|run|script|batch"
    r"|routine|macro"
    r"|up|down|on-[\w-]+|[\w-]*[-_](?:cmd|command|exec|program|hook|script|eval|shell)|(?:pre|post)[\w-]*"
    r"|filter|hook|editor|pager|shell|opener|handler|action|trigger|callback)\Z"
)
_JOINED_CODE = re.compile(
    r"--?(?:[\w-]*?)(?:eval|exec\w*|cmd|command|script|hook|program|shell|e|c)[=:](.+)\Z", re.DOTALL
)
_RUNS = re.compile(
    r"\b(?:system|popen|exec\w*|spawn\w*|shell\w*|shell[-_]?out|run-program|run-shell-command|shell-command"
    r"|call-process"
    r"|start-process|os:cmd|ProcessBuilder|getRuntime|Process|proc_open|passthru|write18|fork|socket\w*"
    r"|connect|Sockets?"
    r"|open_port|inet|urlopen|http_?get|download\w*|readfile|writefile|unsafe\w*|dlopen|ccall|foreign\w*"
    r"|load-file|source)\b"
    r"\s*[(\[{'\"`.: ,!]|os\.(?:system|popen|execute)|io\.popen|do\s+shell\s+script|/bin/(?:ba|da|z|k)?sh\b"
    r"|/dev/(?:tcp|udp)/|`[^`]+`|%x[\[({]|\bqx\b|\.!!|\.execute\(\)",
)
_GUARD_OFF = re.compile(
    r"--?(?:enable-)?(?:shell-escape|write18)\Z|--dangerous\w*(?:-[\w-]+)?\Z|--script-security\Z"
    r"|--unsafe(?:-[\w-]+)?\Z"
    r"|--insecure(?:-[\w-]+)?\Z|--(?:no-|skip-|disable-|ignore-)(?:check-cert\w*|verify-(?:ssl|tls|cert\w*)"
    r"|ssl-verify|tls-verify"
    r"|certificate\S*|cert-check|sandbox|seccomp|apparmor|signature\S*|gpg\S*|web-security|security\S*"
    r"|checksum\S*|hash\S*)\Z"
)
_HOSTILE = re.compile(r"\||\$\(|`|curl|wget|/dev/tcp|\bn(?:et)?cat?\b|base64|\brm\b|sudo|crontab|>>?")
_LITERAL = re.compile(
    r"\"((?:[^\"\\]|\\.){3,400})\"|'((?:[^'\\]|\\.){3,400})'|`([^`]{3,400})`|\{([^{}]{3,400})\}"
)
_INSIDE = frozenset({"remote-exec", "reverse-shell", "exfiltration"})
_TOLD = _INSIDE | frozenset(
    {"piped-code", "privilege", "persistence", "read-secret", "destruction", "write-outside"}
)
_VIEWERS = frozenset(
    "less more bat batcat glow mdcat w3m lynx html2text pandoc xmllint xmlstarlet tidy jq fx gron yq pup "
    "htmlq hxselect hxnormalize csvlook csvcut csvgrep csvstat mlr csvtool column ffplay mpv feh display "
    "espeak say lolcat cowsay pv figlet pdftotext tesseract ffmpeg ffprobe convert magick identify exiftool "
    "fold fmt pr nl tac look hexyl vlc aplay paplay".split()
)


def judge_words(call: Invocation) -> None:
    """Report what the words of a call tell an unknown program to do."""
    _shells(call)
    for value, told in _codes(call):
        if told and _RUNS.search(value.text):
            call.report("inline-code", f"{call.program} is told to run code that starts programs")
        if value.known and _HOSTILE.search(value.text):
            _judge_text(call, value.text, told=told)
    for each in call.texts:
        if _GUARD_OFF.match(each):
            call.report("security-off", f"{call.program} without its guard: {each}")
            break


_SAYS = re.compile(r"-[mtb]|--(?:body|title|message|notes?|description|text|subject|summary|comment)\Z")


def starts_programs(code: str) -> bool:
    """Whether code in any language starts programs or opens connections."""
    return _RUNS.search(code) is not None


def judge_texts(call: Invocation) -> None:
    """Texts among the arguments that another machine or a container may be told to run:
    attacks in them count.
    """
    for before, value in itertools.pairwise([Value(""), *call.args]):
        text = value.text
        if value.known and re.search(r"\s", text) and _HOSTILE.search(text) and not _SAYS.match(before.text):
            _judge_text(call, text, told=False)


def _shells(call: Invocation) -> None:
    """A shell among the arguments: the program starts it, with what is behind it."""
    if "netns" in call.texts and "exec" in call.texts:
        call.report("privilege", f"{call.program} starts a program in another network")
    for number, value in enumerate(call.args):
        first, _, rest = value.text.partition(" ")
        following = call.texts[number + 1] if number + 1 < len(call.args) else ""
        if rest and (_SHELL_FILE.match(first) or (first in _SHELLS and rest.startswith("-"))):
            call.report("inline-code", f"{call.program} starts a shell")
        elif _SHELL_FILE.match(value.text) or (
            value.text in _SHELLS and re.match(r"-[a-z]*[cis]", following)
        ):
            call.report("inline-code", f"{call.program} starts a shell")
            call.inner(call.args[number:])
            return


def _codes(call: Invocation) -> Iterator[tuple[Value, bool]]:
    """The arguments that may be code, and whether a flag says so."""
    for before, value in itertools.pairwise([Value(""), *call.args]):
        joined = _JOINED_CODE.match(value.text)
        if joined:
            yield value.with_text(joined.group(1)), True
        elif _CODE_FLAG.match(before.text):
            yield value, True
        elif re.search(r"\s", value.text):
            yield value, False


def _judge_text(call: Invocation, text: str, *, told: bool) -> None:
    """A text, and the texts quoted in it, as commands: attacks count;
    all of them where a flag says that it is code.
    """
    inside = [next(each for each in match.groups() if each) for match in list(_LITERAL.finditer(text))[:6]]
    for each in [text, *(one for one in inside if _HOSTILE.search(one))]:
        for rule in sorted(call.walker.rules_of(each) & (_TOLD if told else _INSIDE)):
            call.report(rule, f"{call.program} is told to run it")


def views(program: str) -> bool:
    """Whether a program only shows or changes the text that it is fed."""
    return program in _VIEWERS


def touches_others(call: Invocation) -> None:
    """Paths of the owner or of the system among the arguments of a program that no rule reads: they ask."""
    for each in call.args:
        path = re.sub(r"^--?[\w-]+=", "", each.text)
        path = re.sub(r"^~(?=/|\Z)", HOME, path)
        if re.match(r"/\w|\.\./", path) and call.place(each.with_text(path)).zone in (
            Zone.OUTSIDE,
            Zone.SYSTEM,
        ):
            call.report("outside-read", f"{call.program} is given a path outside")
