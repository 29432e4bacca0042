"""``start``, ``stop``, ``restart``, ``shutdown``, ``reinstall``."""

from __future__ import annotations

import functools

import click

from ploinky.base.errors import UsageError
from ploinky.cli.candidates import complete_agent, complete_any_agent
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform
from ploinky.manifest.refs import AgentRef, parse_agent_ref

_ROUTER = "router"


@command("start", "ploinky start", "ploinky start demo 8080", "ploinky start 8080")
@click.argument("agent", required=False, shell_complete=complete_any_agent)
@click.argument("port", required=False)
def start(invocation: Invocation, agent: str | None, port: str | None) -> None:
    """Start an agent with what it needs, or all, and the gateway.

    AGENT is enabled if it was not; without it, every enabled agent is started. The gateway listens on PORT,
    else where it runs now, else on gateway.port of .ploinky/config.json, else on PLOINKY_PORT (0: any that is
    free), else where it was last, else on 8080.
    """
    from ploinky.operations.start import start as operation

    if agent is not None and agent.isdigit() and port is None:
        agent, port = None, agent
    ref = parse_agent_ref(agent) if agent else None
    work = functools.partial(operation, agent=ref, port=_port(port))
    perform(invocation, work, stream=True, make_workspace=agent is not None)


@command("stop", "ploinky stop", "ploinky stop demo")
@click.argument("agent", required=False, shell_complete=complete_agent)
def stop(invocation: Invocation, agent: str | None) -> None:
    """Stop an agent, or all and the gateway.

    Containers stay, so that the next start is quick; 'ploinky shutdown' removes them.
    """
    from ploinky.operations.stop import stop as operation

    perform(invocation, functools.partial(operation, agent=_reference(agent)), stream=True)


@command("restart", "ploinky restart demo", "ploinky restart router", "ploinky restart")
@click.argument("agent", required=False, shell_complete=complete_agent)
def restart(invocation: Invocation, agent: str | None) -> None:
    """Restart an agent, the router, or all.

    'router' restarts the gateway; agents go on running. Without a word, all agents are restarted.
    """
    from ploinky.operations.restart import restart as operation
    from ploinky.operations.restart import restart_router

    if agent == _ROUTER:
        perform(invocation, restart_router, stream=True)
        return
    perform(invocation, functools.partial(operation, agent=_reference(agent)), stream=True)


@command("shutdown", "ploinky shutdown")
def shutdown(invocation: Invocation) -> None:
    """Stop everything and remove the containers.

    Agents stay enabled and keep their data.
    """
    from ploinky.operations.shutdown import shutdown as operation

    perform(invocation, operation, stream=True)


@command("reinstall", "ploinky reinstall demo")
@click.argument("agent", shell_complete=complete_agent)
def reinstall(invocation: Invocation, agent: str) -> None:
    """Make an agent's container anew and install again.

    The agent's data in agents/NAME stays.
    """
    from ploinky.operations.restart import reinstall as operation

    perform(invocation, functools.partial(operation, agent=parse_agent_ref(agent)), stream=True)


def _reference(agent: str | None) -> AgentRef | None:
    return parse_agent_ref(agent) if agent else None


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise UsageError("BAD_PORT", f"{text!r} is not a port.", hint="A port is a number from 1 to 65535.")
    return int(text)
