"""``var``, ``vars`` and ``expose``."""

from __future__ import annotations

import functools
import sys

import click

from ploinky.base.errors import NeedsApprovalError, UsageError
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.candidates import complete_agent
from ploinky.cli.console import Console
from ploinky.cli.frame import Invocation, command
from ploinky.cli.hidden import read_hidden
from ploinky.cli.run import perform


@command(
    "var",
    "ploinky var LOG_LEVEL debug",
    "ploinky var API_KEY < key.txt",
    "ploinky var API_KEY",
    "ploinky var API_KEY --unset",
)
@click.argument("name")
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Forget the value.")
def var(invocation: Invocation, name: str, value: str | None, unset: bool) -> None:
    """Set or unset a value in the workspace's secrets.

    Without VALUE it is read from stdin, or asked for without showing it, which keeps it out of the shell's
    history. $OTHER as the whole value stands for the variable OTHER.
    """
    from ploinky.operations.values import set_value, unset_value

    if unset:
        if value is not None:
            raise UsageError("USAGE", "Give either a value or --unset.")
        perform(invocation, functools.partial(unset_value, name=name))
        return
    given = value if value is not None else read_hidden(f"Value of {name}")
    perform(invocation, functools.partial(set_value, name=name, value=given), make_workspace=True)


@command("vars", "ploinky vars", "ploinky vars --show")
@click.option("--show", is_flag=True, help="Show the values too, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def vars_(invocation: Invocation, show: bool, yes: bool) -> None:
    """List the names of stored values."""
    from ploinky.operations.secret_files import reveal_secrets
    from ploinky.operations.values import list_values

    if not show:
        perform(invocation, list_values, show=_show_values)
        return
    require_yes(yes, "Show every value in clear?", hint="If nobody looks on: ploinky vars --show --yes")
    perform(invocation, functools.partial(reveal_secrets, event="secrets_shown"), show=show_lines)


@command(
    "expose",
    "ploinky expose LOG_LEVEL debug demo",
    "ploinky expose OPENAI_API_KEY '$TEAM_KEY' demo",
    "ploinky expose LOG_LEVEL --agent demo --unset",
    "ploinky expose",
)
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.argument("agent", required=False, shell_complete=complete_agent)
@click.option("--agent", "named", metavar="AGENT", shell_complete=complete_agent, help="To whom.")
@click.option("--unset", is_flag=True, help="Take it back.")
def expose(
    invocation: Invocation,
    name: str | None,
    value: str | None,
    agent: str | None,
    named: str | None,
    unset: bool,
) -> None:
    """Give an agent a variable beyond its manifest.

    VALUE is kept in clear; $OTHER stands for the variable OTHER, and without VALUE it is NAME itself. Without
    NAME all are listed. It counts from the agent's next start, and more than what the manifest says.
    """
    from ploinky.manifest.refs import parse_agent_ref
    from ploinky.operations import expose as operations

    if name is None:
        perform(invocation, operations.list_exposed, show=_show_exposed)
        return
    if unset and value is not None and agent is not None:
        raise UsageError("USAGE", "Give either a value or --unset.")
    word = named or agent or (value if unset else None)
    ref = None if word is None else parse_agent_ref(word)
    if unset:
        perform(invocation, functools.partial(operations.unexpose, name=name, agent=ref))
        return
    perform(invocation, functools.partial(operations.expose, name=name, value=value, agent=ref))


def require_yes(yes: bool, question: str, *, hint: str) -> None:
    """Go on only if a person says so; without a terminal nobody can.

    Raises:
        NeedsApprovalError: ``NOT_CONFIRMED``.
    """
    if yes or (sys.stdin.isatty() and click.confirm(question, err=True)):
        return
    raise NeedsApprovalError("NOT_CONFIRMED", "This was not confirmed.", hint=hint)


def _show_values(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No value is stored. Set one: ploinky var NAME")
    for row in value:
        assert isinstance(row, dict)
        console.line(f"{row['name']} → {row['alias']}" if row["alias"] else str(row["name"]))


def _show_exposed(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("Nothing is exposed. Expose a variable: ploinky expose NAME VALUE AGENT")
        return
    rows = [row for row in value if isinstance(row, dict)]
    console.table(
        ("Agent", "Name", "Value"), [[str(row[key]) for key in ("agent", "name", "value")] for row in rows]
    )


def show_lines(console: Console, value: JsonValue) -> None:
    """Assignments as they were written."""
    assert isinstance(value, dict)
    for line in value.values():
        console.line(str(line).removesuffix("\n"))
