"""Tools of a skill's own: an unknown program is allowed only if every word of its call
is understood as a look.

A call is a verb or a noun of looking, flags that choose what is shown, and operands that are plain words,
numbers, dates, texts or paths in the skill's folder. Any other word asks. To let one more word pass, add it
to a table.
"""

from __future__ import annotations

import posixpath
import re

from ploinky.skills.safety.invocation import Invocation
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.system import system_programs
from ploinky.skills.safety.values import Value

_NAME = re.compile(r"[a-z][a-z0-9]{1,24}(?:[-_][a-z0-9]{1,16}){0,3}\Z")
_VERBS = frozenset(
    "list ls show get search vsearch query find status help version info view check describe summary stats "
    "today week month now next recent tail top count read lookup explain doctor diff log tree current "
    "whoami edit done note forecast agenda upcoming history inbox events tasks calendars channels folders "
    "devices voices models boards projects labels unread weather".split()
)
_NOUN_VERBS = frozenset("list ls show search status info view find".split())
_VERB_NOUN = re.compile(r"(?:list|get|show|search|find)[-_:][a-z_-]+\Z")
_FLAGS = frozenset(
    "h help v verbose version q quiet json yaml csv tsv markdown md table plain text raw pretty compact "
    "brief short long full detail details no-color color limit l n count max min max-results top first last "
    "offset page per-page size days weeks months hours day week month year date from since until after "
    "before start end range to today tomorrow format f output-format style units metric imperial sort order "
    "sort-by reverse asc desc query filter search tag tags c collection category type kind status state "
    "priority due label labels project list board calendar account folder name id ids title place location "
    "city country region lang language locale timezone tz all a files dirs min-score score depth fields "
    "columns include exclude recent upcoming unread open closed done show stats summary forecast width "
    "height no-header headers".split()
)
_ACTS = re.compile(
    r"(?:install|add|create|delete|remove|rm|update|upgrade|send|pay|buy|sell|transfer|withdraw|deploy"
    r"|publish|post|exec|eval"
    r"|login|auth|logout|sync|push|pull|clone|fetch|download|upload|set|init|start|stop|up|down|write|move"
    r"|apply|sign|mint"
    r"|swap|trade|run|force|yes|hook|daemon|serve|proxy|output|out|token|key|password|secret|credential"
    r"|private|dump|export"
    r"|scan|crack|spoof|inject|attach|unlock|decrypt|restore|reset|wipe|enable|disable|grant|import|load"
    r"|plugin|mount)s?\b",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"secret|passw|token|credential|private|mnemonic|seed|cookie|session|keychain|wallet|id_[rd]sa|\.env"
    r"|\.pem|\.key\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_][\w.,:@+%-]*\Z")
_TEXT = re.compile(r"[^\W_][^\0`$\\|;&<>~]{0,300}\Z")
_PATH = re.compile(r"(?:\./)?[\w-][\w.-]*(?:/[\w-][\w.-]*)*\Z")
_PLAIN_ARGUMENT = re.compile(r"(?!.*://)(?![/~])(?!.*\.\.)[^\0`$\\|;&<>]*\Z", re.DOTALL)


def is_own(program: str) -> bool:
    """Whether a name may be a tool of a skill's own: none that a system has."""
    return program not in system_programs() and _NAME.match(program) is not None


def is_plain(call: Invocation) -> bool:
    """Whether no argument is a path outside, an address or a text for a shell:
    enough for a declared program.
    """
    return all(_PLAIN_ARGUMENT.match(each.text) for each in call.args)


def only_looks(call: Invocation) -> bool:
    """Whether every word of the call is one of looking; an unknown flag or kind of operand is none."""
    operands = [each for each in call.args if not each.text.startswith("-")]
    flags = [each for each in call.args if each.text.startswith("-")]
    if not all(_is_flag(call, each) for each in flags):
        return False
    if not all(_is_operand(call, each) for each in operands):
        return False
    words = [each.text for each in operands[:3] if not each.quoted]
    if any(_ACTS.match(each) for each in words[:2]) or any(_SECRET.search(each.text) for each in call.args):
        return False
    if not operands:
        return bool(flags) and re.match(r"--(?:list|show|version|help)\Z", flags[0].text) is not None
    verb = (
        bool(words)
        and call.args[0].text == words[0]
        and (words[0] in _VERBS or bool(_VERB_NOUN.match(words[0])))
    )
    return verb or (
        len(words) > 1 and re.match(r"[a-z-]+\Z", words[0]) is not None and words[1] in _NOUN_VERBS
    )


def _is_flag(call: Invocation, value: Value) -> bool:
    """A flag of the list, with no value or one of a known kind behind ``=``."""
    name, equals, given = value.text.lstrip("-").partition("=")
    known = name in _FLAGS and (len(name) == 1) == (not value.text.startswith("--"))
    return known and (not equals or _is_operand(call, value.with_text(given)))


def _is_operand(call: Invocation, value: Value) -> bool:
    text = value.text
    if not value.known or value.glob or "://" in text or ".." in text:
        return False
    if _WORD.match(text):
        return True
    if _PATH.match(text):
        place = call.place(value)
        return place.zone is Zone.SELF and "/." not in place.path[len(posixpath.dirname(place.path)) :]
    return value.quoted and _TEXT.match(text) is not None
