"""Digests: what ``sha256sum -c`` and its kin prove, and what only looks like a proof."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.values import NONE, Stream, Taint, Value

_LINE = re.compile(r"\\?([0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})[ \t]+\*?(\S.*?)\s*\Z")
_BSD_LINE = re.compile(r"(?:SHA256|SHA384|SHA512|BLAKE2b) \((.+)\) = ([0-9a-fA-F]{64,128})\s*\Z")
_UNTRUSTED = frozenset({Taint.REMOTE, Taint.DECODED, Taint.COMPUTED, Taint.PIPE})
_STRONG = frozenset({"sha256sum", "sha384sum", "sha512sum", "b2sum", "b3sum"})


def checksum(call: Invocation) -> Result:
    """``sha256sum``, ``shasum``: with ``-c`` and a list that the command itself holds, a proof."""
    texts = call.texts
    strong = call.program in _STRONG or _shasum_strong(texts)
    checks = any(re.fullmatch(r"-[a-z]*c[a-z]*|--check", each) for each in texts)
    lax = any(each.startswith("--i") for each in texts)
    skip = {"256", "384", "512", "1"} if call.program == "shasum" else set()
    operands = [each for each in call.args if not each.text.startswith("-") and each.text not in skip]
    if any(each.text == "-" for each in call.args):
        operands.append(Value("-"))
    if not checks:
        return _print(call, [each for each in operands if each.text != "-"], strong=strong)
    proved: set[str] = set()
    for stream in _lists(call, operands):
        if strong and not lax and not stream.taints & _UNTRUSTED and stream.text is not None:
            proved |= _proved(call, stream.text)
    return Result(proves=frozenset(proved))


def _shasum_strong(texts: list[str]) -> bool:
    joined = " ".join(texts)
    return bool(re.search(r"-a ?(?:256|384|512)\b|--algorithm[= ](?:256|384|512)\b", joined))


def _lists(call: Invocation, operands: list[Value]) -> list[Stream]:
    streams = [call.read_file(each) for each in operands if each.text not in ("-", "/dev/stdin")]
    reads_stdin = not operands or any(each.text in ("-", "/dev/stdin") for each in operands)
    if reads_stdin and call.stdin is not None:
        streams.append(call.stdin)
    return streams


def _proved(call: Invocation, text: str) -> set[str]:
    found = set()
    for line in text.splitlines():
        match, bsd = _LINE.match(line), _BSD_LINE.match(line)
        name = match.group(2) if match else (bsd.group(1) if bsd else "")
        if name:
            place = call.place(Value(name))
            if place.zone in (Zone.SELF, Zone.TEMP):
                found.add(place.path)
    return found


def _print(call: Invocation, operands: list[Value], *, strong: bool) -> Result:
    for each in operands:
        call.read_file(each)
    origin = ""
    if strong and len(operands) == 1:
        origin = f"digest:{call.place(operands[0]).path}"
    return Result(Stream(NONE, None, origin))


def _closed(call: Invocation, pattern: str, *, every: bool = False) -> None:
    """Options (with ``every`` all words) that are not on the list ask; a file to be written is judged."""
    for before, each in zip(call.texts, call.args[1:], strict=False):
        if before in ("-out", "-writerand"):
            call.write_file(each)
        if before in ("-in", "-inkey", "-key"):
            call.read_file(each)
        if (every or each.text.startswith("-")) and not re.match(pattern, each.text):
            call.report("unknown-option", f"openssl with {each.text!r} is not on the list")


def openssl(call: Invocation) -> Result:
    """``openssl``: digests and random numbers; decryption decodes, s_client connects."""
    verb = call.texts[0] if call.texts else ""
    if verb in ("s_client", "s_server"):
        call.report("reverse-shell", "a raw connection by openssl")
    elif verb in ("enc", "base64", "aes-256-cbc", "smime", "cms", "pkeyutl", "rsautl"):
        encodes = verb in ("enc", "base64") and "-d" not in call.texts
        call.report("unknown-option", "openssl that encodes or decodes")
        return Result(Stream(frozenset() if encodes else frozenset({Taint.DECODED})))
    elif verb in ("dgst", "sha256", "sha512"):
        _closed(call, r"-(?:sha(?:1|224|256|384|512)|md5|r|hex|binary|c)\Z")
        for each in call.args[1:]:
            if not each.text.startswith("-"):
                call.read_file(each)
    elif verb in ("version", "rand"):
        _closed(call, r"-(?:hex|base64|[a-z])\Z|\d{1,6}\Z", every=True)
    else:
        _closed(call, r".*\Z")
        call.report("unknown-option", "openssl with a verb that is not on the list")
    return EMPTY
