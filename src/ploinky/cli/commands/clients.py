"""``mcp config`` and ``mcp stdio``."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform, platform_of, run_async
from ploinky.workspace.layout import require_workspace

CLIENT_NAMES = ("claude", "cursor", "vscode", "codex")


@command(
    "config",
    "ploinky mcp config claude",
    "ploinky mcp config cursor --install",
    "ploinky mcp config vscode --http",
)
@click.argument("client", type=click.Choice(CLIENT_NAMES))
@click.option("--install", is_flag=True, help="Merge it into the client's file; the former one is kept.")
@click.option("--http", is_flag=True, help="By URL, with the owner's token in it, instead of a command.")
@click.option("--name", default="ploinky", show_default=True, help="The server's name in the client.")
@click.option("--file", type=click.Path(path_type=Path), help="This file instead of the client's usual one.")
def config(
    invocation: Invocation, client: str, install: bool, http: bool, name: str, file: Path | None
) -> None:
    """Print or install the configuration of an MCP client.

    claude, cursor and vscode keep it in the workspace's folder, codex in your home. No other entry of the
    file is touched.
    """
    from ploinky.app import owner_token
    from ploinky.operations.client_config import ConfigRequest, client_config

    platform = platform_of(invocation)
    token = owner_token(platform) if http else None
    target = invocation.start_dir / file if file is not None else None
    request = ConfigRequest(client, name, install, target, token)
    perform(invocation, functools.partial(client_config, request=request))


@command("stdio", "ploinky mcp stdio", "npx @modelcontextprotocol/inspector --cli ploinky mcp stdio")
def stdio(invocation: Invocation) -> None:
    """Be an MCP server on stdin and stdout for the router.

    For clients that start their servers as programs. It ends when its input ends.
    """
    from ploinky.operations.stdio import serve_stdio

    layout = require_workspace(invocation.start_dir)
    run_async(lambda: serve_stdio(layout))
