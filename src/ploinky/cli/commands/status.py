"""``ploinky status``: one table. A running gateway is asked over a bare socket, and files read while
nothing should run: both import nothing heavy."""

from __future__ import annotations

from datetime import UTC, datetime

from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.operations.endpoint import ask
from ploinky.operations.status_facts import settled_status
from ploinky.workspace.layout import require_workspace

_TONES = {"RUNNING": Tone.GOOD, "FAILED": Tone.BAD, "STOPPED": Tone.DIM, "ENABLED": Tone.DIM}
_HEADERS = ("Agent", "State", "Health", "Profile", "Runtime", "Ports", "Uptime", "Note")


@command("status", "ploinky status", "ploinky status --json")
def status(invocation: Invocation) -> None:
    """Show the agents, the router and how they are."""
    layout = require_workspace(invocation.start_dir)
    answer = ask(layout, "/control/status")
    if answer is None:
        answer = settled_status(layout, invocation.environ, invocation.profile)
    if answer is None:
        from ploinky.cli.run import perform
        from ploinky.operations.status import status as ask_engine

        perform(invocation, ask_engine, show=show_status)
        return
    if invocation.as_json:
        invocation.console.json(answer)
    else:
        show_status(invocation.console, answer)


def show_status(console: Console, value: object) -> None:
    """The status for people."""
    assert isinstance(value, dict)
    router, agents = value["router"], value["agents"]
    running = router["state"] == "running"
    where = f"{router['url']} (pid {router['pid']})" if running else "not running"
    console.line(f"Workspace  {value['workspace']}")
    console.line(f"Profile    {value['profile'] or 'as each manifest says'}")
    console.line(f"Router     {console.styled(where, Tone.GOOD if running else Tone.DIM)}")
    console.line()
    if agents:
        console.table(_HEADERS, [_row(agent) for agent in agents])
    else:
        console.line("No agent is enabled. Try: ploinky list agents, ploinky enable agent NAME")


def _row(agent: dict[str, object]) -> list[str | Cell]:
    state = str(agent["state"])
    ports = agent["ports"]
    assert isinstance(ports, list)
    return [
        Cell(str(agent["name"]), Tone.NAME),
        Cell(state.lower(), _TONES.get(state)),
        str(agent["health"]),
        str(agent["profile"] or "-"),
        str(agent["runtime"] or "-"),
        ", ".join(ports) or "-",
        uptime(agent["started_at"]),
        str(agent["reason"] or ""),
    ]


def uptime(since: object) -> str:
    """The time since an ISO moment, short: ``4 s``, ``12 min``, ``3 h``, ``2 d``."""
    if not isinstance(since, str):
        return "-"
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
