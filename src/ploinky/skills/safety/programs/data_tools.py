"""Tools with a language of their own for data: sqlite3, duckdb and the line editors."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.values import Stream, Taint, Value

_RUNS = re.compile(
    r"^\s*\.(?:shell|system|load|import|output|once|excel|read|clone|backup|restore|save|open|cd|log|www)\b"
    r"|load_extension|readfile|virtual\s+table"
    r"|writefile|fts3_tokenizer|\bedit\s*\(|\battach\b|\bvacuum\s+into\b",
    re.IGNORECASE | re.MULTILINE,
)
_PLAIN = re.compile(
    r"\s*(?:create|insert|select|update|alter|drop|delete|pragma|begin|commit|with|explain)\b", re.IGNORECASE
)


_STATEMENTS = frozenset({"-c", "-s", "-cmd", "-init", "-f", "-separator", "-newline", "-nullvalue"})
_EXTENSION = re.compile(
    r"\binstall\b[^;]*\bfrom\b[^;]*://|\bload\s+'https?://|custom_extension_repository\b[^;]*://",
    re.IGNORECASE,
)
_UNSIGNED = re.compile(r"(?:^|\s)-unsigned\b|allow_unsigned_extensions\s*=\s*(?:true|1)", re.IGNORECASE)


def sqlite(call: Invocation) -> Result:
    """``sqlite3 file "statements"``: plain statements on a file of the skill's own; its dot commands ask."""
    fed = call.stdin
    if fed is not None and Taint.REMOTE in fed.taints:
        call.report("remote-exec", "executes statements from the network")
        return EMPTY
    befores = [Value(""), *call.args]
    operands = [
        each
        for before, each in zip(befores, call.args, strict=False)
        if not each.text.startswith("-") and before.text not in _STATEMENTS
    ]
    texts = [each.text for each in call.args[1:]] + [fed.text if fed is not None and fed.text else ""]
    whole = "\n".join(texts)
    if re.search(r"^\s*\.(?:shell|system)\b|load_extension|\.load\b", whole, re.MULTILINE | re.IGNORECASE):
        call.report("inline-code", "a database that starts programs")
    elif re.search(
        r"writefile|\.(?:output|once)\b|vacuum\s+into|\battach\b", whole, re.IGNORECASE
    ) and re.search(r"[\s'\"(](?:/|~|\.\./)", whole):
        call.report("write-outside", "a database that writes files elsewhere")
    if _EXTENSION.search(whole):
        call.report("package-source", "an extension from a plain address")
    elif _UNSIGNED.search(" ".join(call.texts)):
        call.report("security-off", "extensions that nobody signed")
    plain = (
        call.program == "sqlite3"
        and len(operands) == 2
        and len(call.args) == 2
        and _PLAIN.match(operands[1].text)
        and fed is None
    )
    if not plain or _RUNS.search(whole) or "\0" in whole:
        call.report("unknown-command", f"{call.program} with more than plain statements")
    if operands and call.place(operands[0]).zone is not Zone.SINK and operands[0].text != ":memory:":
        call.write_file(operands[0])
    return Result(Stream(frozenset({Taint.COMPUTED})))


def line_editor(call: Invocation) -> Result:
    """``ed``: it is told what to do by its input, and that may start programs."""
    call.report("inline-code" if call.stdin is not None else "unknown-option", "a line editor with commands")
    return EMPTY
