"""``model list|use|test|pull|key``: which model serves, whether it works, and its keys."""

from __future__ import annotations

import functools

import click

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.hidden import read_hidden
from ploinky.cli.run import perform

_of = click.option("--assistant", "-a", metavar="ID", help="Which assistant; the default one if not given.")
_GIB = 1024**3


@command("list", "ploinky model list", "ploinky model list local", "ploinky model list --json")
@click.argument("model", required=False)
@_of
def list_(invocation: Invocation, model: str | None, assistant: str | None) -> None:
    """List the configured models, or what the provider of MODEL offers."""
    from ploinky.operations.models import list_models, list_offered

    if model is None:
        perform(invocation, list_models, show=_show_models)
        return
    operation = functools.partial(list_offered, model=model, assistant=assistant)
    perform(invocation, operation, show=_show_offered)


@command("use", "ploinky model use local", "ploinky model use hosted -a helper")
@click.argument("model")
@click.option("--assistant", "-a", metavar="ID", help="For this assistant only; else as the default.")
def use(invocation: Invocation, model: str, assistant: str | None) -> None:
    """Choose the model that serves, from the next turn on."""
    from ploinky.operations.models import use_model

    perform(invocation, functools.partial(use_model, model=model, assistant=assistant), show=_show_use)


@command("test", "ploinky model test", "ploinky model test local", "ploinky model test -a helper")
@click.argument("model", required=False)
@_of
def test(invocation: Invocation, model: str | None, assistant: str | None) -> None:
    """See by one tiny call whether a model works.

    Without MODEL it is the assistant's own.
    """
    from ploinky.operations.models import test_model

    operation = functools.partial(test_model, model=model, assistant=assistant)
    found = perform(invocation, operation, show=_show_test)
    assert isinstance(found, dict)
    if found["good"] is not True:
        raise PloinkyError("MODEL_NOT_READY", f"The model '{found['modelId']}' does not work.")


@command("pull", "ploinky model pull local", "ploinky model pull local qwen3:8b")
@click.argument("model")
@click.argument("name", required=False)
@_of
def pull(invocation: Invocation, model: str, name: str | None, assistant: str | None) -> None:
    """Let Ollama fetch the model of an entry, or another by its NAME."""
    from ploinky.operations.models import pull_model

    operation = functools.partial(pull_model, model=model, name=name, assistant=assistant)
    perform(invocation, operation, stream=True)


@command(
    "key",
    "ploinky model key anthropic < key.txt",
    "ploinky model key openai-compatible -a helper",
    "ploinky model key --list",
    "ploinky model key anthropic --delete",
)
@click.argument("provider", required=False)
@click.argument("name", default="apiKey")
@_of
@click.option("--list", "listing", is_flag=True, help="List the names of the keys that are kept.")
@click.option("--delete", is_flag=True, help="Forget the key.")
def key(
    invocation: Invocation,
    provider: str | None,
    name: str,
    assistant: str | None,
    listing: bool,
    delete: bool,
) -> None:
    """Keep an assistant's key for a provider, encrypted.

    The key is read from stdin, or asked for without showing it. An entry finds it by
    "apiKeyRef": "profile:PROVIDER".
    """
    from ploinky.operations import models

    if listing or provider is None:
        if delete or not listing:
            raise UsageError("USAGE", "Say which provider.", hint="ploinky model key anthropic")
        perform(invocation, functools.partial(models.list_keys, assistant=assistant), show=_show_keys)
        return
    if delete:
        operation = functools.partial(models.delete_key, assistant=assistant, provider=provider, name=name)
        perform(invocation, operation, show=_show_deleted)
        return
    value = read_hidden(f"Key for {provider}")
    keep = functools.partial(models.set_key, assistant=assistant, provider=provider, name=name, value=value)
    perform(invocation, keep, show=_show_kept)


def _rows(value: JsonValue) -> list[JsonObject]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _show_models(console: Console, value: JsonValue) -> None:
    rows: list[list[str | Cell]] = []
    for row in _rows(value):
        used = row["assistants"]
        assert isinstance(used, list)
        marks = ["default"] if row["default"] else []
        marks += [] if row["enabled"] else ["off"]
        names = ", ".join(str(each) for each in used)
        rows.append(
            [
                Cell(str(row["id"]), Tone.NAME),
                str(row["provider"]),
                str(row["model"] or ""),
                " ".join(marks),
                names,
            ]
        )
    console.table(("Id", "Provider", "Model", "", "Assistants"), rows)


def _show_offered(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    rows: list[list[str | Cell]] = []
    for row in _rows(value["models"]):
        size = row["sizeBytes"]
        context = row["contextTokens"]
        rows.append(
            [
                Cell(str(row["name"]), Tone.NAME),
                "" if context is None else str(context),
                "" if not isinstance(size, (int, float)) else f"{size / _GIB:.1f} GiB",
                str(row["description"]),
            ]
        )
    console.table(("Name", "Context", "Size", "About"), rows)


def _show_use(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    whom = f"The assistant '{value['assistant']}' is" if value["assistant"] else "Assistants are"
    console.line(f"{whom} served by the model '{value['model']}' now.")


def _show_test(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    for row in _rows(value["findings"]):
        mark, tone = ("ok", Tone.GOOD) if row["good"] else ("wrong", Tone.BAD)
        console.line(f"{console.styled(f'{mark:5}', tone)}  {row['what']:6} {row['detail']}")
        if row["hint"]:
            console.line(f"               {row['hint']}")
    if value["wholeMs"] is not None:
        console.line(f"First words after {value['firstPieceMs']} ms, all after {value['wholeMs']} ms.")


def _show_keys(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    providers = value["providers"]
    assert isinstance(providers, dict)
    rows: list[list[str | Cell]] = []
    for provider, names in providers.items():
        assert isinstance(names, list)
        rows.append([Cell(provider, Tone.NAME), ", ".join(str(name) for name in names)])
    console.table(("Provider", "Keys"), rows)


def _show_kept(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    reference = f"profile:{value['providerId']}"
    if value["keyName"] != "apiKey":
        reference += f".{value['keyName']}"
    console.line(f"Kept for the assistant '{value['profileId']}'. An entry finds it by \"{reference}\".")


def _show_deleted(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    console.line(f"The key {value['keyName']} for {value['providerId']} is forgotten.")
