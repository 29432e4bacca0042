"""``var``, ``vars`` and ``secrets``."""

from __future__ import annotations

import functools

import click

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Cell, Console, Tone
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


@command("vars", "ploinky vars", "ploinky vars --json")
def vars_(invocation: Invocation) -> None:
    """List the names of stored values."""
    from ploinky.operations.values import list_values

    perform(invocation, list_values, show=_show_values)


@command("list", "ploinky secrets list", "ploinky --profile prod secrets list")
def secrets_list(invocation: Invocation) -> None:
    """List the names of secrets and their sources."""
    from ploinky.operations.values import list_secrets

    perform(invocation, list_secrets, show=_show_secrets)


def _show_values(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No value is stored. Set one: ploinky var NAME")
    for row in value:
        assert isinstance(row, dict)
        console.line(f"{row['name']} → {row['alias']}" if row["alias"] else str(row["name"]))


def _show_secrets(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No secret is stored or asked for.")
        return
    console.table(("Secret", "Found", "Source", "Used by"), [_secret_row(row) for row in value])


def _secret_row(row: JsonValue) -> list[str | Cell]:
    assert isinstance(row, dict)
    agents = row["agents"]
    assert isinstance(agents, list)
    found = Cell("✓", Tone.GOOD) if row["found"] else Cell("✗", Tone.BAD if row["required"] else Tone.DIM)
    return [str(row["name"]), found, str(row["source"] or "-"), ", ".join(map(str, agents)) or "-"]
