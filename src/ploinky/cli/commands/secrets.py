"""``secrets``: names and sources; values in and out of files; encryption at rest; rotation."""

from __future__ import annotations

import functools
import secrets
import sys
from pathlib import Path

import click

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import read_text
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.commands.values import require_yes, show_lines
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.hidden import read_hidden
from ploinky.cli.run import perform

_GENERATED_BYTES = 32


@command("list", "ploinky secrets list", "ploinky --profile prod secrets list")
def secrets_list(invocation: Invocation) -> None:
    """List the names of secrets and their sources."""
    from ploinky.operations.secret_list import list_secrets

    perform(invocation, list_secrets, show=_show_secrets)


@command("import", "ploinky secrets import .env", "ploinky secrets import - --replace < prod.env")
@click.argument("file")
@click.option("--replace", is_flag=True, help="Replace values that differ.")
def secrets_import(invocation: Invocation, file: str, replace: bool) -> None:
    """Keep every value of a .env file.

    FILE may be - for standard input. All values are kept or, on an error, none. The file stays as it is.
    """
    from ploinky.operations.secret_files import import_secrets

    text = sys.stdin.read() if file == "-" else read_text(Path.cwd() / file)
    if text is None:
        raise NotFoundError("FILE_NOT_FOUND", f"There is no file {file}.")
    operation = functools.partial(import_secrets, text=text, source=file, replace=replace)
    perform(invocation, operation, make_workspace=True)


@command("export", "ploinky secrets export backup.env", "ploinky secrets export - --yes")
@click.argument("file")
@click.option("--replace", is_flag=True, help="Replace the file if it exists.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def secrets_export(invocation: Invocation, file: str, replace: bool, yes: bool) -> None:
    """Write the kept values in clear to a file.

    FILE is made with mode 0600; - is standard output. Aliases stay aliases.
    """
    from ploinky.operations.secret_files import export_secrets, reveal_secrets

    require_yes(yes, f"Write every value in clear to {file}?", hint=f"ploinky secrets export {file} --yes")
    if file == "-":
        perform(invocation, functools.partial(reveal_secrets, event="secrets_exported"), show=show_lines)
        return
    perform(invocation, functools.partial(export_secrets, path=Path.cwd() / file, replace=replace))


@command("encrypt", "ploinky secrets encrypt")
def secrets_encrypt(invocation: Invocation) -> None:
    """Encrypt .ploinky/.secrets on the disk.

    The key goes to the desktop's keyring or, without one, to a file outside the workspace; PLOINKY_MASTER_KEY
    wins over both. Encrypting again takes another key.
    """
    from ploinky.operations.secret_files import encrypt_secrets

    perform(invocation, encrypt_secrets)


@command("decrypt", "ploinky secrets decrypt")
def secrets_decrypt(invocation: Invocation) -> None:
    """Put .ploinky/.secrets back in clear."""
    from ploinky.operations.secret_files import decrypt_secrets

    perform(invocation, decrypt_secrets)


@command(
    "rotate",
    "ploinky secrets rotate API_KEY < new-key.txt",
    "ploinky secrets rotate SESSION_KEY --generate",
    "ploinky secrets rotate DB_PASSWORD --unchanged",
)
@click.argument("name")
@click.option("--generate", is_flag=True, help="Make a random value instead of reading one.")
@click.option("--unchanged", is_flag=True, help="Only restart: the value was changed where it comes from.")
def secrets_rotate(invocation: Invocation, name: str, generate: bool, unchanged: bool) -> None:
    """Change a secret and restart its users.

    The new value is read from standard input or asked for. Running agents that use it are started anew, one
    by one, those first that others need; the rest goes on.
    """
    from ploinky.operations.rotation import rotate_secret

    if generate and unchanged:
        raise UsageError("USAGE", "Give either --generate or --unchanged.")
    value = None
    if not unchanged:
        value = secrets.token_urlsafe(_GENERATED_BYTES) if generate else read_hidden(f"New value of {name}")
    perform(invocation, functools.partial(rotate_secret, name=name, value=value), stream=True)


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
