"""``deps status|prepare|clean``."""

from __future__ import annotations

import functools

import click

from ploinky.base.jsontypes import JsonValue
from ploinky.cli.candidates import complete_agent
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform
from ploinky.manifest.refs import AgentRef, parse_agent_ref

_TONES = {"installed": Tone.GOOD, "changed": Tone.WARN, "missing": Tone.WARN, "none": Tone.DIM}


@command("status", "ploinky deps status", "ploinky deps status demo --json")
@click.argument("agent", required=False, shell_complete=complete_agent)
def status(invocation: Invocation, agent: str | None) -> None:
    """Show what agents depend on and whether it is installed.

    'changed' and 'missing' are installed at the next start.
    """
    from ploinky.operations.dependencies import show_dependencies

    perform(invocation, functools.partial(show_dependencies, agent=_reference(agent)), show=_show)


@command("prepare", "ploinky deps prepare", "ploinky deps prepare demo")
@click.argument("agent", required=False, shell_complete=complete_agent)
def prepare(invocation: Invocation, agent: str | None) -> None:
    """Install what agents depend on, without starting them.

    Their next start needs no network.
    """
    from ploinky.operations.dependencies import prepare_dependencies

    perform(invocation, functools.partial(prepare_dependencies, agent=_reference(agent)), stream=True)


@command("clean", "ploinky deps clean", "ploinky deps clean demo")
@click.argument("agent", required=False, shell_complete=complete_agent)
def clean(invocation: Invocation, agent: str | None) -> None:
    """Remove what was installed for agents.

    Their data stays; the next start installs again.
    """
    from ploinky.operations.dependencies import clean_dependencies

    perform(invocation, functools.partial(clean_dependencies, agent=_reference(agent)), stream=True)


def _reference(agent: str | None) -> AgentRef | None:
    return parse_agent_ref(agent) if agent else None


def _show(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No agent is enabled.")
        return
    console.table(("Agent", "Node", "Core", "Python", "Lock", "State"), [_row(row) for row in value])


def _row(row: JsonValue) -> list[str | Cell]:
    assert isinstance(row, dict)
    state = str(row["state"])
    return [
        Cell(str(row["agent"]), Tone.NAME),
        str(row["node"] or "-"),
        _joined(row["core"]),
        str(row["python"] or "-"),
        _joined(row["locks"]),
        Cell(state, _TONES[state]),
    ]


def _joined(value: JsonValue) -> str:
    assert isinstance(value, list)
    return ", ".join(map(str, value)) or "-"
