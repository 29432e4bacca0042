"""``var`` and ``vars``."""

from __future__ import annotations

import functools
import sys

import click

from ploinky.base.errors import NeedsApprovalError, UsageError
from ploinky.base.jsontypes import JsonValue
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


def show_lines(console: Console, value: JsonValue) -> None:
    """Assignments as they were written."""
    assert isinstance(value, dict)
    for line in value.values():
        console.line(str(line).removesuffix("\n"))
