"""``serve``."""

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
