"""``serve`` and ``token``."""

from __future__ import annotations

import click

from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import choices_of, platform_of, run_async


@command("serve", "ploinky serve", "ploinky serve --port 9000")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="PORT", help="Listen here; 0 takes a free port."
)
def serve(invocation: Invocation, port: int | None) -> None:
    """Run the gateway in the foreground.

    It listens on the loopback (on which port: see 'ploinky start --help'), restarts agents that should run,
    and serves their tools at /mcp. Ctrl-C ends it; agents go on running.
    """
    from ploinky.app import run_gateway_here, start_logging
    from ploinky.operations.gateway_control import choose_listening
    from ploinky.operations.routing import write_routing

    platform = platform_of(invocation, make_workspace=True)
    listening = choose_listening(platform, port)
    write_routing(platform.layout, listening, {})
    start_logging(platform, verbose=invocation.verbosity > 0)
    run_async(lambda: run_gateway_here(choices_of(invocation), port=listening.port), fast=True)


@command(
    "token", "ploinky token", 'curl -H "Authorization: Bearer $(ploinky token)" http://127.0.0.1:8080/mcp'
)
@click.option("--rotate", is_flag=True, help="Make a new one; the former is refused from now on.")
def token(invocation: Invocation, rotate: bool) -> None:
    """Print the owner's token.

    Whoever has it may do everything here: keep it to yourself.
    """
    from ploinky.app import owner_token

    text = owner_token(platform_of(invocation), rotate=rotate)
    if invocation.as_json:
        invocation.console.json({"token": text})
    else:
        invocation.console.line(text)
