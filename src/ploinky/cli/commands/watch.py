"""``logs`` and ``events``."""

from __future__ import annotations

import functools

import click

from ploinky.cli.candidates import complete_agent
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import follow as follow_events
from ploinky.cli.run import perform
from ploinky.manifest.refs import parse_agent_ref
from ploinky.workspace.layout import require_workspace

_ROUTER = "router"


@command(
    "show",
    "ploinky logs demo",
    "ploinky logs demo -f -n 20",
    "ploinky logs demo --since 2026-01-31T12:00:00Z",
    "ploinky logs router",
)
@click.argument("agent", shell_complete=complete_agent)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is printed, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--since", metavar="TIME", help="Only what was printed since (ISO 8601).")
def logs_show(invocation: Invocation, agent: str, follow: bool, lines: int | None, since: str | None) -> None:
    """Show what an agent printed; -f follows.

    'router' as AGENT shows the gateway's own log.
    """
    from ploinky.operations.logs import gateway_log, logs

    if agent == _ROUTER:
        perform(invocation, functools.partial(gateway_log, tail=lines), stream=True)
        return
    ref = parse_agent_ref(agent)
    work = functools.partial(logs, agent=ref, follow=follow, tail=lines, since=since)
    perform(invocation, work, stream=True)


@command("tail", "ploinky logs tail demo")
@click.argument("agent", shell_complete=complete_agent)
@click.option("-n", "--lines", type=click.IntRange(min=0), default=20, show_default=True, metavar="N")
def logs_tail(invocation: Invocation, agent: str, lines: int) -> None:
    """Follow what an agent prints.

    The last lines first, then all that comes, until Ctrl-C.
    """
    from ploinky.operations.logs import logs

    ref = parse_agent_ref(agent)
    perform(invocation, functools.partial(logs, agent=ref, follow=True, tail=lines, since=None), stream=True)


@command("events", "ploinky events -f", "ploinky events -f --json")
@click.option("-f", "--follow", is_flag=True, help="The default; accepted because people type it.")
def events(invocation: Invocation, follow: bool) -> None:
    """Show what happens to agents, as it happens.

    Until Ctrl-C or the gateway ends.
    """
    from ploinky.operations.logs import events as operation

    layout = require_workspace(invocation.start_dir)
    follow_events(invocation, lambda: operation(layout), stream=True)
