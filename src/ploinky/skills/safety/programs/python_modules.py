"""``python -m module``: a row for each module that is known; any other runs code, which asks.

To know one more, add its name to a row of ``_MODULES``.
"""

from __future__ import annotations

from collections.abc import Callable

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.programs.projects import (
    is_unchecked,
    names_fetched,
    reads_the_network,
    serves,
    unpacks_unseen,
)
from ploinky.skills.safety.values import Stream, Value


def python_module(call: Invocation, args: list[Value]) -> Result:
    """The module that ``args`` begin with, with the arguments behind it."""
    name = args[0].text if args else ""
    inner = call.with_args(args[1:])
    if name == "pip":
        return inner.inner([Value("pip"), *inner.args])
    known = _MODULES.get(name)
    if known is not None:
        known(inner)
    elif is_unchecked(call.machine.facts(call.machine.cwd)):
        call.report("remote-exec", "runs a module of what came from the network")
    elif not names_fetched(call, name) and not reads_the_network(inner, whole_tree=True):
        call.report("own-code", f"runs the module {name!r}")
    return EMPTY


def _operands(call: Invocation) -> list[Value]:
    return [each for each in call.args if not each.text.startswith("-")]


def _environment(call: Invocation) -> None:
    for each in _operands(call):
        call.write_file(each)


def _reads(call: Invocation) -> None:
    for each in _operands(call):
        call.read_file(each)


def _json_tool(call: Invocation) -> None:
    operands = _operands(call)
    streams = [call.read_file(each) for each in operands[:1]]
    for each in operands[1:]:
        call.write_file(each, streams[0] if streams else Stream())


def _archive(call: Invocation) -> None:
    if call.texts[:1] in (["-l"], ["-t"], ["--list"], ["--test"]):
        _reads(call)
        return
    call.report("unknown-option", "an archive's module is not on the list")
    for each in _operands(call)[1:]:
        call.write_file(each)
    unpacks_unseen(call)


def _server(call: Invocation) -> None:
    call.report("network", "serves files")
    serves(call)


_MODULES: dict[str, Callable[[Invocation], None]] = {
    **dict.fromkeys(("venv", "virtualenv"), _environment),
    **dict.fromkeys(("py_compile", "compileall", "tabnanny", "this", "calendar", "platform"), _reads),
    **dict.fromkeys(("zipfile", "tarfile", "gzip", "shutil"), _archive),
    "json.tool": _json_tool,
    "http.server": _server,
}
