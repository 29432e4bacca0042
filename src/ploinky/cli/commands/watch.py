"""``logs`` and ``events``."""

from __future__ import annotations

import functools
from datetime import datetime

import click

from ploinky.cli.candidates import complete_agent
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import follow as follow_events
from ploinky.cli.run import perform
from ploinky.manifest.refs import parse_agent_ref
from ploinky.workspace.layout import require_workspace

_ROUTER = "router"


def _moment(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """The moment in full, once it is known to be one."""
    try:
        return text if text is None else datetime.fromisoformat(text).isoformat()
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time like 2026-01-31T12:00:00Z.") from error


@command(
    "show",
    "ploinky logs demo",
    "ploinky logs demo -f -n 20",
    "ploinky logs demo --since 2026-01-31T12:00:00Z",
    "ploinky logs router -f",
)
@click.argument("agent", shell_complete=complete_agent)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is printed, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--since", metavar="TIME", callback=_moment, help="Only what was printed since (ISO 8601).")
def logs_show(invocation: Invocation, agent: str, follow: bool, lines: int | None, since: str | None) -> None:
    """Show what an agent printed; -f follows.

    'router' as AGENT shows the gateway's own log.
    """
    _show(invocation, agent, follow=follow, tail=lines, since=since)


@command("tail", "ploinky logs tail demo")
@click.argument("agent", shell_complete=complete_agent)
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=20, metavar="N", help="The last N lines first; 20."
)
def logs_tail(invocation: Invocation, agent: str, lines: int) -> None:
    """Follow what an agent prints.

    The last lines first, then all that comes, until Ctrl-C. 'router' as AGENT follows the gateway's own log.
    """
    _show(invocation, agent, follow=True, tail=lines, since=None)


def _show(invocation: Invocation, agent: str, *, follow: bool, tail: int | None, since: str | None) -> None:
    if agent == _ROUTER:
        from ploinky.operations.gateway_news import gateway_log

        layout = require_workspace(invocation.start_dir)
        work = functools.partial(gateway_log, layout, follow=follow, tail=tail, since=since)
        follow_events(invocation, work, stream=True)
        return
    from ploinky.operations.logs import logs

    ref = parse_agent_ref(agent)
    perform(
        invocation,
        functools.partial(logs, agent=ref, follow=follow, tail=tail, since=since),
        stream=True,
    )


@command("events", "ploinky events -f", "ploinky events -f --json")
@click.option("-f", "--follow", is_flag=True, help="The default; accepted because people type it.")
def events(invocation: Invocation, follow: bool) -> None:
    """Show what happens to agents, as it happens.

    Until Ctrl-C or the gateway ends.
    """
    from ploinky.operations.gateway_news import events as operation

    layout = require_workspace(invocation.start_dir)
    follow_events(invocation, lambda: operation(layout), stream=True)
