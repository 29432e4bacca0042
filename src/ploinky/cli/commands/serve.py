"""``serve``, ``service``, ``open`` and ``password``."""

from __future__ import annotations

import functools

import click

from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Console
from ploinky.cli.frame import Invocation, command
from ploinky.cli.hidden import read_hidden
from ploinky.cli.run import choices_of, perform, platform_of, run_async


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
    choices = choices_of(invocation)
    run_async(lambda: run_gateway_here(platform, choices, port=listening.port), fast=True)


@command("install", "ploinky service install", "ploinky service install --print")
@click.option("--print", "only_print", is_flag=True, help="Print the unit instead of writing it.")
def install(invocation: Invocation, only_print: bool) -> None:
    """Write a unit of the user's systemd that runs the gateway.

    It runs what 'ploinky serve' runs, in this workspace; systemd starts it anew when it dies. Agents go on
    running meanwhile. The unit has the PATH of now; secrets that are only exported do not reach it.
    """
    from ploinky.operations.service_unit import install_service

    show = _show_unit if only_print else None
    perform(invocation, functools.partial(install_service, only_print=only_print), show=show)


@command("uninstall", "ploinky service uninstall")
def uninstall(invocation: Invocation) -> None:
    """Remove the unit of systemd that runs the gateway."""
    from ploinky.operations.service_unit import uninstall_service

    perform(invocation, uninstall_service)


@command("open", "ploinky open", "ploinky open --print")
@click.option("--print", "only_print", is_flag=True, help="Print the link instead of opening a browser.")
def open_(invocation: Invocation, only_print: bool) -> None:
    """Open the web UI, logged in.

    The link logs one browser in and is good once, within a minute. Without a graphical browser it is printed.
    """
    from ploinky.operations.open_ui import open_ui

    perform(invocation, functools.partial(open_ui, only_print=only_print), show=_show_link)


@command("password", "ploinky password", "ploinky password < password.txt", "ploinky password --forget")
@click.option("--forget", is_flag=True, help="Ask for the owner's token again.")
def password(invocation: Invocation, forget: bool) -> None:
    """Let people log in to the web UI by a password.

    It is read from stdin, or asked for without showing it; only its hash is kept. Programs go on with tokens.
    """
    from ploinky.operations.login import forget_password, set_password

    if forget:
        perform(invocation, forget_password)
        return
    given = read_hidden("Password")
    perform(invocation, functools.partial(set_password, password=given))


def _show_link(console: Console, value: JsonValue) -> None:
    if isinstance(value, dict) and not value["opened"]:
        console.line(str(value["url"]))


def _show_unit(console: Console, value: JsonValue) -> None:
    if isinstance(value, dict):
        console.line(str(value["text"]).rstrip("\n"))
