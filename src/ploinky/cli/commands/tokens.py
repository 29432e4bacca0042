"""``token``: the owner's, and those of other programs and people."""

from __future__ import annotations

import functools
import re

import click

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform, platform_of

_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@command(
    "show", "ploinky token", 'curl -H "Authorization: Bearer $(ploinky token)" http://127.0.0.1:8080/mcp'
)
def show(invocation: Invocation) -> None:
    """Print the owner's token.

    Whoever has it may do everything here: keep it to yourself.
    """
    _print_owner(invocation, rotate=False)


@command("rotate", "ploinky token rotate")
def rotate(invocation: Invocation) -> None:
    """Replace the owner's token and print it.

    The former one is refused from now on.
    """
    _print_owner(invocation, rotate=True)


@command(
    "create",
    "ploinky token create laptop --agent 'git' --agent 'files'",
    "ploinky token create ci --scope agents:manage --expires 90d",
)
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="What it may do; again for more.")
@click.option(
    "--agent", "agents", multiple=True, metavar="GLOB", help="Whose tools it may call; again for more."
)
@click.option("--expires", metavar="SPAN", help="When it ends: 30m, 12h, 90d. Without: when it is revoked.")
def create(
    invocation: Invocation,
    name: str,
    scopes: tuple[str, ...],
    agents: tuple[str, ...],
    expires: str | None,
) -> None:
    """Make a token for another program or person.

    It may call the tools of the agents that --agent names (all, if none is named), or what --scope says:
    tools:call, agents:read, agents:manage, assistants:use, assistants:manage, admin. It is shown once.
    """
    from ploinky.operations.tokens import DEFAULT_SCOPES, SCOPES, TokenRequest, create_token

    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise UsageError("USAGE", f"There is no scope {unknown[0]!r}.", hint=f"Scopes: {', '.join(SCOPES)}")
    request = TokenRequest(
        name=name,
        scopes=tuple(dict.fromkeys(scopes)) or DEFAULT_SCOPES,
        agents=tuple(dict.fromkeys(agents)) or ("*",),
        ttl_s=None if expires is None else _seconds(expires),
    )

    def shown(console: Console, value: JsonValue) -> None:
        assert isinstance(value, dict)
        console.line(str(value["token"]))

    perform(invocation, functools.partial(create_token, request=request), show=shown)


@command("list", "ploinky token list", "ploinky token list --json")
def list_(invocation: Invocation) -> None:
    """List the tokens that were made."""
    from ploinky.operations.tokens import list_tokens

    perform(invocation, list_tokens, show=_show_list)


@command("revoke", "ploinky token revoke laptop")
@click.argument("name")
def revoke(invocation: Invocation, name: str) -> None:
    """Refuse a token from now on."""
    from ploinky.operations.tokens import revoke_token

    perform(invocation, functools.partial(revoke_token, name=name))


def _print_owner(invocation: Invocation, *, rotate: bool) -> None:
    from ploinky.app import owner_token

    text = owner_token(platform_of(invocation), rotate=rotate)
    if invocation.as_json:
        invocation.console.json({"token": text})
    else:
        invocation.console.line(text)


def _seconds(span: str) -> float:
    found = _SPAN.fullmatch(span)
    if found is None or int(found[1]) == 0:
        raise UsageError("USAGE", f"{span!r} is no span of time.", hint="Write 30m, 12h, 90d or 8w.")
    return float(int(found[1]) * _SECONDS[found[2]])


def _show_list(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No token was made. Make one: ploinky token create NAME")
        return
    rows = [row for row in value if isinstance(row, dict)]
    console.table(("Token", "Scopes", "Agents", "Made", "Ends"), [_row(row) for row in rows])


def _row(row: JsonObject) -> list[str | Cell]:
    ends = Cell("ended", Tone.BAD) if row["ended"] else str(row["expiresAt"] or "when revoked")
    return [str(row["name"]), _joined(row["scopes"]), _joined(row["agents"]), str(row["createdAt"]), ends]


def _joined(value: JsonValue) -> str:
    assert isinstance(value, list)
    return ", ".join(map(str, value))
