"""Variables that a text sets: plainly, by ``export`` and ``declare``, out of quotes, in arrays.

Every value goes through ``check_assign`` of the programs' rules before the machine knows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ploinky.skills.safety.invocation import QUIET, Invocation, Result
from ploinky.skills.safety.syntax import Assign, Declare
from ploinky.skills.safety.values import HOLE, Stream, Taint, Value, joined

if TYPE_CHECKING:
    from ploinky.skills.safety.walk import Walker


def declare(walker: Walker, command: Declare) -> Result:
    """``export``, ``declare`` and their kin; without a name they print every variable."""
    expander = walker.expander()
    words = [value for word in command.words for value in expander.values(word)]
    for value in words:
        walker.check_index(value)
        _assign_word(walker, value)
    assign_all(walker, command.assigns)
    flags = "".join(value.text for value in words if value.text.startswith("-"))
    if ("n" in flags and command.variant != "export") or command.variant == "nameref":
        for assign in command.assigns:  # the name of another variable: nobody follows those
            walker.machine.assign(assign.name, [Value(HOLE, frozenset({Taint.COMPUTED}))])
    lists = not command.assigns and len(flags) == sum(len(value.text) for value in words)
    return Result(Stream(frozenset({Taint.SECRET}))) if lists else QUIET


def _assign_word(walker: Walker, value: Value) -> None:
    """``export "NAME=value"``: a word that is an assignment all the same."""
    name, equals, text = value.text.partition("=")
    if not equals and value.taints & {Taint.REMOTE, Taint.DECODED}:
        walker.report("hijack", "sets variables that came from elsewhere")
    if re.search(r"\$\(|`", text) and "(" in text[:1]:
        walker.report("dynamic-eval", "an array out of quotes")
    if equals and re.fullmatch(r"[A-Za-z_]\w*\+?", name):
        set_variable(walker, name.rstrip("+"), [value.with_text(text)])
    elif equals and not value.known:
        walker.report("unknown-option", "sets a variable whose name is computed")


def set_variable(walker: Walker, name: str, values: Sequence[Value]) -> None:
    """A variable may now have any of ``values``; each is judged."""
    for value in values:
        walker.programs.check_assign(Invocation(Value("="), (), None, walker), name, value)
    walker.machine.assign(name, values)


def assign_all(walker: Walker, assigns: Sequence[Assign]) -> None:
    """``name=value`` in order, as they stand before a command or behind ``export``."""
    expander = walker.expander()
    for assign in assigns:
        walker.expand_all(assign.index)
        if assign.items is not None:
            items = [value for word in assign.items for each in expander.fields(word) for value in each]
            values = [replace(joined(items), text=HOLE)]
            walker.machine.functions.pop(assign.name, None)
        else:
            values = expander.values(assign.value)
        if assign.append:
            old = walker.machine.lookup(assign.name)
            values = [joined([one, each], "") for one in old for each in values]
        if assign.value is None and assign.items is None:
            continue  # 'export NAME' sets nothing
        for value in values:
            walker.check_index(value)
            walker.programs.check_assign(Invocation(Value("="), (), None, walker), assign.name, value)
        walker.machine.assign(assign.name, values)
