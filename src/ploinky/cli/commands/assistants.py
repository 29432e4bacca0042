"""``assistant list|create|delete|show`` and ``assistant context``."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import follow, perform
from ploinky.workspace.layout import require_workspace


@command("list", "ploinky assistant list", "ploinky assistant list --json")
def list_(invocation: Invocation) -> None:
    """List the assistants; the first is the default."""
    from ploinky.operations.assistants import list_assistants

    perform(invocation, list_assistants, show=_show_list)


@command("show", "ploinky assistant show", "ploinky assistant show helper --json")
@click.argument("assistant", required=False)
def show(invocation: Invocation, assistant: str | None) -> None:
    """Show an assistant with its settings."""
    from ploinky.operations.assistants import show_assistant

    perform(invocation, functools.partial(show_assistant, assistant=assistant), show=Console.json)


@command(
    "create", "ploinky assistant create helper", "ploinky assistant create helper --model local --name Ada"
)
@click.argument("assistant", metavar="ID")
@click.option("--root", metavar="DIR", help="Its folder in the workspace; assistants/ID if not given.")
@click.option("--name", metavar="NAME", help="What it is called.")
@click.option("--model", metavar="ID", help="Which entry of models serves it.")
def create(
    invocation: Invocation, assistant: str, root: str | None, name: str | None, model: str | None
) -> None:
    """Make an assistant with a folder of its own."""
    from ploinky.assistants.editing import AssistantWish
    from ploinky.operations.assistants import create_assistant

    wish = AssistantWish(assistant, root, name, model)
    perform(invocation, functools.partial(create_assistant, wish=wish))


@command("delete", "ploinky assistant delete helper", "ploinky assistant delete helper --purge")
@click.argument("assistant", metavar="ID")
@click.option("--purge", is_flag=True, help="Delete its folder and its credentials too.")
def delete(invocation: Invocation, assistant: str, purge: bool) -> None:
    """Take an assistant out of the configuration; its folder stays."""
    from ploinky.operations.assistants import delete_assistant

    perform(invocation, functools.partial(delete_assistant, assistant=assistant, purge=purge))


@command("context", "ploinky assistant context", "ploinky assistant context helper -m 'What is new?'")
@click.argument("assistant", required=False)
@click.option("--session", default="terminal", show_default=True, help="The session that it would be for.")
@click.option("-m", "--message", help="As if this was said now.")
@click.option("--text", is_flag=True, help="Show the texts too, not only their sizes.")
def context(
    invocation: Invocation, assistant: str | None, session: str, message: str | None, text: bool
) -> None:
    """Show exactly what would be sent to the model, with sizes."""
    params: JsonObject = {
        "profileId": assistant,
        "sessionId": session,
        "channelKind": "terminal",
        "message": message,
    }
    ask(invocation, "context.preview", params, functools.partial(_show_context, text=text))


def ask(invocation: Invocation, method: str, params: JsonObject, show: object = None) -> JsonValue:
    """One RPC method of the running gateway, its result shown by ``show``."""
    from ploinky.operations.gateway_rpc import ask_gateway

    layout = require_workspace(invocation.start_dir)
    begin = functools.partial(ask_gateway, layout, method, params)
    return follow(invocation, begin, show=show if callable(show) else None)


def _show_list(console: Console, value: JsonValue) -> None:
    rows: list[list[str | Cell]] = []
    for row in value if isinstance(value, list) else []:
        assert isinstance(row, dict)
        model = f"{row['model']} ({row['provider']})"
        rows.append([Cell(str(row["id"]), Tone.NAME), str(row["name"]), model, _short(str(row["root"]))])
    console.table(("Id", "Name", "Model", "Root"), rows)


def _short(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd())) or "."
    except ValueError:
        return path


def _show_context(console: Console, value: JsonValue, *, text: bool) -> None:
    assert isinstance(value, dict)
    rows: list[list[str | Cell]] = []
    parts = value["parts"]
    for part in parts if isinstance(parts, list) else []:
        assert isinstance(part, dict)
        rows.append([Cell(str(part["name"]), Tone.NAME), str(part["tokens"]), str(part["share"])])
    rows.append([Cell("all"), str(value["tokens"]), str(value["budgetTokens"])])
    console.table(("Part", "Tokens", "Of"), rows)
    notes = value["notes"]
    for note in notes if isinstance(notes, list) else []:
        console.line(f"- {note}")
    if text:
        messages = value["messages"]
        for message in messages if isinstance(messages, list) else []:
            assert isinstance(message, dict)
            console.line(f"\n[{message['role']}]\n{message['text']}")
