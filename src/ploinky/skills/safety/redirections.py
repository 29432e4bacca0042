"""Redirections of a statement: what it reads from, and what its output is written to when it is done.

Knows no program; a path is judged by ``Invocation``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ploinky.skills.safety.invocation import Invocation, Result
from ploinky.skills.safety.syntax import Redirect
from ploinky.skills.safety.values import Stream, Taint, Value, joined

if TYPE_CHECKING:
    from ploinky.skills.safety.walk import Walker

_PLACEHOLDER = re.compile(rb"[^\s<>'\"&;()]+(?: [^\s<>'\"&;()]+){0,8}>")
_WRITES = frozenset({">", ">>", "&>", "&>>", ">|", "<>", "&>|"})


def open_redirects(
    walker: Walker, redirects: Sequence[Redirect], stdin: Stream | None
) -> tuple[Stream | None, list[tuple[Value, bool, str]]]:
    """What comes in, and the writes to be done afterwards: target, whether it appends, descriptor."""
    expander, writes = walker.expander(), []
    for each in redirects:
        if each.here is not None or each.operator == "<<<":
            word = each.here if each.here is not None else each.target
            value = joined(expander.quoted(word), "")
            stdin = Stream(value.taints, value.text if value.known else None, "here")
            continue
        for target in expander.values(each.target):
            if each.operator in _WRITES:
                writes.append((target, each.operator in (">>", "&>>"), each.descriptor))
                _check_socket(walker, target)
            elif each.operator == "<":
                _check_placeholder(walker, each)
                stdin = _read(walker, target)
            elif each.operator == "<&" and target.text not in ("-", "0"):
                stdin = Stream(frozenset({Taint.PIPE}))
            elif each.operator == ">&" and not (target.text.isdigit() or target.text in ("-", "")):
                writes.append((target, False, each.descriptor))
                _check_socket(walker, target)
    return stdin, writes


def _check_placeholder(walker: Walker, redirect: Redirect) -> None:
    """``<name>`` is written for a reader; the shell would read one file and write another."""
    source, start = walker.tree.source, redirect.target.start
    if source[start - 1 : start] == b"<" and _PLACEHOLDER.match(source[start : start + 120]):
        walker.report("placeholder")


def _check_socket(walker: Walker, target: Value) -> None:
    if target.text.startswith(("/dev/tcp/", "/dev/udp/")):
        walker.report("reverse-shell", "a raw connection through /dev/tcp")


def _read(walker: Walker, target: Value) -> Stream:
    _check_socket(walker, target)
    return Invocation(target, (), None, walker).read_file(target)


def write_output(walker: Walker, write: tuple[Value, bool, str], result: Result) -> Result:
    """One of those writes, with what the command left; the result is what still goes on."""
    target, append, descriptor = write
    stream = result.out if descriptor in ("", "1") else Stream()
    Invocation(target, (), None, walker).write_file(target, stream, append=append)
    kept = descriptor not in ("", "1")
    return replace(result, out=result.out if kept else Stream())
