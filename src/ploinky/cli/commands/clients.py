"""``mcp``: clients of the router, and calls of theirs that wait for a person."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import click

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform, platform_of, run_async
from ploinky.workspace.layout import require_workspace

CLIENT_NAMES = ("claude", "claude-desktop", "cursor", "vscode", "codex", "gemini", "windsurf")


@command(
    "config",
    "ploinky mcp config claude",
    "ploinky mcp config cursor --install",
    "ploinky mcp config vscode --http",
    "ploinky mcp config cursor --remove",
)
@click.argument("client", type=click.Choice(CLIENT_NAMES))
@click.option("--install", is_flag=True, help="Merge it into the client's file; the former one is kept.")
@click.option("--remove", is_flag=True, help="Take it out of the client's file; the former one is kept.")
@click.option("--http", is_flag=True, help="By URL, with the owner's token in it, instead of a command.")
@click.option("--name", default="ploinky", show_default=True, help="The server's name in the client.")
@click.option("--file", type=click.Path(path_type=Path), help="This file instead of the client's usual one.")
def config(
    invocation: Invocation,
    client: str,
    install: bool,
    remove: bool,
    http: bool,
    name: str,
    file: Path | None,
) -> None:
    """Print, install or remove the configuration of an MCP client.

    claude, cursor and vscode keep it in the workspace's folder, the others in your home. No other entry of
    the file is touched.
    """
    from ploinky.app import owner_token
    from ploinky.operations.client_config import Change, ConfigRequest, client_config

    if install and remove:
        raise UsageError("USAGE", "Give either --install or --remove.")
    change = Change.INSTALL if install else Change.REMOVE if remove else Change.NONE
    platform = platform_of(invocation)
    token = owner_token(platform) if http else None
    target = invocation.start_dir / file if file is not None else None
    request = ConfigRequest(client, name, change, target, token)
    perform(invocation, functools.partial(client_config, request=request))


@command("stdio", "ploinky mcp stdio", "npx @modelcontextprotocol/inspector --cli ploinky mcp stdio")
def stdio(invocation: Invocation) -> None:
    """Be an MCP server on stdin and stdout for the router.

    For clients that start their servers as programs. It ends when its input ends.
    """
    from ploinky.operations.stdio import serve_stdio

    layout = require_workspace(invocation.start_dir)
    run_async(lambda: serve_stdio(layout))


@command("login", "ploinky mcp login tracker", "ploinky mcp login tracker --user client:laptop")
@click.argument("server")
@click.option("--user", default="owner", show_default=True, help="Whose: owner, or a caller: client:NAME.")
def login(invocation: Invocation, server: str, user: str) -> None:
    """Sign in at an MCP server outside.

    It is a URL of mcpServers in config.json; your browser shows its login. Tokens are kept encrypted and
    renewed by the gateway.
    """
    from ploinky.operations.server_login import login_server

    perform(invocation, functools.partial(login_server, name=server, user=user))


@command("logout", "ploinky mcp logout tracker")
@click.argument("server")
@click.option("--user", default="owner", show_default=True, help="Whose login.")
def logout(invocation: Invocation, server: str, user: str) -> None:
    """Forget a login at an MCP server outside."""
    from ploinky.operations.server_login import logout_server

    perform(invocation, functools.partial(logout_server, name=server, user=user))


@command("approvals", "ploinky mcp approvals", "ploinky mcp approvals --json")
def approvals(invocation: Invocation) -> None:
    """List the calls that wait for approval.

    A row of router.policy in config.json with "approval": true makes calls wait for a person.
    """
    from ploinky.operations.call_approvals import list_call_approvals

    perform(invocation, list_call_approvals, show=_show_waiting)


@command("approve", "ploinky mcp approve 5f3a09c1b2d4e6f7", "ploinky mcp approve 5f3a09c1b2d4e6f7 --deny")
@click.argument("approval_id", metavar="ID")
@click.option("--deny", is_flag=True, help="Refuse the call instead.")
def approve(invocation: Invocation, approval_id: str, deny: bool) -> None:
    """Let a call that waits go on, or refuse it."""
    from ploinky.operations.call_approvals import answer_call

    perform(invocation, functools.partial(answer_call, approval_id=approval_id, allow=not deny))


def _show_waiting(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No call waits.")
    for row in value:
        assert isinstance(row, dict)
        tool = console.styled(f"{row['agent']}.{row['tool']}", Tone.NAME)
        console.line(f"{row['id']}  {tool}  for {row['caller']}, since {row['askedAt']}")
        console.line(f"  {json.dumps(row['arguments'], ensure_ascii=False)}")
