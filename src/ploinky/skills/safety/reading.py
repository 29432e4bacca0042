"""From shfmt's JSON to the nodes of ``syntax``. Knows the JSON's shape and how the shell undoes quoting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ploinky.skills.safety.syntax import (
    Assign,
    Binary,
    Branch,
    Call,
    Case,
    Command,
    Condition,
    Declare,
    Function,
    Group,
    Literal,
    Loop,
    Opaque,
    Parameter,
    Part,
    Redirect,
    Statement,
    Substitution,
    Unfollowed,
    Word,
)

Node = dict[str, Any]  # shfmt's JSON; it does not leave this module

_ANSI = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ANSI_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNQUOTED = re.compile(r"\\(\n|.)", re.DOTALL)
_IN_DOUBLE = re.compile(r"\\(\n|[$`\"\\])")


def read_tree(file: Node) -> tuple[Statement, ...]:
    """The statements of a parsed file."""
    return _statements(file.get("Stmts"))


def decode_ansi(text: str) -> str:
    """What ``$'text'`` means."""

    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "xuU" and len(code) > 1:
            number = int(code[1:], 16)
            return chr(number) if number < 0x110000 else "\ufffd"
        if code[0] in "01234567":
            return chr(int(code, 8) & 0xFF)
        if code[0] == "c" and len(code) > 1:
            return chr(ord(code[1]) & 0x1F)
        return _ANSI_LETTERS.get(code, code)

    return _ANSI.sub(one, text)


def _statements(nodes: list[Node] | None) -> tuple[Statement, ...]:
    return tuple(_statement(node) for node in nodes or ())


def _statement(node: Node) -> Statement:
    position = node["Pos"]
    command = node.get("Cmd")
    return Statement(
        _command(command) if command else None,
        tuple(_redirect(each) for each in node.get("Redirs") or ()),
        position["Line"],
        position["Offset"],
        node["End"]["Offset"],
        background=bool(node.get("Background") or node.get("Coprocess") or node.get("Disown")),
        negated=bool(node.get("Negated")),
    )


def _command(node: Node) -> Command:
    reader = _READERS.get(node["Type"])
    if reader is None:
        inner = tuple(_inner_statements(node))
        return Unfollowed(node["Type"], inner, tuple(_inner_words(node)))
    return reader(node)


def _call(node: Node) -> Command:
    return Call(
        tuple(_assign(each) for each in node.get("Assigns") or ()),
        tuple(_word(each) for each in node.get("Args") or ()),
    )


def _declare(node: Node) -> Command:
    assigns = [each for each in node.get("Args") or () if each.get("Name")]
    words = [each["Value"] for each in node.get("Args") or () if not each.get("Name") and each.get("Value")]
    return Declare(
        node["Variant"]["Value"],
        tuple(_assign(each) for each in assigns),
        tuple(_word(each) for each in words),
    )


def _binary(node: Node) -> Command:
    return Binary(node["Op"], _statement(node["X"]), _statement(node["Y"]))


def _branch(node: Node) -> Command:
    otherwise = node.get("Else")
    rest: tuple[Statement, ...] = ()
    if otherwise:
        if otherwise.get("Cond"):
            rest = (_nested(_branch(otherwise), otherwise),)
        else:
            rest = _statements(otherwise.get("Then"))
    return Branch(_statements(node.get("Cond")), _statements(node.get("Then")), rest)


def _nested(command: Command, node: Node) -> Statement:
    return Statement(command, (), node["Pos"]["Line"], node["Pos"]["Offset"], node["End"]["Offset"])


def _for(node: Node) -> Command:
    loop = node["Loop"]
    body = _statements(node.get("Do"))
    if loop["Type"] == "WordIter":
        items = tuple(_word(each) for each in loop.get("Items") or ())
        return Loop(body, name=loop["Name"]["Value"], items=items)
    return Loop(body, condition=tuple(_inner_statements(loop)))


def _while(node: Node) -> Command:
    return Loop(_statements(node.get("Do")), condition=_statements(node.get("Cond")))


def _case(node: Node) -> Command:
    return Case(
        _word(node["Word"]),
        tuple(_statements(each.get("Stmts")) for each in node.get("Items") or ()),
        tuple(_word(word) for each in node.get("Items") or () for word in each.get("Patterns") or ()),
    )


def _block(node: Node) -> Command:
    return Group(_statements(node.get("Stmts")), subshell=node["Type"] == "Subshell")


def _time(node: Node) -> Command:
    stmt = node.get("Stmt")
    return Group((_statement(stmt),) if stmt else (), subshell=False)


def _function(node: Node) -> Command:
    name = node.get("Name") or (node.get("Names") or [{"Value": ""}])[0]
    return Function(name["Value"], _statement(node["Body"]))


def _condition(node: Node) -> Command:
    inner = node.get("X") or {}
    operator = inner.get("Op", "") if inner.get("Type") == "BinaryTest" else ""
    return Condition(tuple(_inner_words(node)), operator)


_READERS: dict[str, Callable[[Node], Command]] = {
    "CallExpr": _call,
    "DeclClause": _declare,
    "BinaryCmd": _binary,
    "IfClause": _branch,
    "ForClause": _for,
    "WhileClause": _while,
    "CaseClause": _case,
    "Block": _block,
    "Subshell": _block,
    "TimeClause": _time,
    "FuncDecl": _function,
    "TestClause": _condition,
}


def _assign(node: Node) -> Assign:
    array = node.get("Array")
    items = (
        tuple(_word(each["Value"]) for each in array.get("Elems") or () if each.get("Value"))
        if array
        else None
    )
    value = node.get("Value")
    indexes = [node.get("Index"), *(each.get("Index") for each in (array or {}).get("Elems") or ())]
    return Assign(
        node["Name"]["Value"],
        _word(value) if value else None,
        bool(node.get("Append")),
        items,
        tuple(_inner_words(indexes)),
    )


def _redirect(node: Node) -> Redirect:
    here = node.get("Hdoc")
    raw = any(
        part["Type"] != "Lit" or "\\" in part["Value"] for part in (node.get("Word") or {}).get("Parts") or ()
    )
    return Redirect(
        node["Op"],
        _word(node["Word"]) if node.get("Word") else Word(),
        _here(here, raw=raw) if here else None,
        (node.get("N") or {}).get("Value", ""),
    )


def _here(node: Node, *, raw: bool) -> Word:
    parts: list[Part] = []
    for part in node.get("Parts") or ():
        if part["Type"] == "Lit":
            text = part["Value"]
            parts.append(Literal(text if raw else _IN_DOUBLE.sub(_keep_escaped, text), quoted=True))
        else:
            parts.extend(_parts(part, in_double=True))
    return Word(tuple(parts), node["Pos"]["Offset"], node["End"]["Offset"])


def _word(node: Node) -> Word:
    parts: list[Part] = []
    for part in node.get("Parts") or ():
        parts.extend(_parts(part, in_double=False))
    return Word(tuple(parts), node["Pos"]["Offset"], node["End"]["Offset"])


def _parts(part: Node, *, in_double: bool) -> Iterator[Part]:
    kind = part["Type"]
    if kind == "Lit":
        yield from _literal(part["Value"], in_double=in_double)
    elif kind == "SglQuoted":
        text = part.get("Value", "")
        dollar = bool(part.get("Dollar"))
        yield Literal(decode_ansi(text) if dollar else text, quoted=True, encoded=dollar and "\\" in text)
    elif kind == "DblQuoted":
        inner = part.get("Parts") or ()
        if not inner:
            yield Literal("", quoted=True)
        for each in inner:
            yield from _parts(each, in_double=True)
    elif kind == "ParamExp":
        parameter = replace(_parameter(part), quoted=in_double)
        yield parameter
        if not parameter.simple:
            inner = tuple(_inner_parts([part.get(key) for key in _CHANGING]))
            if inner:
                yield Opaque(kind, inner)
    elif kind == "CmdSubst":
        yield Substitution(_statements(part.get("Stmts")), quoted=in_double)
    elif kind == "ProcSubst":
        yield Substitution(_statements(part.get("Stmts")), process=part["Op"])
    elif kind == "ExtGlob":
        yield Opaque(kind)
    else:
        yield Opaque(kind, tuple(_inner_parts(part)))


def _literal(text: str, *, in_double: bool) -> Iterator[Literal]:
    pattern = _IN_DOUBLE if in_double else _UNQUOTED
    at = 0
    for match in pattern.finditer(text):
        if match.start() > at:
            yield Literal(text[at : match.start()], quoted=in_double)
        if match.group(1) != "\n":
            yield Literal(match.group(1), quoted=True)
        at = match.end()
    if at < len(text):
        yield Literal(text[at:], quoted=in_double)


def _keep_escaped(match: re.Match[str]) -> str:
    return "" if match.group(1) == "\n" else match.group(1)


_CHANGING = ("Length", "Width", "Slice", "Repl", "Names", "Excl", "Index")


def _parameter(node: Node) -> Parameter:
    name = (node.get("Param") or {}).get("Value", "")
    expansion = node.get("Exp") or {}
    word = expansion.get("Word")
    simple = not any(node.get(key) for key in _CHANGING)
    return Parameter(
        name,
        expansion.get("Op", ""),
        _word(word) if word else None,
        simple=simple,
        indirect=bool(node.get("Excl")),
        sliced=bool(node.get("Slice")),
    )


def _inner_parts(node: object) -> Iterator[Substitution | Parameter]:
    """Every substitution inside arithmetic and the like: it runs, whatever is around it."""
    if isinstance(node, dict):
        if node.get("Type") == "CmdSubst":
            yield Substitution(_statements(node.get("Stmts")))
        else:
            if node.get("Type") == "ParamExp":
                yield _parameter(node)
            for each in node.values():
                yield from _inner_parts(each)
    elif isinstance(node, list):
        for each in node:
            yield from _inner_parts(each)


def _inner_statements(node: Node) -> Iterator[Statement]:
    for key in ("Stmt", "Body"):
        if node.get(key):
            yield _statement(node[key])
    for key in ("Stmts", "Do", "Cond"):
        if isinstance(node.get(key), list):
            yield from _statements(node[key])
    for part in _inner_parts(node):
        if isinstance(part, Substitution):
            yield from part.body


def _inner_words(node: object) -> Iterator[Word]:
    if isinstance(node, dict):
        if node.get("Type") == "Word" or ("Parts" in node and "Type" not in node):
            yield _word(node)
        else:
            for each in node.values():
                yield from _inner_words(each)
    elif isinstance(node, list):
        for each in node:
            yield from _inner_words(each)
