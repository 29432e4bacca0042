"""``tools`` and ``call``."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import click

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.candidates import complete_agent, complete_tool
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, PloinkyCommand, command
from ploinky.cli.run import follow
from ploinky.workspace.layout import require_workspace


class CallCommand(PloinkyCommand):
    """``--json`` followed by an object, a file or ``-`` gives arguments; alone it is the global option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, arguments_apart(args))


def arguments_apart(args: list[str]) -> list[str]:
    """The words of ``call`` with ``--json OBJECT`` named ``--arguments OBJECT``."""
    words = list(args)
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("--json="):
            words[index] = "--arguments=" + word.removeprefix("--json=")
        elif word == "--json" and (following.startswith(("{", "@")) or following == "-"):
            words[index] = "--arguments"
    return words


@command("tools", "ploinky tools", "ploinky tools demo", "ploinky tools --json")
@click.argument("agent", required=False, shell_complete=complete_agent)
def tools(invocation: Invocation, agent: str | None) -> None:
    """List the tools that agents offer.

    (async) marks those whose calls are tasks.
    """
    from ploinky.operations.call import list_tools

    layout = require_workspace(invocation.start_dir)
    follow(invocation, lambda: list_tools(layout, agent), show=_show_tools)


@command(
    "call",
    "ploinky call demo.echo_script -p message=hello",
    "ploinky call demo.random_probability -p samples=3 --json",
    """ploinky call demo.echo_script --json '{"message": "hello"}'""",
    cls=CallCommand,
)
@click.argument("tool", metavar="AGENT.TOOL", shell_complete=complete_tool)
@click.option("-p", "pairs", multiple=True, metavar="KEY=VALUE", help="An argument; KEY:=JSON for any value.")
@click.option("--arguments", metavar="JSON", help="All arguments as an object; @FILE or - reads them.")
@click.option("--timeout", type=float, default=600.0, show_default=True, metavar="S", help="Give up after.")
@click.option("--detach", is_flag=True, help="Leave a task to itself; print its id.")
def call(
    invocation: Invocation,
    tool: str,
    pairs: tuple[str, ...],
    arguments: str | None,
    timeout: float,
    detach: bool,
) -> None:
    """Call a tool of an agent.

    One that is a task is followed to its end, or with --detach left to itself: see ploinky tasks. Values are
    read as the tool's schema says. --json '{...}' means --arguments; --json alone prints the answer as JSON.
    The exit code is 1 if the tool failed.
    """
    from ploinky.operations.call import call_tool
    from ploinky.operations.tasks import begin_task

    given = _arguments(arguments)
    layout = require_workspace(invocation.start_dir)
    if detach:
        begin = functools.partial(begin_task, layout, tool, pairs=pairs, arguments=given)
        follow(invocation, begin, show=_show_begun)
        return
    work = functools.partial(call_tool, layout, tool, pairs=pairs, arguments=given, timeout_s=timeout)
    follow(invocation, work, show=_show_answer)


def _arguments(text: str | None) -> JsonObject:
    if text is None:
        return {}
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError("BAD_ARGUMENT", f"Cannot read {text[1:]}: {error.strerror}.") from error
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise UsageError("BAD_ARGUMENT", f"The arguments are not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise UsageError("BAD_ARGUMENT", "The arguments must be a JSON object.")
    return value


def _show_begun(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    console.line(str(value["taskId"]))


def _show_answer(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    text = value["text"]
    if text or value["structured"] is None:
        console.line(str(text))
    else:
        console.json(value["structured"])


def _show_tools(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No agent that runs offers a tool. Start one: ploinky start")
        return
    rows: list[list[str | Cell]] = []
    for row in value:
        assert isinstance(row, dict)
        about = str(row["description"] or row["title"] or "").splitlines()
        mark = "(async) " if row["async"] else ""
        words = mark + (about[0] if about else "")
        rows.append([Cell(str(row["name"]), Tone.NAME), str(row["agent"] or "-"), words])
    console.table(("Tool", "Agent", "About"), rows)
